/** Seeded randomness: the same seed gives the same case on every machine. */

/** A stream of pseudo-random numbers (splitmix-seeded xoshiro128**), with the choices that generators make. */
export class Rng {
  readonly #s = new Int32Array(4);

  /** `words` are mixed into the state in order; equal words, equal stream. */
  constructor(...words: number[]) {
    let h = 0x9e3779b9;
    for (let i = 0; i < 4; i++) {
      for (const w of words) h = mix(h ^ mix((w | 0) + i * 0x85ebca6b + Math.floor(w / 2 ** 32)));
      this.#s[i] = h | 1;
    }
    for (let i = 0; i < 8; i++) this.u32();
  }

  /** 0 … 2^32 − 1. */
  u32(): number {
    const s = this.#s;
    const m = Math.imul(s[1]!, 5);
    const result = Math.imul((m << 7) | (m >>> 25), 9);
    const t = s[1]! << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = (s[3]! << 11) | (s[3]! >>> 21);
    return result >>> 0;
  }

  /** `from` … `to`, both included. */
  int(from: number, to: number): number {
    return from + (this.u32() % (to - from + 1));
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.u32() < p * 2 ** 32;
  }

  /** One of a list; throws on an empty one. */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error("nothing to pick from");
    return list[this.u32() % list.length]!;
  }

  /** One of a list, or undefined when it is empty. */
  maybe<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : this.pick(list);
  }

  /** One of [weight, value] pairs. */
  weighted<T>(list: readonly (readonly [number, T])[]): T {
    let n = this.u32() / 2 ** 32;
    const sum = list.reduce((s, [w]) => s + w, 0);
    n *= sum;
    for (const [w, v] of list) if ((n -= w) < 0) return v;
    return list.at(-1)![1];
  }

  /** `n` different ones of a list, in random order. */
  some<T>(list: readonly T[], n: number): T[] {
    return this.shuffle([...list]).slice(0, n);
  }

  /** Shuffles in place; returns its argument. */
  shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [list[i], list[j]] = [list[j]!, list[i]!];
    }
    return list;
  }
}

function mix(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return h ^ (h >>> 16);
}
