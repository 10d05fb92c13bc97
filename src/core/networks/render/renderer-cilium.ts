/** Cilium around its BPF programs, and the map by which these share out Services' connections. */
import { formatIp, parsePrefix } from "../../model/address.ts";
import { nth } from "../calico/ipam/range.ts";
import { cilium } from "../cilium/index.ts";
import { serviceMap } from "../cilium/service-map.ts";
import { cni } from "../cni/index.ts";
import { clusterFamilies, fillIn, internalIps, POD_NETWORK } from "./fill-in.ts";
import { hex } from "./machines.ts";
import { madeObject, type WrittenObject } from "./objects.ts";
import { part, textsOf } from "./plain.ts";
import { rendererOf, type OnMachine, type RenderedNote } from "./renderer.ts";

/** Modes, and the agent's settings for them. */
const MODES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  overlay: { "routing-mode": "tunnel", "tunnel-protocol": "vxlan" },
  native: {
    "routing-mode": "native",
    "auto-direct-node-routes": "true",
    "ipv4-native-routing-cidr": POD_NETWORK[4],
    "ipv6-native-routing-cidr": POD_NETWORK[6],
  },
};

const CONFLIST = JSON.stringify({ name: "cilium", cniVersion: "0.3.1", plugins: [{ type: "cilium-cni" }] });

/** What an agent tells of its node: the first address of each pod network is cilium_host's, the pods' gateway. */
function ciliumNode(node: WrittenObject): WrittenObject {
  const podCIDRs = textsOf(part(node.value, "spec")["podCIDRs"]);
  const routers = podCIDRs.flatMap((cidr) => {
    const network = parsePrefix(cidr);
    return network === null ? [] : [{ type: "CiliumInternalIP", ip: formatIp(nth(network, 1)) }];
  });
  return madeObject({
    apiVersion: "cilium.io/v2",
    kind: "CiliumNode",
    metadata: { name: node.name },
    spec: {
      addresses: [...internalIps(node).map((ip) => ({ type: "InternalIP", ip })), ...routers],
      ipam: { podCIDRs },
    },
  });
}

function withConfig(objects: readonly WrittenObject[], mode: string | null): WrittenObject[] {
  const given = objects.find((each) => each.kind === "ConfigMap" && each.name === "cilium-config");
  const families = clusterFamilies(objects);
  const settings = MODES[mode ?? "overlay"];
  if (given !== undefined) {
    if (mode !== null) Object.assign(part(given.value, "data"), settings);
    return [...objects];
  }
  const config = madeObject({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "kube-system", name: "cilium-config" },
    data: {
      "enable-ipv4": String(families.includes(4)),
      "enable-ipv6": String(families.includes(6)),
      "kube-proxy-replacement": "true",
      "enable-ipv4-masquerade": "true",
      ...settings,
    },
  });
  return [...objects, config];
}

/** The map as `cilium-dbg service list` shows it. */
function services({ site, machine }: OnMachine): RenderedNote[] {
  const map = serviceMap(site, machine);
  if (map === null || map.length === 0) return [];
  const rows = map.map((each, i) => {
    const address = each.address.includes(":") ? `[${each.address}]` : each.address;
    const scope = each.scope === "internal" ? "/i" : "";
    return {
      id: String(i + 1),
      frontend: `${address}:${each.port}/${each.protocol}${scope}`,
      kind: each.kind,
      backends: each.backends.map((backend, n) => `${n + 1} => ${backend}`),
    };
  });
  const wide = (name: "id" | "frontend" | "kind", title: string): number =>
    Math.max(title.length, ...rows.map((row) => row[name].length)) + 3;
  const [a, b, c] = [wide("id", "ID"), wide("frontend", "Frontend"), wide("kind", "Service Type")];
  const line = (id: string, frontend: string, kind: string, backend: string): string =>
    `${id.padEnd(a)}${frontend.padEnd(b)}${kind.padEnd(c)}${backend}`.trimEnd();
  return [
    {
      at: machine.place,
      title: "the service map, as cilium-dbg service list shows it",
      lines: [
        line("ID", "Frontend", "Service Type", "Backend"),
        ...rows.flatMap(({ id, frontend, kind, backends }) => [
          line(id, frontend, kind, backends[0] ?? ""),
          ...backends.slice(1).map((backend) => line("", "", "", backend)),
        ]),
      ],
    },
  ];
}

export const ciliumRenderer = rendererOf(
  "cilium",
  "Cilium's devices, routes and iptables rules around its BPF programs, and its service map",
  Object.keys(MODES),
  (written, { mode }) => {
    // Nodes' pod networks are the operator's to give, before agents tell of them.
    const filled = withConfig(fillIn(written), mode);
    const known = new Set(filled.filter((each) => each.kind === "CiliumNode").map((each) => each.name));
    const nodes = filled.filter((each) => each.kind === "Node" && !known.has(each.name)).map(ciliumNode);
    return {
      objects: [...filled, ...nodes],
      started: {
        commands: { "cilium-agent": { words: [] } },
        files: { "/etc/cni/net.d/05-cilium.conflist": CONFLIST },
        // `lxc` and a hash of the container's id, which only the runtime knows.
        hostDevice: (pod) => `lxc${hex(`${pod.namespace}.${pod.name}`).slice(0, 12)}`,
      },
      networks: [cilium, cni],
      notes: services,
    };
  },
);
