/** Addresses as numbers, for counting within pools and blocks: not the hot path, so BigInt serves. */
import { inPrefix, ip4, ip6, type Ip, type Prefix } from "../../../model/address.ts";

/** Bits of an address of this family. */
export function width(family: 4 | 6): 32 | 128 {
  return family === 4 ? 32 : 128;
}

/** The address as a number. */
export function numberOf(ip: Ip): bigint {
  const words = ip.v === 4 ? [ip.a] : [ip.a, ip.b, ip.c, ip.d];
  return words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
}

/** The address of a number. */
export function addressOf(number: bigint, family: 4 | 6): Ip {
  const word = (shift: bigint): number => Number((number >> shift) & 0xffff_ffffn) | 0;
  return family === 4 ? ip4(word(0n)) : ip6(word(96n), word(64n), word(32n), word(0n));
}

/** How many addresses a prefix holds. */
export function sizeOf(prefix: Prefix): bigint {
  return 1n << BigInt(width(prefix.ip.v) - prefix.len);
}

/** The nth address of a prefix, from 0. */
export function nth(prefix: Prefix, n: number | bigint): Ip {
  return addressOf(numberOf(prefix.ip) + BigInt(n), prefix.ip.v);
}

/** Which address of the prefix it is, from 0. */
export function ordinalOf(prefix: Prefix, ip: Ip): number {
  return Number(numberOf(ip) - numberOf(prefix.ip));
}

/** Whether one prefix lies wholly in the other. */
export function within(inner: Prefix, outer: Prefix): boolean {
  return inner.len >= outer.len && inPrefix(inner.ip, outer);
}

/** Whether two prefixes share an address. */
export function overlap(x: Prefix, y: Prefix): boolean {
  return within(x, y) || within(y, x);
}
