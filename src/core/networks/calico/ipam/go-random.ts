/**
 * Go's seeded random numbers, as far as Calico's IPAM needs them: where in a pool a host begins to look for a block is the first number
 * that `rand.New(rand.NewSource(fnv32(host)))` gives below the number of blocks (libcalico-go/lib/ipam, randomBlockGenerator).
 */
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { LENGTH, startWord } from "./go-random-table.ts";

const TAP = 273;
const INT32_MAX = 2 ** 31 - 1;
const MASK64 = (1n << 64n) - 1n;
const MASK32 = (1n << 32n) - 1n;

/** FNV-1 (not 1a) of the text's UTF-8, 32 bits unsigned (Go's hash/fnv New32). */
export function fnv32(value: string): number {
  let hash = 0x811c9dc5;
  for (const byte of utf8ToBytes(value)) hash = (Math.imul(hash, 0x01000193) ^ byte) >>> 0;
  return hash;
}

/** One step of the Lehmer generator that seeds the other one (math/rand/rng.go, seedrand): x * 48271 mod 2^31-1. */
function seedStep(x: number): number {
  const next = 48271 * (x % 44488) - 3399 * Math.floor(x / 44488);
  return next < 0 ? next + INT32_MAX : next;
}

/** Numbers of 64 bits, unsigned, as Go's rngSource gives them after Seed(seed); `seed` is a whole number from 0. */
function source(seed: number): () => bigint {
  let x = seed % INT32_MAX;
  if (x === 0) x = 89482311;
  for (let i = 0; i < 20; i++) x = seedStep(x);
  const seeds = Array.from({ length: 3 * LENGTH }, () => (x = seedStep(x)));
  // Few of the words are ever asked for: each is made when it is.
  const state: bigint[] = [];
  const at = (i: number): bigint => {
    const [high, middle, low] = [0, 1, 2].map((part) => BigInt(seeds[3 * i + part]!)) as [bigint, bigint, bigint];
    return (state[i] ??= (startWord(i) ^ (high << 40n) ^ (middle << 20n) ^ low) & MASK64);
  };
  let tap = 0;
  let feed = LENGTH - TAP;
  return () => {
    tap = (tap + LENGTH - 1) % LENGTH;
    feed = (feed + LENGTH - 1) % LENGTH;
    const sum = (at(feed) + at(tap)) & MASK64;
    state[feed] = sum;
    return sum;
  };
}

/**
 * The first whole number from 0 below `limit` of Go's generator with this seed, as math/big's Int.Rand draws it on a machine of
 * 64 bits: words of two halves each, the most significant cut to the limit's length, until one is small enough.
 */
export function firstBelow(limit: bigint, seed: number): bigint {
  if (limit <= 0n) return 0n;
  const next = source(seed);
  // Rand.Uint32: the upper 32 of the lower 63 bits.
  const half = (): bigint => (next() >> 31n) & MASK32;
  const bits = limit.toString(2).length;
  const words = Math.ceil(bits / 64);
  const mask = (1n << BigInt(bits)) - 1n;
  for (;;) {
    let value = 0n;
    for (let i = 0; i < words; i++) {
      const word = half() | (half() << 32n);
      value |= word << BigInt(64 * i);
    }
    value &= mask;
    if (value < limit) return value;
  }
}
