/** What `kubewalk ipam` says of a snapshot: pools, blocks and ranges, how full they are, who gets the next address, what is wrong. */
import { formatIp, formatPrefix } from "../../../model/address.ts";
import { cniNetworkOf } from "../../cni/conflist.ts";
import { nodesOf, type Machine, type Site } from "../../site.ts";
import { nextAddress } from "./assign.ts";
import { freeIn } from "./block.ts";
import { localSize, nextLocal, type LocalState } from "./host-local.ts";
import { readHostLocal } from "./host-local-read.ts";
import { calicoLeaks, duplicateAddresses, localLeaks, unrecordedAddresses } from "./leaks.ts";
import { poolFor } from "./ownership.ts";
import { podCidrs } from "./pod-cidrs.ts";
import { enabledPools } from "./pools.ts";
import { sizeOf, within } from "./range.ts";
import { object, resources, seconds, texts, type Resource } from "../../raw.ts";
import { readIpam } from "./read.ts";
import type { Count, IpamReport, ReportedBlock, ReportedNext, ReportedPool, ReportedRange } from "./report-types.ts";
import { ownerName, sameOwner, type IpamState, type Pool } from "./state.ts";
import { blockCount, unclaimedCount } from "./walk.ts";

export interface ReportOptions {
  /** This node alone; null for all. */
  node: string | null;
  /** Namespace of the pod that gets the next address. */
  namespace: string;
  /** How many pods to give an address, one after the other, on each node by itself. */
  pods: number;
}

function count(n: bigint): Count {
  return n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n.toString();
}

function reportPool(state: IpamState, pool: Pool): ReportedPool {
  const blocks = [...state.blocks.values()].filter(({ prefix }) => within(prefix, pool.prefix));
  return {
    name: pool.name,
    cidr: formatPrefix(pool.prefix),
    blockSize: pool.blockSize,
    disabled: pool.disabled,
    uses: [...pool.uses],
    nodeSelector: pool.nodeSelector,
    namespaceSelector: pool.namespaceSelector,
    automatic: pool.automatic,
    addresses: {
      size: count(sizeOf(pool.prefix)),
      used: blocks.reduce((sum, block) => sum + block.allocations.size, 0),
    },
    blocks: { size: count(blockCount(pool)), claimed: blocks.length, unclaimed: count(unclaimedCount(state, pool)) },
  };
}

function reportBlocks(state: IpamState, node: string | null): ReportedBlock[] {
  return [...state.blocks].flatMap(([cidr, block]): ReportedBlock[] => {
    if (node !== null && block.owner?.host !== node) return [];
    const affinity = state.affinities.find(
      (each) => sameOwner(each.owner, block.owner) && formatPrefix(each.prefix) === cidr,
    );
    const users = [...block.allocations.values()].map(({ attributes }) => attributes["node"]);
    return [
      {
        cidr,
        pool: poolFor(state.pools, block.prefix.ip)?.name ?? null,
        node: block.owner === null ? null : ownerName(block.owner),
        affinity: affinity?.state ?? null,
        size: Number(sizeOf(block.prefix)),
        used: block.allocations.size,
        free: freeIn(block, state.reserved),
        borrowed: users.filter((user) => user !== undefined && user !== block.owner?.host).length,
      },
    ];
  });
}

function reportRanges(local: LocalState): ReportedRange[] {
  return local.sets.map((set) => {
    const family = set.ranges[0]?.prefix.ip.v;
    return {
      node: local.node,
      network: local.network,
      cidrs: set.ranges.map((range) => formatPrefix(range.prefix)),
      size: count(localSize(set)),
      used: [...local.taken.keys()].filter((address) => address.includes(":") === (family === 6)).length,
      last: set.last === null ? null : formatIp(set.last),
    };
  });
}

/** Pools that the CNI configuration of a node asks for; none when it was not recorded. */
function configuredPools(machine: Machine | undefined, family: 4 | 6): string[] {
  const plugins = (machine === undefined ? null : cniNetworkOf(machine))?.plugins ?? [];
  return plugins.flatMap(({ conf }) => texts(object(conf["ipam"])[`ipv${family}_pools`]));
}

const FAMILIES = [4, 6] as const;

/** The next pods of one node, each with what is left after the one before. */
function nextOfCalico(
  state: IpamState,
  node: string,
  machine: Machine | undefined,
  namespace: Resource | null,
  pods: number,
): ReportedNext[][] {
  return FAMILIES.filter((family) =>
    enabledPools(state, family).some((pool) => pool.automatic && pool.uses.includes("Workload")),
  ).map((family) => {
    const request = { node, family, namespace, configured: configuredPools(machine, family) };
    const out: ReportedNext[] = [];
    let current = state;
    while (out.length < pods && out.at(-1)?.address !== null) {
      const found = nextAddress(current, request);
      const { address, block, pool, rule, from, why } = found.assignment;
      out.push({ node, family, address, from: block, pool, rule, owner: from, because: why });
      current = found.state;
    }
    return out;
  });
}

/** The next pods of a range set. */
function nextOfSet(local: LocalState, place: number, pods: number): ReportedNext[] {
  const cidrs = local.sets[place]!.ranges.map((range) => formatPrefix(range.prefix)).join(", ");
  const family = local.sets[place]!.ranges[0]?.prefix.ip.v ?? 4;
  const out: ReportedNext[] = [];
  let current = local;
  while (out.length < pods && out.at(-1)?.address !== null) {
    const { last } = current.sets[place]!;
    const { address, state } = nextLocal(current, place);
    const after = last === null ? "" : ` after ${formatIp(last)}, which was given out last`;
    const because = address === null ? `every address of ${cidrs} is in use` : `the first free one of ${cidrs}${after}`;
    const rule = address === null ? "none" : "next-in-range";
    out.push({ node: local.node, family, address, from: cidrs, pool: null, rule, owner: null, because });
    current = state;
  }
  return out;
}

/** Namespaces that every cluster has. */
const BORN = new Set(["default", "kube-system", "kube-public", "kube-node-lease"]);

/** The report; null when there is no such namespace. `takenAt`: when the snapshot was taken, RFC 3339; it decides which empty blocks may be reclaimed. */
export function reportIpam(site: Site, takenAt: string | null, options: ReportOptions): IpamReport | null {
  const { node, namespace, pods } = options;
  const { cluster } = site;
  const byName = new Map(nodesOf(site).map((machine) => [machine.name, machine]));
  const names = cluster.nodes.map((each) => each.name).filter((name) => node === null || name === node);
  const state = readIpam(cluster, seconds(takenAt));
  const all = nodesOf(site)
    .map(readHostLocal)
    .filter((each) => each !== null);
  const local = all.filter((each) => node === null || each.node === node);
  const here = (each: { node: string | null }): boolean => node === null || each.node === node;
  const namespaces = resources(cluster, "namespaces");
  const ns = namespaces.find((each) => each.name === namespace) ?? null;
  if (ns === null && namespaces.length > 0 && !BORN.has(namespace)) return null;
  // What each node gets of one kind, in order.
  const lines = names.flatMap((name): ReportedNext[][] => {
    const ranges = local.find((each) => each.node === name);
    if (ranges !== undefined) return ranges.sets.map((_, place) => nextOfSet(ranges, place, pods));
    return state === null ? [] : nextOfCalico(state, name, byName.get(name), ns, pods);
  });
  const cidrs = podCidrs(site);
  const follows = all.length > 0;
  return {
    format: "kubewalk.ipam/v1",
    takenAt,
    pools: (state?.pools ?? []).map((pool) => reportPool(state!, pool)),
    blocks: state === null ? [] : reportBlocks(state, node),
    ranges: local.flatMap(reportRanges),
    podCIDRs: follows
      ? {
          cluster: cidrs.cluster.map(({ cidr, nodeMask, size, used }) => ({
            cidr,
            nodeMask,
            nodes: count(size),
            used,
          })),
          nodes: cidrs.nodes.filter(here),
          problems: cidrs.problems.filter(here).map(({ node: of, kind, why }) => ({ node: of, kind, because: why })),
        }
      : null,
    next: lines.flat(),
    leaked: [
      ...(state === null ? [] : calicoLeaks(cluster, state)),
      ...local.flatMap((each) => localLeaks(cluster, each)),
    ].filter(here),
    unrecorded: unrecordedAddresses(cluster, state, new Map(all.map((each) => [each.node, each]))).filter(here),
    duplicates: duplicateAddresses(cluster),
    exhausted: lines.flatMap(([first]) =>
      first?.rule === "none" ? [{ node: first.node, family: first.family, because: first.because }] : [],
    ),
  };
}
