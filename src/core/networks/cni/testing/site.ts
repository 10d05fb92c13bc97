/** For tests: sites that are written down instead of recorded. */
import type { Node, Pod } from "../../../model/cluster.ts";
import { emptyCluster } from "../../../parse/cluster.ts";
import { makePod } from "../../../../../test/support/snapshot.ts";
import type { CommandLine, Machine, OwnDevice, Site } from "../../site.ts";

const source = { file: "test", line: 1 };

export function makeNode(
  name: string,
  address: string,
  podCIDRs: string[],
  annotations: Record<string, string> = {},
): Node {
  const addresses = address.split(",").map((each) => ({ type: "InternalIP", address: each }));
  return { namespace: "", name, labels: {}, annotations, source, addresses, podCIDRs };
}

/** flannel's annotations of a VXLAN node. */
export function vxlanAnnotations(ip: string, mac: string): Record<string, string> {
  const key = (name: string): string => `flannel.alpha.coreos.com/${name}`;
  return {
    [key("backend-data")]: JSON.stringify({ VNI: 1, VtepMAC: mac }),
    [key("backend-type")]: "vxlan",
    [key("kube-subnet-manager")]: "true",
    [key("public-ip")]: ip,
  };
}

export function makeDevice(name: string, addresses: string[], mtu = 1500): OwnDevice {
  return { index: 2, name, mac: "02:00:00:00:00:02", mtu, addresses };
}

export interface MachineText {
  node: Node;
  devices: OwnDevice[];
  /** By absolute path, or name below programs/. */
  files?: Record<string, string>;
  /** Command lines by program. */
  commands?: Record<string, string>;
  /** Pods of the machine that have a namespace, by the name of their end on the host. */
  pods?: { pod: Pod; hostDevice: string }[];
}

export function makeMachine({ node, devices, files = {}, commands = {}, pods = [] }: MachineText): Machine {
  const known = new Map(Object.entries(files));
  const command = (text: string, program: string): CommandLine => ({
    env: new Map(),
    program,
    words: text.split(" ").slice(1),
    source,
  });
  return {
    name: node.name,
    place: `${node.name}/host`,
    node,
    devices,
    sandboxes: pods.map(({ pod, hostDevice }, i) => ({
      place: `${node.name}/pod/${pod.namespace}/${pod.name}`,
      pod: { namespace: pod.namespace, name: pod.name },
      path: null,
      device: { index: 2, name: "eth0", mac: null },
      hostDevice: { index: 10 + i, name: hostDevice, mac: null },
    })),
    macOf: () => null,
    command: (program) => (commands[program] === undefined ? null : command(commands[program], program)),
    file(path) {
      const text = known.get(path);
      return text === undefined ? null : { text, source: { file: path, line: 1 } };
    },
    files: (prefix) => [...known.keys()].filter((path) => path.startsWith(prefix)).toSorted(),
  };
}

/** A site of these machines and all of their pods; `raw` are further resources. */
export function makeSite(machines: Machine[], pods: Pod[] = [], raw: Record<string, unknown[]> = {}): Site {
  const nodes = machines.map((machine) => machine.node).filter((node) => node !== null);
  return { cluster: { ...emptyCluster(), nodes, pods, raw: new Map(Object.entries(raw)) }, machines };
}

/** A running pod with host ports: `80:8080/tcp` sends the host's port 80 to 8080. */
export function podWithPorts(node: string, name: string, ips: string[], ports: string[] = []): Pod {
  return makePod("shop", name, node, ips, {
    ports: ports.map((text) => {
      const [hostPort = "", containerPort = "", protocol = "", hostIP] = text.split(/[:/@]/);
      return {
        name: null,
        hostPort: Number(hostPort),
        containerPort: Number(containerPort),
        protocol: protocol.toUpperCase(),
        hostIP: hostIP ?? null,
      };
    }),
  });
}
