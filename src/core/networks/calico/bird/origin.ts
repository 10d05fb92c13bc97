/** Routes that begin on a node: its blocks, addresses of others' blocks that it uses, and Services. */
import { parsePrefix, type Prefix } from "../../../model/address.ts";
import { oncePer } from "../../once.ts";
import { within } from "../ipam/range.ts";
import { ofFamily, type BirdInput } from "./input.ts";
import { PREFERENCE_SUM } from "./settings.ts";
import type { Travelling } from "./travelling.ts";

/** What a node tells of its own: blocks, addresses that it borrowed, Services. */
export const originated = oncePer((input: BirdInput): readonly Travelling[] => {
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
  const borrowed = input.borrowed.filter((prefix) => !inOwn(prefix));
  const shown = (prefix: Prefix): boolean => {
    const pool = pools.find((each) => within(prefix, each.cidr));
    return pool !== undefined && !pool.hidden;
  };
  // A block that no pool holds any more is told all the same: the aggregation takes it before the pools are asked.
  const hidden = (prefix: Prefix): boolean => pools.some((pool) => pool.hidden && within(prefix, pool.cidr));
  return [...own.filter((prefix) => !hidden(prefix)), ...told, ...borrowed.filter(shown)].map(start);
});
