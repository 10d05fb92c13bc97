/** Routes that begin on a node: its blocks, addresses of others' blocks that it uses, and Services. */
import { parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Cluster } from "../../../model/cluster.ts";
import { nth, within } from "../ipam/range.ts";
import { readIpam } from "../ipam/read.ts";
import { oncePer } from "../once.ts";
import { ofFamily, type BirdInput } from "./input.ts";
import { PREFERENCE_SUM } from "./settings.ts";
import type { Travelling } from "./travelling.ts";

/** Addresses that nodes use of others' blocks, one by one. */
const borrowedByNode = oncePer((cluster: Cluster) => {
  const out = new Map<string, Prefix[]>();
  for (const { prefix, allocations, owner } of readIpam(cluster, null)?.blocks.values() ?? []) {
    for (const { ordinal, attributes } of allocations.values()) {
      const node = attributes["node"];
      if (node === undefined || node === owner?.host) continue;
      const address = { ip: nth(prefix, ordinal), len: prefix.ip.v === 4 ? 32 : 128 };
      const list = out.get(node);
      if (list === undefined) out.set(node, [address]);
      else list.push(address);
    }
  }
  return out;
});

/** What a node tells of its own: blocks, addresses that it borrowed, Services. */
export function originated(cluster: Cluster, input: BirdInput): Travelling[] {
  const { node, family, blocks, services, settings, pools } = input;
  const start = (prefix: Prefix): Travelling => ({
    prefix,
    origin: node.name,
    nextHop: node.address[family] ?? "",
    preference: PREFERENCE_SUM - settings.priority[family],
    asPath: [],
    clusters: [],
    neighbour: null,
    internally: false,
    certain: true,
  });
  const own = blocks.map(({ prefix }) => prefix);
  const told = ofFamily(services.announced, family)
    .map(parsePrefix)
    .filter((prefix) => prefix !== null);
  const inOwn = (prefix: Prefix): boolean => own.some((block) => within(prefix, block));
  const borrowed = (borrowedByNode(cluster).get(node.name) ?? []).filter(
    (prefix) => prefix.ip.v === family && !inOwn(prefix),
  );
  const shown = (prefix: Prefix): boolean => {
    const pool = pools.find((each) => within(prefix, each.cidr));
    return pool !== undefined && !pool.hidden;
  };
  // A block that no pool holds any more is told all the same: the aggregation takes it before the pools are asked.
  const hidden = (prefix: Prefix): boolean => pools.some((pool) => pool.hidden && within(prefix, pool.cidr));
  return [...own.filter((prefix) => !hidden(prefix)), ...told, ...borrowed.filter(shown)].map(start);
}
