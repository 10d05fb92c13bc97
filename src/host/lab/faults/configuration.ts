/** Faults of what nodes are told: files of NetworkManager and of CNI, objects of the cluster. */
import { internalIp, nodeObject } from "../daemons/addresses.ts";
import { LabError, type Lab } from "../parts.ts";
import { nodeOf, type Options, type ShippedFault } from "./fault.ts";
import { addObject, changeObject, restoreObjects } from "./objects.ts";

const PROFILE = "/etc/NetworkManager/system-connections/eth0.nmconnection";

const profile = (address: string, mtu: number): string =>
  `[connection]
id=eth0
type=ethernet
interface-name=eth0

[ethernet]
mtu=${mtu}

[ipv4]
method=manual
address1=${address}
gateway=172.30.0.1

[ipv6]
method=ignore
`;

async function writeProfile(lab: Lab, node: string, text: string): Promise<void> {
  const path = `${lab.folderOf(node)}${PROFILE}`;
  await lab.write(path, text, 0o600);
  lab.record(node, PROFILE, path);
}

/** The profile that is true. */
const mend = async (lab: Lab, options: Options): Promise<void> => {
  const node = nodeOf(lab, options, 1);
  await writeProfile(lab, node, profile(`${internalIp(lab, node)}/24`, 1500));
};

export const configurationNotApplied: ShippedFault = {
  id: "configuration-not-applied",
  summary: "NetworkManager was told an MTU that the device does not have",
  scenario: "shop",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    await writeProfile(lab, node, profile(`${internalIp(lab, node)}/24`, 1400));
  },
  mendIt: mend,
};

export const configurationImpossible: ShippedFault = {
  id: "configuration-impossible",
  summary: "a file asks for an address that is none",
  scenario: "shop",
  async breakIt(lab, options) {
    await writeProfile(lab, nodeOf(lab, options, 1), profile("10.10.99.9924/24", 1500));
  },
  mendIt: mend,
};

const CONFLISTS = "/etc/cni/net.d/";

/** The conflist of a node, and where the lab keeps a copy to break. */
function conflist(lab: Lab, node: string): { path: string; text: string } {
  const file = lab.intended.files.find(({ at, path }) => at === node && path.startsWith(CONFLISTS));
  if (file === undefined) throw new LabError(`no conflist was rendered for ${node}: this fault needs the network cni`);
  return file;
}

async function writeConflist(lab: Lab, node: string, change: (text: string) => string): Promise<void> {
  const { path, text } = conflist(lab, node);
  const own = `${lab.folderOf(node)}${path}`;
  await lab.write(own, change(text));
  lab.record(node, path, own);
}

export const cniConfigBroken: ShippedFault = {
  id: "cni-config-broken",
  summary: "a node's CNI configuration is cut off in the middle",
  scenario: "cni-bridge",
  breakIt: (lab, options) =>
    writeConflist(lab, nodeOf(lab, options, 1), (text) => text.slice(0, Math.floor(text.length / 2))),
  mendIt: (lab, options) => writeConflist(lab, nodeOf(lab, options, 1), (text) => text),
};

export const nodeAddressWrong: ShippedFault = {
  id: "node-address-wrong",
  summary: "a node goes by an address that none of its interfaces has",
  scenario: "shop",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 3);
    const own = internalIp(lab, node);
    changeObject(lab, this.id, { kind: "Node", namespace: "", name: node }, (value) => {
      const { addresses } = value["status"] as { addresses: { address: string }[] };
      for (const each of addresses) if (each.address === own) each.address = "172.30.0.213";
    });
  },
  async mendIt(lab) {
    restoreObjects(lab, this.id);
  },
};

export const poolMismatch: ShippedFault = {
  id: "pool-mismatch",
  summary: "calico-node was told to use another range than the pool's",
  scenario: "calico-vxlan",
  async breakIt(lab) {
    const env = [{ name: "CALICO_IPV4POOL_CIDR", value: "192.168.0.0/16" }];
    addObject(lab, this.id, {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: { namespace: "kube-system", name: "calico-node" },
      spec: { template: { spec: { containers: [{ name: "calico-node", env }] } } },
    });
  },
  async mendIt(lab) {
    restoreObjects(lab, this.id);
  },
};

export const ipamExhausted: ShippedFault = {
  id: "ipam-exhausted",
  summary: "no network for pods was left for a node",
  scenario: "shop",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 3);
    if (nodeObject(lab, node) === undefined) throw new LabError(`the lab has no Node ${node}`);
    changeObject(lab, this.id, { kind: "Node", namespace: "", name: node }, (value) => {
      const spec = value["spec"] as Record<string, unknown>;
      delete spec["podCIDR"];
      delete spec["podCIDRs"];
    });
  },
  async mendIt(lab) {
    restoreObjects(lab, this.id);
  },
};
