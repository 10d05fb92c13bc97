/** kubewalk.show/v1 as aligned columns. */
import type { ShownLine, ShownNamespace, ShownPlace, ShownSnapshot, ShownTable } from "../../core/show/types.ts";
import { plural } from "./plural.ts";
import { formatSource } from "./source.ts";
import type { Style } from "./style.ts";
import { table } from "./width.ts";

const orDash = (text: string | null | undefined): string =>
  text === null || text === undefined || text === "" ? "-" : text;
const list = (items: readonly string[]): string => orDash(items.join(","));
function section(title: string, rows: readonly (readonly string[])[], style: Style): string[] {
  if (rows.length < 2) return [];
  return ["", style.strong(title), ...table(rows)];
}

function tableName(t: Pick<ShownTable, "family" | "table">): string {
  return `${t.family} ${t.table}`;
}

/** `iptables-nft ip: filter 21, nat 142; nftables inet: kube-proxy 180`. */
function rulesText(ns: ShownNamespace): string {
  const byBackend = new Map<string, string[]>();
  for (const t of ns.tables) {
    if (t.rules === 0) continue;
    const key = `${t.backend} ${t.family}`;
    byBackend.set(key, [...(byBackend.get(key) ?? []), `${t.table} ${t.rules}`]);
  }
  return orDash([...byBackend].map(([key, tables]) => `${key}: ${tables.join(", ")}`).join("; "));
}

function totals(shown: ShownSnapshot): string {
  const sum = (of: (ns: ShownNamespace) => number): number => shown.namespaces.reduce((n, ns) => n + of(ns), 0);
  return [
    plural(shown.nodes.length, "node"),
    plural(shown.namespaces.length, "namespace"),
    plural(shown.pods.length, "pod"),
    plural(shown.services.length, "Service"),
    plural(
      sum((ns) => ns.tables.reduce((n, t) => n + t.rules, 0)),
      "rule",
    ),
    plural(
      sum((ns) => ns.routes.ipv4 + ns.routes.ipv6),
      "route",
    ),
    plural(
      sum((ns) => ns.conntrack),
      "connection",
    ),
  ].join(", ");
}

/** A snapshot as text. */
export function showSnapshotLines(shown: ShownSnapshot, style: Style): string[] {
  const info = Object.entries(shown.info)
    .filter(([key, value]) => !["format", "takenAt", "nodes"].includes(key) && typeof value !== "object")
    .map(([key, value]) => `${key} ${String(value)}`);
  const head = [shown.takenAt === null ? "taken at an unknown time" : `taken ${shown.takenAt}`, ...info].join(", ");
  const machines = [
    ...shown.nodes.map((n) => ({ ...n, role: "node" })),
    ...shown.beside.map((n) => ({ ...n, role: "beside" })),
  ];
  const out = [style.strong(totals(shown)), style.quiet(head)];
  out.push(
    ...section(
      "Machines",
      [
        ["NAME", "ROLE", "ADDRESSES", "NAMESPACES"],
        ...machines.map((m) => [m.name, m.role, list(m.addresses), m.places === 0 ? "not recorded" : String(m.places)]),
      ],
      style,
    ),
    ...section(
      "Segments",
      [
        ["NAME", "ATTACHED"],
        ...(shown.segments ?? []).map((s) => [s.name, list(s.attached.map((a) => `${a.node}:${a.dev}`))]),
      ],
      style,
    ),
    ...section(
      "Pods",
      [
        ["NAMESPACE", "NAME", "PHASE", "NODE", "ADDRESSES", "PLACE"],
        ...shown.pods.map((p) => [
          p.namespace,
          p.name,
          orDash(p.phase),
          orDash(p.node),
          list(p.addresses),
          p.place ?? "not recorded",
        ]),
      ],
      style,
    ),
    ...section(
      "Services",
      [
        ["NAMESPACE", "NAME", "TYPE", "ADDRESSES", "PORTS", "READY"],
        ...shown.services.map((s) => [
          s.namespace,
          s.name,
          s.type,
          list(s.addresses),
          list(s.ports),
          String(s.readyEndpoints),
        ]),
      ],
      style,
    ),
    ...section(
      "Namespaces",
      [
        ["PLACE", "LINKS", "ROUTES", "SETS", "CONNTRACK", "SOCKETS", "RULES"],
        ...shown.namespaces.map((ns) => [
          ns.place,
          String(ns.links.length),
          String(ns.routes.ipv4 + ns.routes.ipv6),
          String(ns.sets.count),
          String(ns.conntrack),
          String(ns.sockets),
          rulesText(ns),
        ]),
      ],
      style,
    ),
    ...section(
      "Links",
      [
        ["PLACE", "NAME", "KIND", "STATE", "MTU", "ADDRESSES", "MASTER", "PEER"],
        ...shown.namespaces.flatMap((ns) => linkRows(ns, true)),
      ],
      style,
    ),
    ...section(
      "Missing",
      [
        ["WHAT", "WHY"],
        ...shown.missing.map((m) => [m.resource, m.reason]),
        ...shown.namespaces.flatMap((ns) => ns.missing.map((m) => [`${ns.place} ${m.aspect}`, m.reason])),
      ],
      style,
    ),
    ...section(
      "Problems",
      [["WHERE", "WHAT"], ...shown.problems.map((p) => [`${p.file}:${p.line}`, p.message])],
      style,
    ),
  );
  return out;
}

function linkRows(ns: ShownNamespace, withPlace: boolean): string[][] {
  return ns.links
    .filter((l) => !withPlace || l.name !== "lo")
    .map((l) => [
      ...(withPlace ? [ns.place] : [String(l.index)]),
      l.name,
      l.kind,
      l.up ? (l.carrier ? "up" : "no carrier") : "down",
      String(l.mtu),
      list(l.addresses),
      orDash(l.master),
      l.peer === null ? "-" : `${l.peer.at} ${l.peer.dev}`,
    ]);
}

function lines(title: string, items: readonly ShownLine[], style: Style): string[] {
  if (items.length === 0) return [];
  const rows = items.map((i) => [i.text, style.quiet(formatSource(i.source))]);
  return ["", style.strong(title), ...table(rows)];
}

const inFamily = (items: readonly ShownLine[], family: string): ShownLine[] => items.filter((i) => i.family === family);

/** A place with everything in it, as text. */
export function showPlaceLines(shown: ShownPlace, style: Style): string[] {
  const ns = shown.namespace;
  return [
    style.strong(ns.place),
    style.quiet(ns.dir),
    ...section(
      "Links",
      [["INDEX", "NAME", "KIND", "STATE", "MTU", "ADDRESSES", "MASTER", "PEER"], ...linkRows(ns, false)],
      style,
    ),
    ...lines("Rules of routing, IPv4", inFamily(shown.rules, "ipv4"), style),
    ...lines("Routes, IPv4", inFamily(shown.routes, "ipv4"), style),
    ...lines("Rules of routing, IPv6", inFamily(shown.rules, "ipv6"), style),
    ...lines("Routes, IPv6", inFamily(shown.routes, "ipv6"), style),
    ...lines("Neighbours", shown.neighbours, style),
    ...lines("Forwarding database", shown.fdb, style),
    ...section(
      "Chains",
      [
        ["BACKEND", "TABLE", "CHAIN", "BASE", "RULES", "WHERE"],
        ...shown.chains.map((c) => [
          c.backend,
          tableName(c),
          c.chain,
          orDash(c.base),
          String(c.rules),
          style.quiet(formatSource(c.source)),
        ]),
      ],
      style,
    ),
    ...section(
      "Sets",
      [
        ["NAME", "TYPE", "ENTRIES", "WHERE"],
        ...shown.sets.map((s) => [s.name, s.type, String(s.entries), style.quiet(formatSource(s.source))]),
      ],
      style,
    ),
    ...lines("IPVS", shown.ipvs, style),
    ...lines("Connections", shown.conntrack, style),
    ...lines("Sockets", shown.sockets, style),
    ...lines(
      "Settings",
      shown.sysctls.map((s) => ({ text: `${s.key} = ${s.value}`, source: s.source })),
      style,
    ),
    ...section("Missing", [["WHAT", "WHY"], ...ns.missing.map((m) => [m.aspect, m.reason])], style),
  ];
}
