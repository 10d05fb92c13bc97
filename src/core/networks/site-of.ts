/** A snapshot as networks see it. */
import { formatIp } from "../model/address.ts";
import type { Link } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { CommandLine, Machine, OwnDevice, Sandbox, Site } from "./site.ts";

const NOTHING: readonly never[] = [];

/** Splits `env A=B program word word` at blanks; recorded command lines have no quotes (/proc/PID/cmdline joined by spaces). */
function parseCommandLine(text: string, file: string): CommandLine {
  const words = text.trim().split(/\s+/);
  const env = new Map<string, string>();
  let at = 0;
  if (words[at] === "env") at++;
  for (; at < words.length; at++) {
    const assigned = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(words[at]!);
    if (assigned === null) break;
    env.set(assigned[1]!, assigned[2]!);
  }
  const program = words[at] ?? "";
  return {
    env,
    program: program.slice(program.lastIndexOf("/") + 1),
    words: words.slice(at + 1),
    source: { file, line: 1 },
  };
}

/** The devices that hold an address of the machine's node, lead to its default gateway, or hang on the fabric. */
function ownDevices(snapshot: Snapshot, host: Namespace | undefined, name: string): OwnDevice[] {
  if (host === undefined) return [];
  const node = snapshot.cluster.nodes.find((each) => each.name === name);
  const addresses = new Set(node?.addresses.map((each) => each.address) ?? []);
  const attached = new Set(
    (snapshot.fabric?.segments ?? []).flatMap((segment) =>
      segment.attached.filter((each) => each.node === name).map((each) => each.dev),
    ),
  );
  const gateways = new Set(
    [...host.routes4, ...host.routes6]
      .filter((route) => route.dst.len === 0 && route.type === "unicast")
      .flatMap((route) => route.nexthops.map((hop) => hop.dev)),
  );
  const own = (link: Link): boolean =>
    link.kind.kind !== "loopback" &&
    (link.kind.kind === "ethernet" ||
      attached.has(link.name) ||
      gateways.has(link.name) ||
      link.addresses.some((each) => addresses.has(formatIp(each.ip))));
  return host.links.filter(own).map((link) => ({
    index: link.index,
    name: link.name,
    mac: link.mac,
    mtu: link.mtu,
    addresses: link.addresses.map((each) => `${formatIp(each.ip)}/${each.prefixLen}`),
  }));
}

/** The pods' namespaces of a machine, with both ends of their veth pairs. */
function sandboxes(host: Namespace | undefined, all: readonly Namespace[]): Sandbox[] {
  const byIndex = new Map(host?.links.map((link) => [link.index, link]));
  return all.flatMap((ns) => {
    if (ns.pod === null) return [];
    const device =
      ns.links.find((link) => link.name === "eth0") ?? ns.links.find((link) => link.kind.kind !== "loopback") ?? null;
    const peer = device?.kind.kind === "veth" && device.peerIndex !== null ? byIndex.get(device.peerIndex) : undefined;
    const paired = peer !== undefined && peer.kind.kind === "veth" && peer.peerIndex === device?.index;
    const short = (link: Link): { index: number; name: string; mac: string | null } => ({
      index: link.index,
      name: link.name,
      mac: link.mac,
    });
    return [
      {
        place: ns.place,
        pod: ns.pod,
        path: ns.path,
        device: device === null ? null : short(device),
        hostDevice: paired ? short(peer) : null,
      },
    ];
  });
}

/** The configuration of every machine of a snapshot, its pods' namespaces and own devices, and the cluster's objects. */
export function siteOf(snapshot: Snapshot): Site {
  const byNode = new Map<string, Namespace[]>();
  for (const ns of snapshot.namespaces) {
    const list = byNode.get(ns.node);
    if (list === undefined) byNode.set(ns.node, [ns]);
    else list.push(ns);
  }
  const paths = new Map<string, string[]>();
  for (const path of snapshot.files) {
    const node = path.split("/", 2)[1]!;
    const list = paths.get(node);
    if (list === undefined) paths.set(node, [path]);
    else list.push(path);
  }
  const objects = new Map(snapshot.cluster.nodes.map((node) => [node.name, node]));
  const machines = [...byNode].map(([name, namespaces]): Machine => {
    const host = namespaces.find((ns) => ns.place === `${name}/host`);
    const recorded = paths.get(name) ?? NOTHING;
    const known = new Set(recorded);
    const folder = `nodes/${name}/files`;
    const pathOf = (path: string): string =>
      path.startsWith("/") ? `${folder}${path}` : `nodes/${name}/programs/${path}`;
    return {
      name,
      place: `${name}/host`,
      node: objects.get(name) ?? null,
      devices: ownDevices(snapshot, host, name),
      sandboxes: sandboxes(host, namespaces),
      macOf: (device) => host?.links.find((link) => link.name === device)?.mac ?? null,
      command(program) {
        const path = pathOf(`${program}.cmdline`);
        const text = known.has(path) ? snapshot.text(path) : undefined;
        return text === undefined ? null : parseCommandLine(text, path);
      },
      file(path) {
        const full = pathOf(path);
        const text = known.has(full) ? snapshot.text(full) : undefined;
        return text === undefined ? null : { text, source: { file: full, line: 1 } };
      },
      files: (prefix) =>
        recorded.filter((path) => path.startsWith(folder + prefix)).map((path) => path.slice(folder.length)),
    };
  });
  return { cluster: snapshot.cluster, machines };
}
