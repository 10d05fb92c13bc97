/** What each node may give out where networks follow the nodes' podCIDRs: these ranges against the cluster's. */
import { formatPrefix, parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { flagOf } from "../../flags.ts";
import { nodesOf, type Machine, type Site } from "../../site.ts";
import { overlap, within } from "./range.ts";

/** Something wrong with the nodes' podCIDRs. */
export interface CidrProblem {
  node: string;
  kind: "missing" | "outside" | "overlaps";
  /** A sentence. */
  why: string;
}

export interface PodCidrs {
  /** Ranges that the nodes' are cut out of, with how many nodes each holds in all and so far. Empty when no program said which. */
  cluster: { cidr: string; nodeMask: number; size: bigint; used: number }[];
  nodes: { node: string; podCIDRs: string[] }[];
  problems: CidrProblem[];
}

const prefixes = (text: string): Prefix[] =>
  text
    .split(",")
    .map((each) => parsePrefix(each.trim()))
    .filter((each) => each !== null);

/** Value of a program's flag; null when it is not there. */
function flag(machine: Machine, program: string, name: string): string | null {
  return flagOf(machine.command(program)?.words ?? [], name);
}

/** The cluster's ranges: of the controller manager, which cuts them up, else as kube-proxy was told. */
function clusterRanges(site: Site): { ranges: Prefix[]; maskOf: (family: 4 | 6) => number } {
  const from = (machine: Machine): string | null => flag(machine, "kube-controller-manager", "cluster-cidr");
  const manager = site.machines.find((machine) => from(machine) !== null);
  const maskOf = (family: 4 | 6): number => {
    const said = (name: string): number | null => {
      const value = manager === undefined ? null : flag(manager, "kube-controller-manager", name);
      return value === null || !/^\d+$/.test(value) ? null : Number(value);
    };
    // Defaults of kube-controller-manager's node IPAM (cmd/kube-controller-manager/app/core.go).
    return said(`node-cidr-mask-size-ipv${family}`) ?? (family === 4 ? (said("node-cidr-mask-size") ?? 24) : 64);
  };
  if (manager !== undefined) return { ranges: prefixes(from(manager) ?? ""), maskOf };
  for (const machine of site.machines) {
    const config = machine.file("kube-proxy.yaml")?.text ?? "";
    const said =
      flag(machine, "kube-proxy", "cluster-cidr") ??
      /"?clusterCIDR"?\s*:\s*"?([0-9a-fA-F.:/,]+)/.exec(config)?.[1] ??
      null;
    if (said !== null) return { ranges: prefixes(said), maskOf };
  }
  return { ranges: [], maskOf };
}

function problemsOf(nodes: Cluster["nodes"], ranges: readonly Prefix[]): CidrProblem[] {
  const problems: CidrProblem[] = [];
  const seen: { node: string; prefix: Prefix }[] = [];
  for (const { name: node, podCIDRs } of nodes) {
    if (podCIDRs.length === 0) problems.push({ node, kind: "missing", why: `${node} has no podCIDR` });
    for (const prefix of podCIDRs.map(parsePrefix).filter((each) => each !== null)) {
      const cidr = formatPrefix(prefix);
      const family = ranges.filter((range) => range.ip.v === prefix.ip.v);
      if (family.length > 0 && !family.some((range) => within(prefix, range)))
        problems.push({
          node,
          kind: "outside",
          why: `${cidr} of ${node} is not in ${family.map(formatPrefix).join(", ")}`,
        });
      const other = seen.find((each) => each.node !== node && overlap(each.prefix, prefix));
      if (other !== undefined)
        problems.push({
          node,
          kind: "overlaps",
          why: `${cidr} of ${node} overlaps ${formatPrefix(other.prefix)} of ${other.node}`,
        });
      seen.push({ node, prefix });
    }
  }
  return problems;
}

/** The nodes' podCIDRs against the cluster's ranges. */
export function podCidrs(site: Site): PodCidrs {
  const nodes = nodesOf(site).map(({ node }) => node);
  const { ranges, maskOf } = clusterRanges(site);
  const given = nodes.flatMap((node) => node.podCIDRs.map(parsePrefix).filter((each) => each !== null));
  return {
    cluster: ranges.map((range) => ({
      cidr: formatPrefix(range),
      nodeMask: maskOf(range.ip.v),
      size: 1n << BigInt(Math.max(0, maskOf(range.ip.v) - range.len)),
      used: given.filter((prefix) => within(prefix, range)).length,
    })),
    nodes: nodes.map(({ name, podCIDRs }) => ({ node: name, podCIDRs })),
    problems: problemsOf(nodes, ranges),
  };
}
