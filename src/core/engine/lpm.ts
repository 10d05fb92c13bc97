/**
 * Longest-prefix match over a fixed set of prefixes.
 * Prefixes nest or are disjoint, so together they cut the address space into stretches within which the same prefixes match. A lookup finds
 * its stretch by binary search and follows links from the longest prefix there to the shorter ones around it.
 */
import { maskWord, type Ip, type Prefix } from "../model/address.ts";
import { BIAS, makeStretches, NONE, type Level, type Stretches } from "./lpm-build.ts";

/** A prefix of IPv4 in a list of few, the longest first. */
interface Few<T> {
  readonly word: number;
  readonly mask: number;
  readonly value: T;
  readonly next: Few<T> | null;
}

/** Up to so many prefixes are asked one after the other: a table of a pod has few, and there may be very many such tables. */
const FEW = 16;

const ANY = (): boolean => true;

/** See buildLpm. */
export class Lpm<T> {
  /** The IPv4 prefixes where they are few; else null. */
  private readonly few: Few<T> | null;
  private readonly v4: Stretches<T>;
  private readonly v6: Stretches<T>;

  constructor(few: Few<T> | null, v4: Stretches<T>, v6: Stretches<T>) {
    this.few = few;
    this.v4 = v4;
    this.v6 = v6;
  }

  /** The first value of the longest prefix that holds `ip`; null when none does. */
  longest(ip: Ip): T | null {
    if (this.few === null || ip.v !== 4) return this.firstMatch(ip, ANY);
    const { a } = ip;
    let at: Few<T> | null = this.few;
    while (at !== null && ((a ^ at.word) & at.mask) !== 0) at = at.next;
    return at === null ? null : at.value;
  }

  /**
   * The first value that `accept` takes, from the longest prefix that holds `ip` to the shortest, within a prefix in the order in which they
   * were given; null when it takes none. `accept` sees each candidate once.
   */
  firstMatch(ip: Ip, accept: (value: T) => boolean): T | null {
    if (this.few !== null && ip.v === 4) {
      const { a } = ip;
      for (let at: Few<T> | null = this.few; at !== null; at = at.next)
        if (((a ^ at.word) & at.mask) === 0 && accept(at.value)) return at.value;
      return null;
    }
    const s = ip.v === 4 ? this.v4 : this.v6;
    let at = s.longest[ip.v === 4 ? find4(s.levels, ip) : find6(s.levels, ip)]!;
    while (at !== NONE) {
      const end = s.value[at + 1]!;
      for (let i = s.value[at]!; i < end; i++) {
        const value = s.values[i]!;
        if (accept(value)) return value;
      }
      at = s.outer[at]!;
    }
    return null;
  }
}

/**
 * The last element of `low`…`high`-1 that is `key` or below; `low`-1 when there is none. Without a branch that depends on the data: a
 * mispredicted one costs more than the whole step.
 */
function lastUpTo(level: Level, low: number, high: number, key: number): number {
  const { halves, words } = level;
  const half = key >> 1;
  let at = low - 1;
  let left = high - low;
  while (left > 0) {
    const step = (left + 1) >>> 1;
    at += step & ~((half - halves[at + step]!) >> 31);
    left -= step;
  }
  return at >= low && words[at]! > key ? at - 1 : at;
}

/** The stretch that holds an IPv4 address. */
function find4(levels: readonly Level[], ip: Ip): number {
  const level = levels[0]!;
  return lastUpTo(level, 0, level.words.length, ip.a ^ BIAS);
}

/** The stretch that holds an IPv6 address: a word at a time while they are equal; else the last stretch under what is lower. */
function find6(levels: readonly Level[], ip: Ip): number {
  let level = levels[0]!;
  let key = ip.a ^ BIAS;
  let low = 0;
  let high = level.words.length;
  for (let depth = 0; ;) {
    const at = lastUpTo(level, low, high, key);
    if (depth === 3 || at < low || level.words[at] !== key) return level.stretch[at + 1]! - 1;
    low = level.child[at]!;
    high = level.child[at + 1]!;
    depth++;
    level = levels[depth]!;
    key = (depth === 1 ? ip.b : depth === 2 ? ip.c : ip.d) ^ BIAS;
  }
}

/** The IPv4 prefixes as a list; null when there are many, or none. */
function fewOf<T>(entries: readonly (readonly [prefix: Prefix, value: T])[]): Few<T> | null {
  const own = entries.filter(([prefix]) => prefix.ip.v === 4);
  if (own.length > FEW) return null;
  // A stable sort keeps the order of the values of one prefix.
  return own
    .toSorted(([x], [y]) => y.len - x.len)
    .reduceRight<Few<T> | null>((next, [{ ip, len }, value]) => {
      const mask = maskWord(len, 0);
      return { word: ip.a & mask, mask, value, next };
    }, null);
}

/** An index over prefixes of either family, each with a value. One prefix may come several times: its values keep their order. */
export function buildLpm<T>(entries: readonly (readonly [prefix: Prefix, value: T])[]): Lpm<T> {
  return new Lpm(fewOf(entries), makeStretches(entries, 4), makeStretches(entries, 6));
}
