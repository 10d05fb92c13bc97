/** Small worlds for tests of the engine, written as a few lines instead of files. */
import { formatPrefix, parseIp, parsePrefix, type Ip, type Prefix } from "../../src/core/model/address.ts";
import type { Link, LinkAddress, LinkKind } from "../../src/core/model/link.ts";
import type { Namespace } from "../../src/core/model/namespace.ts";
import type { NextHop, PolicyRule, Route } from "../../src/core/model/route.ts";
import type { Snapshot } from "../../src/core/model/snapshot.ts";
import type { Socket } from "../../src/core/model/socket.ts";
import { parseIptablesSave } from "../../src/core/parse/iptables-save.ts";

export const SRC = { file: "test", line: 1 };

export function ip(text: string): Ip {
  const found = parseIp(text);
  if (found === null) throw new Error(`${text} is no address`);
  return found;
}

export function prefix(text: string): Prefix {
  const found = parsePrefix(text);
  if (found === null) throw new Error(`${text} is no prefix`);
  return found;
}

function address(text: string): LinkAddress {
  const [host, len] = text.split("/");
  const a = ip(host!);
  return {
    ip: a,
    prefixLen: len === undefined ? (a.v === 4 ? 32 : 128) : Number(len),
    peer: null,
    scope: "global",
    secondary: false,
    tentative: false,
    deprecated: false,
    dadFailed: false,
    noPrefixRoute: false,
    label: null,
  };
}

/** A link that is up. `peer` is the ifindex of a veth's other end and the name of its namespace ("" for the same). */
export function link(
  index: number,
  name: string,
  addresses: readonly string[],
  more: Partial<Link> & { peer?: number } = {},
): Link {
  const { peer, ...rest } = more;
  const kind: LinkKind = rest.kind ?? (peer === undefined ? { kind: "ethernet" } : { kind: "veth" });
  return {
    index,
    name,
    flags: ["UP", "LOWER_UP"],
    up: true,
    carrier: true,
    noarp: false,
    mtu: 1500,
    mac: `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`,
    kind,
    peerIndex: peer ?? null,
    lower: null,
    peerNetnsId: peer === undefined ? null : 0,
    group: 0,
    master: null,
    addresses: addresses.map(address),
    port: null,
    vlans: [],
    xdp: false,
    source: SRC,
    ...rest,
  };
}

const LOOPBACK: Link = link(1, "lo", ["127.0.0.1/8", "::1/128"], {
  kind: { kind: "loopback" },
  mac: "00:00:00:00:00:00",
  mtu: 65536,
});

/** `10.0.0.0/8 via 192.0.2.1 dev eth0`, `unreachable 10.0.0.0/8`, `default via A dev x nexthop via B dev y` (weights as `weight 2`). */
export function route(text: string, more: Partial<Route> = {}): Route {
  const words = text.split(" ");
  const types = ["unreachable", "prohibit", "blackhole", "throw", "local", "broadcast", "unicast"];
  const type = types.includes(words[0]!) ? (words.shift() as Route["type"]) : "unicast";
  const dst = words.shift()!;
  const via = words.find((w, i) => words[i - 1] === "via");
  const dst6 = dst.includes(":") || (via?.includes(":") ?? false);
  const nexthops: NextHop[] =
    words.length === 0
      ? []
      : words
          .join(" ")
          .split(" nexthop ")
          .map((part) => {
            const w = part.split(" ");
            const at = (key: string): string | undefined => (w.includes(key) ? w[w.indexOf(key) + 1] : undefined);
            return {
              gateway: at("via") === undefined ? null : ip(at("via")!),
              dev: at("dev") ?? null,
              weight: Number(at("weight") ?? 1),
              onlink: false,
              dead: false,
              linkdown: false,
              encap: null,
            };
          });
  return {
    dst: prefix(dst === "default" ? (dst6 ? "::/0" : "0.0.0.0/0") : dst),
    type,
    table: type === "local" || type === "broadcast" ? 255 : 254,
    protocol: "kernel",
    scope: "global",
    metric: 0,
    tos: 0,
    prefSrc: null,
    mtu: null,
    mtuLock: false,
    from: null,
    nexthops,
    nhid: null,
    pref: null,
    source: SRC,
    ...more,
  };
}

export function policyRule(priority: number, table: number | null, more: Partial<PolicyRule> = {}): PolicyRule {
  return {
    priority,
    not: false,
    from: null,
    to: null,
    iif: null,
    oif: null,
    fwmark: null,
    fwmask: 0xffffffff | 0,
    tos: null,
    ipproto: null,
    sport: null,
    dport: null,
    uid: null,
    action: "lookup",
    table,
    goto: null,
    l3mdev: false,
    suppressPrefixLength: null,
    suppressIfgroup: null,
    unknown: [],
    source: SRC,
    ...more,
  };
}

export function listener(proto: "tcp" | "udp", port: number, at: string | null = null): Socket {
  return {
    proto,
    state: proto === "tcp" ? "LISTEN" : "UNCONN",
    family: at === null ? 6 : ip(at).v,
    ip: at === null ? null : ip(at),
    port,
    dev: null,
    v6only: false,
    remote: null,
    inode: null,
    uid: 0,
    cgroup: null,
    source: SRC,
  };
}

export interface NamespaceText {
  place: string;
  links: Link[];
  /** Routes beyond those that the addresses bring. */
  routes?: Route[];
  rules4?: PolicyRule[];
  sockets?: Socket[];
  sysctls?: Record<string, string>;
  /** iptables-save text without its header; nft-backed. */
  iptables?: string;
  more?: Partial<Namespace>;
}

/** A namespace with the connected and local routes of its addresses, everything recorded, forwarding on. */
export function namespace(t: NamespaceText): Namespace {
  const links = [LOOPBACK, ...t.links];
  const derived: Route[] = [];
  for (const l of links) {
    for (const a of l.addresses) {
      const bits = a.ip.v === 4 ? 32 : 128;
      derived.push(
        route(`local ${formatPrefix({ ip: a.ip, len: bits })} dev ${l.name}`, { prefSrc: a.ip.v === 4 ? a.ip : null }),
      );
      if (a.prefixLen < bits)
        derived.push(
          route(`${formatPrefix({ ip: a.ip, len: a.prefixLen })} dev ${l.name}`, {
            prefSrc: a.ip.v === 4 ? a.ip : null,
            scope: "link",
            ...(l.name === "lo" ? { type: "local", table: 255 } : {}),
          }),
        );
    }
  }
  const all = [...derived, ...(t.routes ?? [])];
  const values = new Map<string, { value: string; line: number }>();
  const set = (key: string, value: string): void => void values.set(key, { value, line: values.size + 1 });
  for (const dev of ["all", ...links.map((l) => l.name.replaceAll(".", "/"))]) {
    for (const [family, key, value] of [
      ["ipv4", "forwarding", "1"],
      ["ipv4", "rp_filter", "0"],
      ["ipv6", "forwarding", "1"],
    ] as const)
      set(`net.${family}.conf.${dev}.${key}`, value);
  }
  for (const [key, value] of Object.entries(t.sysctls ?? {})) set(key, value);
  const header = "# Generated by iptables-save v1.8.9 (nf_tables) on Fri Jan  2 00:00:00 2026\n";
  const xtables =
    t.iptables === undefined
      ? []
      : [parseIptablesSave(`${header}${t.iptables.trim()}\n# Completed on Fri Jan  2 00:00:00 2026\n`, "test", "ip")];
  const [node] = t.place.split("/");
  return {
    place: t.place,
    node: node!,
    pod: null,
    inode: null,
    path: null,
    dir: `nodes/${t.place}`,
    links,
    routes4: all.filter((r) => r.dst.ip.v === 4),
    routes6: all.filter((r) => r.dst.ip.v === 6),
    rules4: t.rules4 ?? [policyRule(0, 255), policyRule(32766, 254), policyRule(32767, 253)],
    rules6: [policyRule(0, 255), policyRule(32766, 254)],
    neighbours: [],
    proxyNeighbours: [],
    fdb: [],
    nsids: [],
    xtables,
    nft: null,
    ipsets: [],
    ipvs: [],
    conntrack: [],
    sockets: t.sockets ?? [],
    sysctls: { file: "sysctl.txt", values },
    tc: [],
    recent: [],
    missing: new Map(),
    ...t.more,
  };
}

export function snapshot(namespaces: Namespace[], more: Partial<Snapshot> = {}): Snapshot {
  return {
    takenAt: null,
    nodes: [...new Set(namespaces.map((n) => n.node))],
    info: {},
    namespaces,
    fabric: null,
    cluster: { pods: [], services: [], endpointSlices: [], nodes: [], raw: new Map(), missing: new Map() },
    problems: [],
    files: [],
    text: () => undefined,
    line: () => "",
    ...more,
  };
}

/** a – r – b: two hosts and a router between them, 10.1.0.0/24 and 10.2.0.0/24, also fd00:1::/64 and fd00:2::/64; b listens on 80. */
export function line(
  router: Partial<NamespaceText> = {},
  hosts: { a?: Partial<NamespaceText>; b?: Partial<NamespaceText> } = {},
): Snapshot {
  const a = namespace({
    place: "n/netns/1",
    links: [link(2, "eth0", ["10.1.0.2/24", "fd00:1::2/64"], { peer: 12 })],
    routes: [route("default via 10.1.0.1 dev eth0"), route("default via fd00:1::1 dev eth0")],
    ...hosts.a,
  });
  const r = namespace({
    place: "n/host",
    links: [
      link(12, "ra", ["10.1.0.1/24", "fd00:1::1/64"], { peer: 2 }),
      link(13, "rb", ["10.2.0.1/24", "fd00:2::1/64"], { peer: 3 }),
    ],
    ...router,
  });
  const b = namespace({
    place: "n/netns/2",
    links: [link(3, "eth0", ["10.2.0.2/24", "fd00:2::2/64"], { peer: 13 })],
    sockets: [listener("tcp", 80), listener("udp", 80)],
    routes: [route("default via 10.2.0.1 dev eth0"), route("default via fd00:2::1 dev eth0")],
    ...hosts.b,
  });
  return snapshot([a, r, b]);
}
