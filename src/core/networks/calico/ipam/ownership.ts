/** Who owns which block: claiming one, and giving one up (libcalico-go/lib/ipam/ipam_block_reader_writer.go). */
import { formatPrefix, inPrefix, type Ip, type Prefix } from "../../../model/address.ts";
import { isEmpty, newBlock } from "./block.ts";
import { enabledPools, selectsNode } from "./pools.ts";
import { sameOwner, type Affinity, type Block, type IpamState, type Owner, type Pool } from "./state.ts";

/** The state with this block as it is now. */
export function putBlock(state: IpamState, block: Block): IpamState {
  return { ...state, blocks: new Map(state.blocks).set(formatPrefix(block.prefix), block) };
}

/** The first of the pools that holds the address. */
export function poolFor(pools: readonly Pool[], ip: Ip): Pool | null {
  return pools.find((pool) => inPrefix(ip, pool.prefix)) ?? null;
}

/** Takes the block from its owner: it is deleted when it is empty, else it stays without an owner (releaseBlockAffinity). */
export function release(state: IpamState, block: Block, owner: Owner): IpamState {
  const blocks = new Map(state.blocks);
  const key = formatPrefix(block.prefix);
  if (isEmpty(block)) blocks.delete(key);
  else blocks.set(key, { ...block, owner: null, claimed: null });
  const affinities = state.affinities.filter(
    (each) => !(sameOwner(each.owner, owner) && formatPrefix(each.prefix) === key),
  );
  return { ...state, blocks, affinities };
}

/** Name of a BlockAffinity: host and range with dashes. */
function affinityName(owner: Owner, prefix: Prefix): string {
  return `${owner.host}-${formatPrefix(prefix).replaceAll(/[.:/]/g, "-")}`;
}

/** Gives the owner a fresh block of this range. */
export function claim(state: IpamState, prefix: Prefix, owner: Owner): { state: IpamState; block: Block } {
  const block = newBlock(prefix, owner, state.now);
  const key = formatPrefix(prefix);
  const mine = (each: Affinity): boolean => sameOwner(each.owner, owner) && formatPrefix(each.prefix) === key;
  const affinity: Affinity = { name: affinityName(owner, prefix), owner, prefix, state: "confirmed" };
  const affinities = [...state.affinities.filter((each) => !mine(each)), affinity].toSorted((x, y) =>
    x.name < y.name ? -1 : 1,
  );
  return { block, state: { ...putBlock(state, block), affinities } };
}

/**
 * Gives up the host's empty blocks whose pools no longer select it (prepareAffinityBlocksForHost). Blocks of the pools that the request
 * may use stay.
 */
export function releaseUnselected(state: IpamState, owner: Owner, family: 4 | 6, used: readonly Pool[]): IpamState {
  let out = state;
  const enabled = enabledPools(state, family);
  for (const { prefix, owner: whose } of state.affinities) {
    if (!sameOwner(whose, owner) || prefix.ip.v !== family || poolFor(used, prefix.ip) !== null) continue;
    const pool = poolFor(enabled, prefix.ip);
    if (pool === null || selectsNode(state, pool, owner.host)) continue;
    const block = out.blocks.get(formatPrefix(prefix));
    if (block !== undefined && sameOwner(block.owner, owner) && isEmpty(block)) out = release(out, block, owner);
  }
  return out;
}
