/** One namespace, in numbers and in full. */
import { formatIp } from "../model/address.ts";
import type { Link } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import type { NftTable } from "../model/nftables.ts";
import type { Source } from "../model/source.ts";
import { conntrackLine, fdbLine, ipvsLine, neighbourLine, routeLine, ruleLine, socketLine } from "./lines.ts";
import type { ShownChain, ShownLine, ShownLink, ShownNamespace, ShownPeer, ShownPlace, ShownTable } from "./types.ts";

/** Tells the other end of a link; null when there is none or it is not known. */
export type PeerOf = (place: string, dev: string) => ShownPeer | null;

/** Settings worth showing: those that a walk reads. */
const SYSCTLS =
  /^net\.(?:ipv[46]\.(?:ip_forward|conf\..*\.(?:forwarding|rp_filter|accept_local|route_localnet|src_valid_mark|proxy_arp|proxy_ndp|arp_ignore|arp_filter|disable_ipv6|ignore_routes_with_linkdown)|fib_multipath_hash_policy|ip_nonlocal_bind|tcp_tw_recycle)|bridge\.bridge-nf-call-.*|netfilter\.nf_conntrack_(?:max|count|tcp_be_liberal))$/;

function shownLink(ns: Namespace, link: Link, peerOf: PeerOf): ShownLink {
  return {
    index: link.index,
    name: link.name,
    kind: link.kind.kind === "other" ? link.kind.name : link.kind.kind,
    up: link.up,
    carrier: link.carrier,
    mtu: link.mtu,
    mac: link.mac,
    addresses: link.addresses.map((a) => `${formatIp(a.ip)}/${a.prefixLen}`),
    master: link.master,
    peer: peerOf(ns.place, link.name),
    source: link.source,
  };
}

/** Tables of nft that iptables-nft made are shown once, as iptables' (its save file has their rules in iptables' words). */
function ownNftTables(ns: Namespace): NftTable[] {
  const saved = new Set<string>();
  for (const ruleset of ns.xtables) {
    if (ruleset.backend !== "nft") continue;
    for (const t of ruleset.tables) saved.add(`${ruleset.family} ${t.name}`);
  }
  return (ns.nft?.tables ?? []).filter((t) => !saved.has(`${t.family} ${t.name}`));
}

function shownTables(ns: Namespace): ShownTable[] {
  const out: ShownTable[] = [];
  for (const { backend, family, file, tables } of ns.xtables) {
    for (const t of tables) {
      const rules = t.chains.reduce((n, c) => n + c.rules.length, 0);
      out.push({
        backend: backend === "nft" ? "iptables-nft" : "iptables-legacy",
        family,
        table: t.name,
        chains: t.chains.length,
        rules,
        source: { file, line: t.line },
      });
    }
  }
  for (const t of ownNftTables(ns)) {
    const rules = t.chains.reduce((n, c) => n + c.rules.length, 0);
    out.push({
      backend: "nftables",
      family: t.family,
      table: t.name,
      chains: t.chains.length,
      rules,
      source: t.source,
    });
  }
  return out;
}

function shownChains(ns: Namespace): ShownChain[] {
  const out: ShownChain[] = [];
  for (const { backend, family, file, tables } of ns.xtables) {
    for (const t of tables) {
      for (const c of t.chains) {
        out.push({
          backend: backend === "nft" ? "iptables-nft" : "iptables-legacy",
          family,
          table: t.name,
          chain: c.name,
          base: c.policy === null ? null : `policy ${c.policy}`,
          rules: c.rules.length,
          source: { file, line: c.line },
        });
      }
    }
  }
  for (const t of ownNftTables(ns)) {
    for (const c of t.chains) {
      const base =
        c.base === null
          ? null
          : `${c.base.type} hook ${c.base.hook} priority ${c.base.priority} policy ${c.base.policy}`;
      const { name: chain, rules, source } = c;
      out.push({ backend: "nftables", family: t.family, table: t.name, chain, base, rules: rules.length, source });
    }
  }
  return out;
}

/** A namespace in a few numbers. */
export function showNamespace(ns: Namespace, peerOf: PeerOf): ShownNamespace {
  const nftSets = ownNftTables(ns).flatMap((t) => t.sets);
  return {
    place: ns.place,
    node: ns.node,
    dir: ns.dir,
    links: ns.links.map((link) => shownLink(ns, link, peerOf)),
    routes: { ipv4: ns.routes4.length, ipv6: ns.routes6.length },
    rules: { ipv4: ns.rules4.length, ipv6: ns.rules6.length },
    neighbours: ns.neighbours.length,
    fdb: ns.fdb.length,
    tables: shownTables(ns),
    sets: {
      count: ns.ipsets.length + nftSets.length,
      entries: ns.ipsets.reduce((n, s) => n + s.entries.length, 0) + nftSets.reduce((n, s) => n + s.elements.length, 0),
    },
    ipvsServices: ns.ipvs.length,
    conntrack: ns.conntrack.length,
    sockets: ns.sockets.length,
    missing: [...ns.missing].map(([aspect, reason]) => ({ aspect, reason })),
  };
}

const ipFamily = (v: 4 | 6): string => (v === 4 ? "ipv4" : "ipv6");

/** Lines of what is kept in one list for each family. */
function families<T extends { source: Source }>(
  v4: readonly T[],
  v6: readonly T[],
  text: (item: T) => string,
): ShownLine[] {
  return [
    ...v4.map((item) => ({ family: "ipv4", text: text(item), source: item.source })),
    ...v6.map((item) => ({ family: "ipv6", text: text(item), source: item.source })),
  ];
}

/** A namespace with everything in it: kubewalk.show/v1 about a place. */
export function showPlace(ns: Namespace, peerOf: PeerOf): ShownPlace {
  return {
    format: "kubewalk.show/v1",
    about: "place",
    namespace: showNamespace(ns, peerOf),
    routes: families(ns.routes4, ns.routes6, routeLine),
    rules: families(ns.rules4, ns.rules6, ruleLine),
    neighbours: [
      ...ns.neighbours.map((n) => ({ family: ipFamily(n.ip.v), text: neighbourLine(n, false), source: n.source })),
      ...ns.proxyNeighbours.map((n) => ({ family: ipFamily(n.ip.v), text: neighbourLine(n, true), source: n.source })),
    ],
    fdb: ns.fdb.map((e) => ({ text: fdbLine(e), source: e.source })),
    chains: shownChains(ns),
    sets: [
      ...ns.ipsets.map((s) => ({ name: s.name, type: s.type, entries: s.entries.length, source: s.source })),
      ...ownNftTables(ns).flatMap((t) =>
        t.sets.map((s) => ({
          name: `${t.family} ${t.name} ${s.name}`,
          type: [s.keyTypes.join(" . "), ...(s.valueType === null ? [] : [s.valueType])].join(" : "),
          entries: s.elements.length,
          source: s.source,
        })),
      ),
    ],
    ipvs: ns.ipvs.flatMap((s) => [
      { text: ipvsLine(s, null), source: s.source },
      ...s.reals.map((r) => ({ text: ipvsLine(s, r), source: r.source })),
    ]),
    conntrack: ns.conntrack.map((e) => ({ family: ipFamily(e.family), text: conntrackLine(e), source: e.source })),
    sockets: ns.sockets.map((s) => ({ family: ipFamily(s.family), text: socketLine(s), source: s.source })),
    sysctls: [...ns.sysctls.values]
      .filter(([key]) => SYSCTLS.test(key))
      .map(([key, { value, line }]) => ({ key, value, source: { file: ns.sysctls.file, line } })),
  };
}
