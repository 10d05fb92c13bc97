/** Makes the index that lpm.ts searches. */
import { maskWord } from "../model/address.ts";
import type { Prefix } from "../model/address.ts";

/** Turns the order of unsigned words into that of signed ones, which typed arrays and comparisons handle fastest. */
export const BIAS = 0x80000000 | 0;

/** No prefix. */
export const NONE = -1;

/**
 * One word of the stretches' first addresses, for the binary search. IPv4 has one level; IPv6 four, the first of which holds the distinct
 * first words, the next one the distinct second words under each of those, and so on.
 */
export interface Level {
  /** Biased words, ascending within the range that one element of the level above spans. */
  words: Int32Array;
  /** The same without their last bit, so that the difference of any two fits 32 bits. */
  halves: Int32Array;
  /** First element of the next level under each; one more at the end. */
  child: Int32Array;
  /** First stretch under each; one more at the end. */
  stretch: Int32Array;
}

/** The stretches of one family's addresses within which the same prefixes match, and those prefixes. */
export interface Stretches<T> {
  levels: readonly Level[];
  /** Longest prefix around each stretch, as an index into `value` and `outer`; NONE for none. */
  longest: Int32Array;
  /** Values of all prefixes, those of one prefix together in the order in which they were given. */
  values: readonly T[];
  /** First value of each prefix; one more at the end. */
  value: Int32Array;
  /** The next shorter prefix around each prefix; NONE for none. */
  outer: Int32Array;
}

/** The prefixes of one family in columns: first and last address (biased, `width` words each) and length. */
class Columns {
  readonly width: 1 | 4;
  readonly first: Int32Array;
  readonly last: Int32Array;
  readonly len: Uint8Array;

  constructor(prefixes: readonly Prefix[], width: 1 | 4) {
    this.width = width;
    this.first = new Int32Array(prefixes.length * width);
    this.last = new Int32Array(prefixes.length * width);
    this.len = new Uint8Array(prefixes.length);
    prefixes.forEach(({ ip, len }, i) => {
      this.len[i] = len;
      for (let w = 0; w < width; w++) {
        const word = w === 0 ? ip.a : w === 1 ? ip.b : w === 2 ? ip.c : ip.d;
        const mask = maskWord(len, w);
        this.first[i * width + w] = (word & mask) ^ BIAS;
        this.last[i * width + w] = (word | ~mask) ^ BIAS;
      }
    });
  }

  /** Indices with an outer prefix before those within it, equal ones in the order given. */
  sorted(): Uint32Array {
    const order = new Uint32Array(this.len.length);
    for (let i = 0; i < order.length; i++) order[i] = i;
    return order.toSorted((x, y) => this.compare(this.first, x, this.first, y) || this.len[x]! - this.len[y]! || x - y);
  }

  same(x: number, y: number): boolean {
    return this.len[x] === this.len[y] && this.compare(this.first, x, this.first, y) === 0;
  }

  /** Whether prefix `x` ends before `y` begins. */
  before(x: number, y: number): boolean {
    return this.compare(this.last, x, this.first, y) < 0;
  }

  private compare(a: Int32Array, x: number, b: Int32Array, y: number): number {
    for (let w = 0; w < this.width; w++) {
      const difference = a[x * this.width + w]! - b[y * this.width + w]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

/** The stretches as they are found, ascending. */
class Cuts {
  /** First addresses, `width` words each. */
  readonly starts: number[];
  readonly longest: number[] = [NONE];
  private readonly columns: Columns;
  private readonly next = new Int32Array(4);

  constructor(columns: Columns) {
    this.columns = columns;
    this.starts = Array.from({ length: columns.width }, () => BIAS);
  }

  /** From the beginning of prefix `i` on, `node` is the longest. */
  atFirst(i: number, node: number): void {
    this.at(this.columns.first, i * this.columns.width, node);
  }

  /** From beyond the end of prefix `i` on, `node` is the longest. */
  afterLast(i: number, node: number): void {
    const { last, width } = this.columns;
    const next = this.next;
    for (let w = 0; w < width; w++) next[w] = last[i * width + w]!;
    for (let w = width - 1; w >= 0; w--) {
      next[w] = next[w]! + 1;
      // Past all ones, biased 0x7fffffff, it is zero again: carry.
      if (next[w] !== BIAS) {
        this.at(next, 0, node);
        return;
      }
    }
    // It was the highest address.
  }

  /** From the address at `words[offset]` on, `node` is the longest: a new stretch, or the latest one when it begins there. */
  private at(words: Int32Array, offset: number, node: number): void {
    const { width } = this.columns;
    const latest = this.starts.length - width;
    let w = 0;
    while (w < width && this.starts[latest + w] === words[offset + w]) w++;
    if (w === width) {
      this.longest[this.longest.length - 1] = node;
      return;
    }
    for (w = 0; w < width; w++) this.starts.push(words[offset + w]!);
    this.longest.push(node);
  }
}

function withEnd(list: readonly number[], end: number): Int32Array {
  const out = new Int32Array(list.length + 1);
  out.set(list);
  out[list.length] = end;
  return out;
}

/** The levels over ascending first addresses of `width` words each. */
function makeLevels(starts: readonly number[], width: number): Level[] {
  const count = starts.length / width;
  // How many leading words each stretch shares with the one before it.
  const shared = new Uint8Array(count);
  for (let i = 1; i < count; i++) {
    let w = 0;
    while (w < width && starts[i * width + w] === starts[(i - 1) * width + w]) w++;
    shared[i] = w;
  }
  const levels: Level[] = [];
  // Bottom up; at first every stretch is an element of its own.
  let below = Array.from({ length: count }, (_, i) => i);
  for (let d = width - 1; d >= 0; d--) {
    const child: number[] = [];
    const stretch: number[] = [];
    below.forEach((first, i) => {
      if (i > 0 && shared[first]! > d) return;
      child.push(i);
      stretch.push(first);
    });
    const words = new Int32Array(stretch.length);
    for (let i = 0; i < words.length; i++) words[i] = starts[stretch[i]! * width + d]!;
    levels.unshift({
      words,
      halves: words.map((w) => w >> 1),
      child: withEnd(child, below.length),
      stretch: withEnd(stretch, count),
    });
    below = stretch;
  }
  return levels;
}

/** Cuts the address space of one family at the ends of its prefixes. Prefixes of the other family are left out. */
export function makeStretches<T>(entries: readonly (readonly [prefix: Prefix, value: T])[], v: 4 | 6): Stretches<T> {
  const own = entries.filter((entry) => entry[0].ip.v === v);
  const columns = new Columns(
    own.map((entry) => entry[0]),
    v === 4 ? 1 : 4,
  );
  const cuts = new Cuts(columns);
  const outer: number[] = [];
  const values: T[] = [];
  const value: number[] = [];
  /** One entry of each prefix. */
  const entry: number[] = [];
  /** The prefixes around the place reached so far, outermost first. */
  const open: number[] = [];
  const close = (): void => {
    const node = open.pop()!;
    cuts.afterLast(entry[node]!, open.at(-1) ?? NONE);
  };
  for (const i of columns.sorted()) {
    const latest = entry.at(-1);
    if (latest === undefined || !columns.same(latest, i)) {
      while (open.length > 0 && columns.before(entry[open.at(-1)!]!, i)) close();
      const node = entry.length;
      entry.push(i);
      outer.push(open.at(-1) ?? NONE);
      value.push(values.length);
      open.push(node);
      cuts.atFirst(i, node);
    }
    values.push(own[i]![1]);
  }
  while (open.length > 0) close();
  return {
    levels: makeLevels(cuts.starts, columns.width),
    longest: new Int32Array(cuts.longest),
    values,
    value: withEnd(value, values.length),
    outer: new Int32Array(outer),
  };
}
