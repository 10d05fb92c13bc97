/**
 * The order in which a host goes through a pool's blocks: from a start that its name decides, upwards, and round
 * (libcalico-go/lib/ipam/ipam_block_reader_writer.go, randomBlockGenerator). Pools are walked by numbers, so that one of 2^58 blocks
 * costs no more than the blocks in use.
 */
import { addressOf, numberOf, sizeOf, width, within } from "./range.ts";
import { formatPrefix, prefixOf, type Prefix } from "../../../model/address.ts";
import { firstBelow, fnv32 } from "./go-random.ts";
import type { Block, IpamState, Pool } from "./state.ts";
import { whollyReserved } from "./block.ts";

/** How many blocks the pool holds. */
export function blockCount(pool: Pool): bigint {
  return 1n << BigInt(pool.blockSize - pool.prefix.len);
}

/** Whether the pool's blocks are single addresses: hosts then begin at random, by the clock. */
export function startsAnywhere(pool: Pool): boolean {
  return pool.blockSize === width(pool.prefix.ip.v);
}

/** Which block of the pool the host looks at first, from 0. For pools of single addresses it is 0, and means nothing. */
function startIndex(pool: Pool, host: string): bigint {
  return startsAnywhere(pool) ? 0n : firstBelow(blockCount(pool), fnv32(host));
}

/** The pool's nth block. */
function blockAt(pool: Pool, index: bigint): Prefix {
  const { ip } = pool.prefix;
  const size = 1n << BigInt(width(ip.v) - pool.blockSize);
  return { ip: addressOf(numberOf(ip) + index * size, ip.v), len: pool.blockSize };
}

/** Which block of the pool it is. */
function indexOf(pool: Pool, block: Prefix): bigint {
  return (numberOf(block.ip) - numberOf(pool.prefix.ip)) >> BigInt(width(block.ip.v) - pool.blockSize);
}

/** How many steps from where it starts the host meets the block. */
export function placeOf(pool: Pool, host: string, block: Prefix): bigint {
  const count = blockCount(pool);
  return (indexOf(pool, block) - startIndex(pool, host) + count) % count;
}

/** The pool's blocks that exist, in the order in which the host meets them. */
export function existingBlocks(state: IpamState, pool: Pool, host: string): Block[] {
  const count = blockCount(pool);
  const start = startIndex(pool, host);
  const place = (block: Block): bigint => (indexOf(pool, block.prefix) - start + count) % count;
  return [...state.blocks.values()]
    .filter(({ prefix }) => prefix.len === pool.blockSize && within(prefix, pool.prefix))
    .toSorted((x, y) => (place(x) < place(y) ? -1 : 1));
}

/** The end, in blocks, of the reservation that covers the block of this index; null when none does. */
function reservedUntil(pool: Pool, index: bigint, reserved: readonly Prefix[]): bigint | null {
  const block = blockAt(pool, index);
  const cover = reserved.find((each) => within(block, each));
  if (cover === undefined) return null;
  if (cover.len <= pool.prefix.len) return blockCount(pool);
  return (
    indexOf(pool, { ip: prefixOf(cover.ip, pool.blockSize).ip, len: pool.blockSize }) + sizeOf(cover) / sizeOf(block)
  );
}

/** The first block of the pool, in the host's order, that does not exist and is not reserved; null when there is none. */
export function firstUnclaimed(state: IpamState, pool: Pool, host: string): Prefix | null {
  const count = blockCount(pool);
  const start = startIndex(pool, host);
  for (let walked = 0n; walked < count;) {
    const index = (start + walked) % count;
    const until = reservedUntil(pool, index, state.reserved);
    if (until !== null) {
      walked += until - index;
      continue;
    }
    const block = blockAt(pool, index);
    if (!state.blocks.has(formatPrefix(block))) return block;
    walked++;
  }
  return null;
}

/** How many blocks of the pool could be claimed: neither claimed nor reserved. */
export function unclaimedCount(state: IpamState, pool: Pool): bigint {
  const existing = [...state.blocks.values()].filter(
    ({ prefix }) => within(prefix, pool.prefix) && !whollyReserved(prefix, state.reserved),
  );
  const reserved = state.reserved.reduce((sum, each) => {
    if (within(pool.prefix, each)) return blockCount(pool);
    if (!within(each, pool.prefix) || each.len > pool.blockSize) return sum;
    return sum + (1n << BigInt(pool.blockSize - each.len));
  }, 0n);
  const left = blockCount(pool) - reserved - BigInt(existing.length);
  return left < 0n ? 0n : left;
}
