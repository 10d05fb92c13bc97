/**
 * Connections from behind one masquerading address to one destination need a source port each, and there are 64,512 of them, or as
 * many as the rule's range names (net/netfilter/nf_nat_core.c, nf_nat_l4proto_unique_tuple). When a free one is not found in the
 * kernel's bounded search, the first packet is dropped; before that, insert_failed rises as two packets pick the same port.
 */
import { formatIp } from "../../model/address.ts";
import type { CtEntry } from "../../model/conntrack.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Source } from "../../model/source.ts";
import { alikeRules, type Range as PortRange, type XtTarget } from "../../model/xtables.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { conntrackStat } from "../stats.ts";

const PROTOS: Record<number, string> = { 6: "TCP", 17: "UDP" };
/** Source ports from 1024 on are exchanged among themselves. */
const FIRST = 1024;
const LAST = 65535;
/** From this part of the ports on. */
const NEARLY = 0.9;
/** Fewer connections than this to one destination are nobody's trouble, unless a rule's range is small. */
const WORTH_LOOKING = 8;

interface Group {
  address: string;
  destination: string;
  proto: number;
  family: 4 | 6;
  /** Ports on the masquerading address, each with an entry that uses it. */
  ports: Map<number, CtEntry>;
}

interface Range {
  first: number;
  last: number;
  /** The rule that limits it; null for the kernel's own. */
  source: Source | null;
  to: string | null;
  proto: number | null;
  family: 4 | 6;
}

const isRecord = (value: NftJson | undefined): value is { [key: string]: NftJson } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The range of ports that a target names for the source. */
function portsOf(target: XtTarget): PortRange | null {
  if (target.t === "masquerade") return target.ports;
  return target.t === "snat" ? target.range.ports : null;
}

/** Port ranges that SNAT and masquerade rules of a namespace name. */
function ranges(host: Namespace): Range[] {
  const found: Range[] = [];
  for (const set of host.xtables)
    for (const table of set.tables)
      for (const chain of table.chains) {
        if (!alikeRules(chain).some(({ target }) => portsOf(target) !== null)) continue;
        for (const { target, line, matches } of chain.rules) {
          const ports = portsOf(target);
          if (ports === null) continue;
          const proto = matches.find((match) => match.m === "proto");
          const to = target.t === "snat" && target.range.min !== null ? formatIp(target.range.min) : null;
          found.push({
            first: ports[0],
            last: ports[1],
            source: { file: set.file, line },
            to,
            proto: proto?.m === "proto" && !proto.not ? proto.proto : null,
            family: set.family === "ip" ? 4 : 6,
          });
        }
      }
  // Rules that iptables shows as well stand in tables of its own names.
  const own = host.xtables.length > 0 ? new Set(["nat", "filter", "mangle", "raw"]) : new Set<string>();
  for (const table of host.nft?.tables ?? []) {
    if (own.has(table.name) || (table.family !== "ip" && table.family !== "ip6")) continue;
    for (const chain of table.chains)
      for (const { expr, source } of chain.rules)
        for (const statement of expr) {
          const nat = isRecord(statement) ? (statement["masquerade"] ?? statement["snat"]) : undefined;
          const port = isRecord(nat) ? nat["port"] : undefined;
          const pair = isRecord(port) && Array.isArray(port["range"]) ? port["range"] : [port, port];
          const [first, last] = pair;
          if (typeof first !== "number" || typeof last !== "number") continue;
          const to = isRecord(nat) && typeof nat["addr"] === "string" ? nat["addr"] : null;
          found.push({ first, last, source, to, proto: null, family: table.family === "ip" ? 4 : 6 });
        }
  }
  return found;
}

/** Masqueraded connections by address, protocol and destination. */
function groups(host: Namespace): Group[] {
  const found = new Map<string, Group>();
  for (const entry of host.conntrack) {
    const { orig, reply, proto, family } = entry;
    if (PROTOS[proto] === undefined || reply.dst.key === orig.src.key) continue;
    // The address in the client's place, and where the connection goes in truth.
    const key = `${proto} ${reply.dst.key} ${reply.src.key} ${reply.sport} ${entry.zone}`;
    let group = found.get(key);
    if (group === undefined) {
      const address = formatIp(reply.src);
      found.set(
        key,
        (group = {
          address: formatIp(reply.dst),
          destination: family === 6 ? `[${address}]:${reply.sport}` : `${address}:${reply.sport}`,
          proto,
          family,
          ports: new Map(),
        }),
      );
    }
    group.ports.set(reply.dport, entry);
  }
  return [...found.values()].filter(({ ports }) => ports.size >= WORTH_LOOKING);
}

/** Of all the ranges that may apply to a group the one that its ports lie in; the kernel's own when none does. */
function rangeOf(all: readonly Range[], group: Group): Range {
  const ports = [...group.ports.keys()];
  const fits = all.filter(
    (range) =>
      range.family === group.family &&
      (range.to === null || range.to === group.address) &&
      (range.proto === null || range.proto === group.proto) &&
      ports.every((port) => port >= range.first && port <= range.last),
  );
  const [narrowest] = fits.toSorted((x, y) => x.last - x.first - (y.last - y.first));
  return narrowest ?? { first: FIRST, last: LAST, source: null, to: null, proto: null, family: group.family };
}

function suspicion(chart: Chart, host: Namespace, group: Group, range: Range): Suspicion[] {
  const total = range.last - range.first + 1;
  const used = [...group.ports.keys()].filter((port) => port >= range.first && port <= range.last).length;
  if (used < NEARLY * total) return [];
  const failed = conntrackStat(chart.snapshot, host, "insert_failed");
  const sample = [...group.ports.values()].slice(0, 2);
  const proto = PROTOS[group.proto] ?? "";
  const left = total - used;
  return [
    {
      id: "snat-ports-exhausted",
      at: host.place,
      summary: `${used} of ${total} source ports of ${group.address} are in use for ${proto} to ${group.destination} on ${host.node}: ${
        left === 0
          ? "new connections there from masqueraded clients fail until one ends"
          : `when the last ${left} are taken, new connections there from masqueraded clients fail`
      }`,
      evidence: [
        ...(range.source === null ? [] : [chart.evidence(range.source)]),
        ...sample.map((entry) => chart.evidence(entry.source)),
        ...(failed === null || failed.value === 0 ? [] : [chart.evidence(failed.source)]),
      ],
      remedy: [
        range.source === null
          ? `# give ${host.node} more addresses to masquerade with (SNAT --to-source A-B), or let clients keep connections open and use them again`
          : `# widen the port range of the rule in ${range.source.file}:${range.source.line}`,
        ...(proto === "TCP"
          ? [
              "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=30   # ports of ended connections are free sooner",
            ]
          : []),
      ],
      hurts: [],
      otherwise: "warning",
    },
  ];
}

export const snatPorts: Check = {
  ids: ["snat-ports-exhausted"],
  depth: "traffic",
  look: (chart): Diagnosis => ({
    suspicions: chart.hosts.flatMap((host) => {
      const busy = groups(host);
      if (busy.length === 0) return [];
      const all = ranges(host);
      return busy.flatMap((group) => suspicion(chart, host, group, rangeOf(all, group)));
    }),
  }),
};
