/** One block: what is free in it, taking addresses out of it and giving them back (libcalico-go/lib/ipam/ipam_block.go). */
import { inPrefix, type Ip, type Prefix } from "../../../model/address.ts";
import { nth, ordinalOf, sizeOf, within } from "./range.ts";
import { WINDOWS_HANDLE } from "./read.ts";
import type { Allocation, Block, Owner } from "./state.ts";

export type Holder = Omit<Allocation, "ordinal">;

/** A block that nobody has taken from. */
export function newBlock(prefix: Prefix, owner: Owner, claimed: number | null): Block {
  const size = Number(sizeOf(prefix));
  return { prefix, owner, claimed, allocations: new Map(), free: Array.from({ length: size }, (_, i) => i) };
}

/** Whether the whole range is kept back by one reservation. */
export function whollyReserved(prefix: Prefix, reserved: readonly Prefix[]): boolean {
  return reserved.some((each) => within(prefix, each));
}

function isReserved(ip: Ip, reserved: readonly Prefix[]): boolean {
  return reserved.some((each) => inPrefix(ip, each));
}

/** How many addresses can still be given out (NumFreeAddresses). */
export function freeIn(block: Block, reserved: readonly Prefix[]): number {
  if (whollyReserved(block.prefix, reserved)) return 0;
  return block.free.filter((ordinal) => !isReserved(nth(block.prefix, ordinal), reserved)).length;
}

/** Whether nothing is given out of it but what Windows keeps for itself. */
export function isEmpty(block: Block): boolean {
  return [...block.allocations.values()].every((each) => each.handle?.toLowerCase() === WINDOWS_HANDLE);
}

/** Takes the first free address that is not reserved; null when there is none (autoAssign). */
export function takeNext(block: Block, holder: Holder, reserved: readonly Prefix[]): { ip: Ip; block: Block } | null {
  const ordinal = block.free.find((each) => !isReserved(nth(block.prefix, each), reserved));
  return ordinal === undefined ? null : { ip: nth(block.prefix, ordinal), block: take(block, ordinal, holder) };
}

/** Takes this very address; null when it is taken, or not of this block (assign). Reservations do not hinder it. */
export function takeExact(block: Block, ip: Ip, holder: Holder): Block | null {
  if (!inPrefix(ip, block.prefix)) return null;
  const ordinal = ordinalOf(block.prefix, ip);
  return block.allocations.has(ordinal) ? null : take(block, ordinal, holder);
}

function take(block: Block, ordinal: number, holder: Holder): Block {
  const allocations = new Map(block.allocations).set(ordinal, { ordinal, ...holder });
  return { ...block, allocations, free: block.free.filter((each) => each !== ordinal) };
}

/** Gives an address back: it becomes the last to be given out again. The block as it is when the address is not taken (release). */
export function giveBack(block: Block, ip: Ip): Block {
  const ordinal = inPrefix(ip, block.prefix) ? ordinalOf(block.prefix, ip) : -1;
  if (!block.allocations.has(ordinal)) return block;
  const allocations = new Map(block.allocations);
  allocations.delete(ordinal);
  return { ...block, allocations, free: [...block.free, ordinal] };
}
