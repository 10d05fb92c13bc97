/**
 * Looking for an address block by block (libcalico-go/lib/ipam: findOrClaimBlock, findUsableBlock, and the end of autoAssign).
 */
import { formatIp, formatPrefix } from "../../../model/address.ts";
import { freeIn, isEmpty, takeNext, whollyReserved, type Holder } from "./block.ts";
import { claim, poolFor, putBlock, release } from "./ownership.ts";
import { ownerName, sameOwner, type Affinity, type Block, type IpamState, type Owner, type Pool } from "./state.ts";
import { existingBlocks, firstUnclaimed, placeOf, startsAnywhere, unclaimedCount } from "./walk.ts";

/** Seconds for which a block that another host claimed is left to it though it is empty (EmptyBlockMinReclaimAge). */
const MIN_RECLAIM_AGE = 60;

/** How the address was found. */
export type Rule = "owned-block" | "new-block" | "reclaimed-block" | "borrowed" | "requested" | "none";

export interface Assignment {
  /** Null when there is none, or nobody can know which. */
  address: string | null;
  block: string | null;
  pool: string | null;
  rule: Rule;
  /** Whose block it was, when it was another's. */
  from: string | null;
  /** A sentence. */
  why: string;
}

/** What was found, and the state afterwards. */
export interface Found {
  assignment: Assignment;
  state: IpamState;
}

/** That there is no address, and why. */
export function none(state: IpamState, why: string): Found {
  return { state, assignment: { address: null, block: null, pool: null, rule: "none", from: null, why } };
}

/** Who looks, where, and for whom. */
export interface Search {
  owner: Owner;
  pools: readonly Pool[];
  holder: Holder;
}

/** Takes the block's next address; the block must have one. */
function takeFrom(state: IpamState, block: Block, search: Search, rule: Rule, from: Owner | null, why: string): Found {
  const taken = takeNext(block, search.holder, state.reserved);
  if (taken === null) return none(state, `block ${formatPrefix(block.prefix)} has no address that is not reserved`);
  const assignment: Assignment = {
    address: formatIp(taken.ip),
    block: formatPrefix(block.prefix),
    pool: poolFor(search.pools, block.prefix.ip)?.name ?? null,
    rule,
    from: from === null ? null : ownerName(from),
    why,
  };
  return { state: putBlock(state, taken.block), assignment };
}

/** The host's own blocks, by the names of its affinities: the first with a free address. */
export function fromOwnBlocks(state: IpamState, mine: readonly Affinity[], search: Search): Found | null {
  let current = state;
  for (const { prefix } of mine) {
    if (whollyReserved(prefix, state.reserved)) continue;
    const key = formatPrefix(prefix);
    let block = current.blocks.get(key);
    // An affinity whose block was never made is made good; one whose block belongs to another is dropped.
    if (block === undefined) ({ state: current, block } = claim(current, prefix, search.owner));
    else if (!sameOwner(block.owner, search.owner)) {
      const stale = (each: Affinity): boolean =>
        sameOwner(each.owner, search.owner) && formatPrefix(each.prefix) === key;
      current = { ...current, affinities: current.affinities.filter((each) => !stale(each)) };
      continue;
    }
    const free = freeIn(block, current.reserved);
    if (free === 0) continue;
    const why = `${key} is a block of ${ownerName(search.owner)} with ${free} free`;
    return takeFrom(current, block, search, "owned-block", null, why);
  }
  return null;
}

/** A block of the owner's that has no affinity, with a free address, when the owner meets it before the block `before`. */
function overlooked(state: IpamState, pool: Pool, { owner }: Search, before: bigint | null): Block | null {
  const block = existingBlocks(state, pool, owner.host).find(
    (each) => sameOwner(each.owner, owner) && freeIn(each, state.reserved) > 0,
  );
  if (block === undefined) return null;
  return before === null || placeOf(pool, owner.host, block.prefix) < before ? block : null;
}

/** A block that nobody has. */
function unclaimed(state: IpamState, search: Search): Found | null {
  const { host } = search.owner;
  for (const pool of search.pools) {
    const prefix = firstUnclaimed(state, pool, host);
    const mine = overlooked(state, pool, search, prefix === null ? null : placeOf(pool, host, prefix));
    if (mine !== null) {
      const why = `${formatPrefix(mine.prefix)} is a block of ${host} although no affinity says so`;
      return takeFrom(state, mine, search, "owned-block", null, why);
    }
    if (prefix === null) continue;
    const choices = startsAnywhere(pool) ? unclaimedCount(state, pool) : 1n;
    if (choices > 1n) {
      const why = `the blocks of pool ${pool.name} are single addresses, of which hosts claim a random one: ${choices} are left`;
      return { state, assignment: { address: null, block: null, pool: pool.name, rule: "new-block", from: null, why } };
    }
    const claimed = claim(state, prefix, search.owner);
    const why = `${host} claims ${formatPrefix(prefix)}, the first unclaimed block of pool ${pool.name} from where it starts`;
    return takeFrom(claimed.state, claimed.block, search, "new-block", null, why);
  }
  return null;
}

/** A block that another host has and does not use. */
function reclaimed(state: IpamState, search: Search): Found | null {
  const old = (block: Block): boolean =>
    state.now === null || block.claimed === null || state.now - block.claimed >= MIN_RECLAIM_AGE;
  for (const pool of search.pools) {
    for (const block of existingBlocks(state, pool, search.owner.host)) {
      const { owner, prefix } = block;
      if (owner === null || !isEmpty(block) || freeIn(block, state.reserved) === 0 || !old(block)) continue;
      const key = formatPrefix(prefix);
      if (!state.affinities.some((each) => sameOwner(each.owner, owner) && formatPrefix(each.prefix) === key)) continue;
      const taken = claim(release(state, block, owner), prefix, search.owner);
      const why = `no block is unclaimed, and ${ownerName(owner)} uses nothing of ${key}`;
      return takeFrom(taken.state, taken.block, search, "reclaimed-block", owner, why);
    }
  }
  return null;
}

/** A block that nobody has, else one that another host has and does not use; null when there is none. */
export function fromNewBlock(state: IpamState, search: Search): Found | null {
  return unclaimed(state, search) ?? reclaimed(state, search);
}

/** Any block of the pools with a free address, whosever it is. */
export function borrowed(state: IpamState, search: Search): Found | null {
  for (const pool of search.pools) {
    for (const block of existingBlocks(state, pool, search.owner.host)) {
      if (freeIn(block, state.reserved) === 0) continue;
      const whose = block.owner === null ? "a block that no host owns" : `a block of ${ownerName(block.owner)}`;
      const why = `no block can be claimed, so the address is borrowed from ${formatPrefix(block.prefix)}, ${whose}`;
      return takeFrom(state, block, search, "borrowed", block.owner, why);
    }
  }
  return null;
}
