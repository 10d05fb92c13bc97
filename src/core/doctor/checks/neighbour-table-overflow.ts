/**
 * The neighbour table of a machine is full or nearly so. One table serves all of its namespaces; beyond gc_thresh2 entries are thrown away
 * early, at gc_thresh3 no new one is made, and programs get "no buffer space available" (neigh_alloc, net/core/neighbour.c). Entries that
 * a program made permanent do not count.
 */
import type { Namespace } from "../../model/namespace.ts";
import type { Source } from "../../model/source.ts";
import { sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { podNetworks } from "../pod-networks.ts";
import { events, logLines } from "../recorded-logs.ts";
import type { Evidence, Undecided } from "../types.ts";

/** From this part of gc_thresh2 on there is little left. */
const NEARLY = 0.9;
/** The kernel's own (net/ipv4/arp.c, arp_tbl). */
const KERNEL_THRESH2 = 512;

const OVERFLOW = /neighbou?r table overflow/i;

interface Table {
  host: Namespace;
  family: "ipv4" | "ipv6";
  count: number;
  /** Namespace with most of the entries. */
  fullest: Namespace;
}

function tablesOf(host: Namespace, namespaces: readonly Namespace[]): Table[] {
  return (["ipv4", "ipv6"] as const).map((family) => {
    const v = family === "ipv4" ? 4 : 6;
    let count = 0;
    let most = -1;
    let fullest = host;
    for (const ns of namespaces) {
      const own = ns.neighbours.filter((each) => each.ip.v === v && each.state !== "PERMANENT").length;
      count += own;
      if (own > most) [most, fullest] = [own, ns];
    }
    return { host, family, count, fullest };
  });
}

const keyOf = (family: string, n: 1 | 2 | 3): string => `net.${family}.neigh.default.gc_thresh${n}`;

/** How many entries a device needs that has every pod of other nodes as a neighbour of its own (flannel up to v0.8: one route for all pods). */
function expected(chart: Chart, host: Namespace): { count: number; source: Source; dev: string } | null {
  for (const link of host.links) {
    if (link.kind.kind !== "vxlan" || !link.kind.l3miss) continue;
    const others = [...podNetworks(chart).pods.values()].filter((pod) => pod.node !== host.node);
    return { count: others.length, source: link.source, dev: link.name };
  }
  return null;
}

function suspicion(chart: Chart, { host, family, count, fullest }: Table, unknown: Undecided[]): Suspicion[] {
  const { sysctls } = host;
  const second = sysctlNumber(sysctls, keyOf(family, 2), 0);
  const third = sysctlNumber(sysctls, keyOf(family, 3), 0);
  const logged = family === "ipv4" ? logLines(chart.snapshot, host.node, OVERFLOW) : [];
  const want = family === "ipv4" ? expected(chart, host) : null;
  if (second <= 0 || third <= 0) {
    // The settings are the machine's own: a namespace that is not its first one does not show them.
    if (logged.length === 0 && count < NEARLY * KERNEL_THRESH2) return [];
    if (logged.length === 0) {
      unknown.push({
        id: "neighbour-table-overflow",
        at: host.place,
        why: `${count} ${family === "ipv4" ? "ARP" : "neighbour discovery"} entries, and ${keyOf(family, 3)} was not recorded`,
      });
      return [];
    }
  }
  const full = third > 0 && count >= third;
  const close = second > 0 && count >= NEARLY * second;
  const wanting = second > 0 && want !== null && want.count >= NEARLY * second;
  if (!full && !close && !wanting && logged.length === 0) return [];
  const settings = ([2, 3] as const)
    .map((n) => sysctlSource(sysctls, keyOf(family, n)))
    .filter((source) => source !== null)
    .map((source) => chart.evidence(source));
  const evidence: Evidence[] = [
    ...settings,
    chart.evidence(
      { file: `${fullest.dir}/neigh.json`, line: 1 },
      `${count} entries in all namespaces of ${host.node}, permanent ones not counted`,
    ),
    ...logged,
    ...(wanting && want !== null
      ? [chart.evidence(want.source, `${want.dev} has every pod of other nodes as a neighbour: ${want.count}`)]
      : []),
    ...events(chart.snapshot, /no buffer space available/i)
      .slice(0, 2)
      .map((each) => each.evidence),
  ];
  const limit = third > 0 ? ` of ${third}` : "";
  const what = full
    ? `is full (${count}${limit}): what has no entry there is not reached, and programs get "no buffer space available"`
    : logged.length > 0
      ? `has overflowed, as the kernel says (${count}${limit} entries now): what has no entry is not reached while it is full`
      : close
        ? `is nearly full (${count}${limit}): beyond ${second} entries the kernel throws away those in use a moment ago, and at ${third} it makes no more`
        : `will not do when ${host.node} talks to all ${want?.count ?? 0} pods of other nodes, each of which is a neighbour: the kernel throws entries away beyond ${second} and makes no more at ${third}`;
  const size = Math.max(count, want?.count ?? 0, 1024) * 4;
  return [
    {
      id: "neighbour-table-overflow",
      at: host.place,
      summary: `The ${family === "ipv4" ? "ARP" : "IPv6 neighbour"} table of ${host.node} ${what}`,
      evidence,
      remedy: [
        `sysctl -w ${keyOf(family, 3)}=${size}`,
        `sysctl -w ${keyOf(family, 2)}=${size / 2}`,
        `sysctl -w ${keyOf(family, 1)}=${size / 4}`,
      ],
      hurts: [],
      otherwise: "warning",
    },
  ];
}

function look(chart: Chart): Diagnosis {
  const byNode = new Map<string, Namespace[]>();
  for (const ns of chart.snapshot.namespaces) {
    const list = byNode.get(ns.node);
    if (list === undefined) byNode.set(ns.node, [ns]);
    else list.push(ns);
  }
  const unknown: Undecided[] = [];
  const suspicions = chart.hosts.flatMap((host) =>
    tablesOf(host, byNode.get(host.node) ?? [host]).flatMap((table) => suspicion(chart, table, unknown)),
  );
  return { suspicions, unknown };
}

export const neighbourTableOverflow: Check = { ids: ["neighbour-table-overflow"], depth: "machine", look };
