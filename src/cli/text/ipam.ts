/** kubewalk.ipam/v1 as aligned columns. */
import type { Count, IpamReport, ReportedNext } from "../../core/networks/calico/ipam/report-types.ts";
import { plural } from "./plural.ts";
import type { Style } from "./style.ts";
import { table } from "./width.ts";

const orDash = (text: string | null): string => (text === null || text === "" ? "-" : text);

/** How full something is, in whole per cent; `<1%` is not none. */
function fill(used: number, size: Count): string {
  if (used === 0) return "0%";
  const percent = (100 * used) / Number(size);
  return percent < 1 ? "<1%" : `${Math.floor(percent)}%`;
}

function section(title: string, head: string[], rows: readonly (readonly string[])[], style: Style): string[] {
  return rows.length === 0 ? [] : ["", style.strong(title), ...table([head, ...rows])];
}

const RULES: Record<ReportedNext["rule"], string> = {
  "owned-block": "own block",
  "new-block": "new block",
  "reclaimed-block": "reclaimed block",
  borrowed: "borrowed",
  requested: "requested",
  "next-in-range": "next in range",
  none: "none",
};

function wrong(report: IpamReport, style: Style): string[] {
  const { exhausted, leaked, unrecorded, duplicates, podCIDRs } = report;
  return [
    ...exhausted.map((each) => `${style.bad("exhausted")}  ${each.node} IPv${each.family}: ${each.because}`),
    ...duplicates.map(
      (each) =>
        `${style.bad("duplicate")}  ${each.address} belongs to ${each.pods.map((pod) => `${pod.namespace}/${pod.name}`).join(", ")}`,
    ),
    ...unrecorded.map(
      (each) =>
        `${style.bad("unrecorded")} ${each.address} of ${each.namespace}/${each.name} on ${orDash(each.node)} was given out nowhere`,
    ),
    ...leaked.map(
      (each) => `${style.bad("leaked")}     ${each.address} of ${each.from} on ${orDash(each.node)}: ${each.because}`,
    ),
    ...(podCIDRs?.problems ?? []).map((each) => `${style.bad("podCIDR")}    ${each.because}`),
  ];
}

function verdict(report: IpamReport, problems: number, style: Style): string {
  const { pools, blocks, ranges } = report;
  if (pools.length === 0 && ranges.length === 0)
    return style.unsure("nothing was recorded of who gives out addresses: no IP pool, no configuration of host-local");
  const counts = [
    [pools.length, "pool"],
    [blocks.length, "block"],
    [ranges.length, "range"],
  ] as const;
  const said = counts.filter(([n]) => n > 0).map(([n, one]) => plural(n, one));
  const state = problems === 0 ? style.good("nothing wrong") : style.bad(plural(problems, "problem"));
  return `${state}: ${said.join(", ")}`;
}

/** The report as text. */
export function ipamLines(report: IpamReport, style: Style): string[] {
  const problems = wrong(report, style);
  return [
    verdict(report, problems.length, style),
    ...problems.map((line) => `  ${line}`),
    ...section(
      "Pools",
      ["NAME", "CIDR", "ADDRESSES", "USED", "FILL", "BLOCKS", "CLAIMED", "UNCLAIMED", "USES"],
      report.pools.map((pool) => [
        pool.name,
        pool.cidr,
        String(pool.addresses.size),
        String(pool.addresses.used),
        fill(pool.addresses.used, pool.addresses.size),
        `${pool.blocks.size} of /${pool.blockSize}`,
        String(pool.blocks.claimed),
        String(pool.blocks.unclaimed),
        [...(pool.disabled ? ["disabled"] : []), ...(pool.automatic ? [] : ["on request"]), ...pool.uses].join(","),
      ]),
      style,
    ),
    ...section(
      "Blocks",
      ["CIDR", "NODE", "POOL", "USED", "FREE", "FILL", "BORROWED", "AFFINITY"],
      report.blocks.map((block) => [
        block.cidr,
        orDash(block.node),
        orDash(block.pool),
        String(block.used),
        String(block.free),
        fill(block.used, block.size),
        String(block.borrowed),
        orDash(block.affinity),
      ]),
      style,
    ),
    ...section(
      "Ranges",
      ["NODE", "NETWORK", "RANGE", "ADDRESSES", "USED", "FILL", "LAST"],
      report.ranges.map((range) => [
        range.node,
        range.network,
        range.cidrs.join(","),
        String(range.size),
        String(range.used),
        fill(range.used, range.size),
        orDash(range.last),
      ]),
      style,
    ),
    ...section(
      "podCIDRs of nodes",
      ["CLUSTER RANGE", "NODES OF", "ROOM FOR", "USED", "FILL"],
      (report.podCIDRs?.cluster ?? []).map((each) => [
        each.cidr,
        `/${each.nodeMask}`,
        String(each.nodes),
        String(each.used),
        fill(each.used, each.nodes),
      ]),
      style,
    ),
    ...section(
      "Next",
      ["NODE", "ADDRESS", "RULE", "BECAUSE"],
      report.next.map((each) => [
        each.node,
        each.address ?? (each.rule === "none" ? "none" : "any"),
        RULES[each.rule],
        style.quiet(each.because),
      ]),
      style,
    ),
  ];
}
