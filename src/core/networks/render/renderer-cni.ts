/** CNI plugins: those of a conflist that the objects bring, or of one for the mode. */
import { formatIp, formatPrefix, inPrefix, parseIp, parsePrefix, prefixOf, type Prefix } from "../../model/address.ts";
import type { Node } from "../../model/cluster.ts";
import { nth, sizeOf } from "../calico/ipam/range.ts";
import type { Claim } from "../claim.ts";
import { cniNetworkOf } from "../cni/conflist.ts";
import { cni } from "../cni/index.ts";
import { fieldOf } from "../cni/json-config.ts";
import { peerRoutes } from "../cni/peer-routes.ts";
import { nodesOf, type Machine, type Site } from "../site.ts";
import { internalIps, podIps, setPodIps } from "./fill-in.ts";
import { readMachine, type Described } from "./machines.ts";
import { errorOf, type WrittenObject } from "./objects.ts";
import { ownObjects } from "./own-kinds.ts";
import { isRecord, part, textOf } from "./plain.ts";
import { networkOf, rendererOf, type OnMachine } from "./renderer.ts";

const MODES = ["bridge", "ptp", "macvlan", "ipvlan", "ipvlan-l3", "ipvlan-l3s"] as const;

/** Modes in which pods are hosts of the nodes' own network. */
const ON_LAN: ReadonlySet<string> = new Set(["macvlan", "ipvlan"]);

/** The part of the nodes' network that one node gives to its pods, so that no two nodes give the same. */
interface LanRange {
  subnet: Prefix;
  first: bigint;
  last: bigint;
}

/** The network of a node's first device, as its Machine says, else of the usual length. */
function lanOf(node: WrittenObject, machines: ReadonlyMap<string, Described>): Prefix | null {
  const [ip = ""] = internalIps(node);
  const given = machines.get(node.name)?.devices.flatMap((each) => each.addresses) ?? [];
  const address = given.find((each) => each.startsWith(`${ip}/`)) ?? `${ip}/${ip.includes(":") ? 64 : 24}`;
  const network = parsePrefix(address);
  return network === null ? null : prefixOf(network.ip, network.len);
}

/** Ranges by node: the upper three quarters of the network in equal parts. */
function lanRanges(objects: readonly WrittenObject[]): Map<string, LanRange> {
  const machines = new Map(
    ownObjects(objects, "Machine")
      .map(readMachine)
      .map((each) => [each.name, each]),
  );
  const nodes = objects.filter((each) => each.kind === "Node");
  const ranges = new Map<string, LanRange>();
  for (const [i, node] of nodes.entries()) {
    const subnet = lanOf(node, machines);
    if (subnet === null) continue;
    // A node of an IPv6 network needs no more than one of a large IPv4 network.
    const size = sizeOf(subnet) > 65_536n ? 65_536n : sizeOf(subnet);
    const each = (size - size / 4n - 1n) / BigInt(nodes.length);
    const first = size / 4n + BigInt(i) * each;
    ranges.set(node.name, { subnet, first, last: first + each - 1n });
  }
  return ranges;
}

/** Gives pods addresses of the nodes' own network, as host-local would by the ranges. */
function fillLanPods(objects: readonly WrittenObject[], ranges: ReadonlyMap<string, LanRange>): void {
  const taken = new Set(
    objects.flatMap((each) => (each.kind === "Pod" ? podIps(each) : each.kind === "Node" ? internalIps(each) : [])),
  );
  for (const pod of objects) {
    const spec = part(pod.value, "spec");
    const range = ranges.get(textOf(spec["nodeName"]));
    if (pod.kind !== "Pod" || range === undefined || spec["hostNetwork"] === true || podIps(pod).length > 0) continue;
    let n = range.first;
    while (n <= range.last && taken.has(formatIp(nth(range.subnet, n)))) n++;
    if (n > range.last) throw errorOf(pod, `no address of ${formatPrefix(range.subnet)} is left for it`);
    const ip = formatIp(nth(range.subnet, n));
    taken.add(ip);
    setPodIps(pod, [ip]);
  }
}

/** host-local's configuration for a node. */
function ipam(mode: string, node: Node, described: Described, range: LanRange | undefined): object {
  const families = node.podCIDRs.map((cidr) => (cidr.includes(":") ? "::/0" : "0.0.0.0/0"));
  if (!ON_LAN.has(mode) || range === undefined) {
    // The bridge plugin adds the default route by itself (isDefaultGateway).
    const routes = mode === "bridge" ? {} : { routes: families.map((dst) => ({ dst })) };
    return { type: "host-local", ranges: node.podCIDRs.map((subnet) => [{ subnet }]), ...routes };
  }
  const { subnet, first, last } = range;
  const gateway = described.routes.find(({ via }) => {
    const ip = parseIp(via ?? "");
    return ip !== null && inPrefix(ip, subnet);
  })?.via;
  const own = {
    subnet: formatPrefix(subnet),
    rangeStart: formatIp(nth(subnet, first)),
    rangeEnd: formatIp(nth(subnet, last)),
    ...(gateway === undefined ? {} : { gateway }),
  };
  return { type: "host-local", ranges: [[own]], routes: [{ dst: subnet.ip.v === 6 ? "::/0" : "0.0.0.0/0" }] };
}

/** The list of a mode on a node. */
function conflist(mode: string, node: Node, described: Described, range: LanRange | undefined): string {
  const [type = "bridge", level = "l2"] = mode.split("-");
  const master = described.devices[0]?.name ?? "eth0";
  const options: Record<string, object> = {
    bridge: { bridge: "cni0", isGateway: true, isDefaultGateway: true, ipMasq: true, hairpinMode: true },
    ptp: { ipMasq: true },
    macvlan: { master, mode: "bridge" },
    ipvlan: { master, mode: level },
  };
  const main = { type, ...options[type], ipam: ipam(mode, node, described, range) };
  const portmap = { type: "portmap", capabilities: { portMappings: true } };
  // portmap needs the host on the pods' way, and what goes by a macvlan or ipvlan never meets it.
  const plugins = type === "bridge" || type === "ptp" ? [main, portmap] : [main];
  return JSON.stringify({ name: "mynet", cniVersion: "1.0.0", plugins });
}

/** The mode of the first conflist of the objects, as far as it is one that this file makes routes for. */
function isRoutedIpvlan(machine: Machine): boolean {
  const main = cniNetworkOf(machine)?.plugins[0];
  return main?.type === "ipvlan" && String(fieldOf(main.conf, "mode") ?? "l2") !== "l2";
}

/** Ways to other nodes' pods, which no plugin makes: those of peerRoutes, and the same for ipvlan above layer 2. */
function ways(site: Site, machine: Machine): Claim[] {
  const known = peerRoutes(site, machine);
  if (!isRoutedIpvlan(machine)) return known.map((claim) => ({ ...claim, optional: false }));
  return nodesOf(site)
    .filter((each) => each.name !== machine.name)
    .flatMap(({ node }) =>
      node.podCIDRs.flatMap((dst): Claim[] => {
        const family = dst.includes(":") ? 6 : 4;
        const via = node.addresses.find(
          (each) => each.type === "InternalIP" && each.address.includes(":") === (family === 6),
        )?.address;
        const ip = parseIp(via ?? "");
        const dev = machine.devices.find((each) =>
          each.addresses.some((text) => {
            const network = parsePrefix(text);
            return ip !== null && network !== null && inPrefix(ip, network);
          }),
        )?.name;
        if (via === undefined || dev === undefined) return [];
        const metric = family === 4 ? 0 : 1024;
        const state = { family, table: 254, dst, type: "unicast", metric, ways: [{ via, dev }] } as const;
        return [{ owner: "machine", at: machine.place, kind: "route", state: { ...state, ways: [...state.ways] } }];
      }),
    );
}

/** Devices of the host under those of pods, for macvlan and ipvlan. */
function beneath({ machine }: OnMachine): [string, string][] {
  const main = cniNetworkOf(machine)?.plugins[0];
  if (main === undefined || (main.type !== "macvlan" && main.type !== "ipvlan")) return [];
  if (fieldOf(main.conf, "linkInContainer") === true) return [];
  const master = fieldOf(main.conf, "master");
  const own = typeof master === "string" && master !== "" ? master : machine.devices[0]?.name;
  return own === undefined
    ? []
    : machine.sandboxes.map(({ place, device }) => [`${place} ${device?.name ?? "eth0"}`, own]);
}

/** A mode that was asked for stands before the conflists of the objects. */
function withoutConflists(objects: readonly WrittenObject[]): void {
  for (const { kind, value } of objects) {
    const data = value["data"];
    if (kind !== "ConfigMap" || !isRecord(data)) continue;
    for (const key of Object.keys(data)) if (key.endsWith(".conflist")) delete data[key];
  }
}

const hasConflist = (objects: readonly WrittenObject[]): boolean =>
  objects.some(({ kind, value }) => {
    const data = value["data"];
    return kind === "ConfigMap" && isRecord(data) && Object.keys(data).some((key) => key.endsWith(".conflist"));
  });

export const cniRenderer = rendererOf(
  "cni",
  "CNI plugins of a conflist: bridge, ptp, macvlan, ipvlan, portmap, and routes between nodes",
  MODES,
  (objects, options) => {
    if (options.mode !== null) withoutConflists(objects);
    const mode = options.mode ?? MODES[0];
    const ranges = lanRanges(objects);
    if (ON_LAN.has(mode)) fillLanPods(objects, ranges);
    const made = !hasConflist(objects);
    return {
      objects,
      started: {
        commands: {},
        files: {},
        filesOf: (node, described): Record<string, string> =>
          made ? { "/etc/cni/net.d/10-mynet.conflist": conflist(mode, node, described, ranges.get(node.name)) } : {},
      },
      networks: [cni, networkOf("machine", ways)],
      files: ({ machine }) => {
        const path = machine.files("/etc/cni/net.d/")[0];
        const file = path === undefined ? null : machine.file(path);
        if (path === undefined || file === null) return [];
        return [{ at: machine.name, path, text: pretty(file.text) }];
      },
      beneath,
    };
  },
);

/** JSON on lines of its own; what is none stays as it is. */
function pretty(text: string): string {
  try {
    return `${JSON.stringify(JSON.parse(text), null, 2)}\n`;
  } catch {
    return text;
  }
}
