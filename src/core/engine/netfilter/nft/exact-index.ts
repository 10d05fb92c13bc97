/** Exact keys of one or more parts: a hash table over integers, so that a lookup allocates nothing. */
import type { Value } from "./value.ts";

/** Finds the entry whose key is `values`, part by part; -1 when there is none. */
export interface KeyIndex {
  get(values: readonly Value[]): number;
}

/** Keys of one part that are text. */
export class SingleIndex implements KeyIndex {
  private readonly byKey = new Map<Value, number>();

  constructor(keys: readonly (readonly Value[])[]) {
    for (const [i, key] of keys.entries()) if (!this.byKey.has(key[0]!)) this.byKey.set(key[0]!, i);
  }

  get(values: readonly Value[]): number {
    return this.byKey.get(values[0]!) ?? -1;
  }
}

/** Keys of several parts, or of one that is a word: open addressing, each slot an entry's number plus one and its words. Text parts go by number. */
export class WordIndex implements KeyIndex {
  private readonly width: number;
  private readonly mask: number;
  private readonly slots: Int32Array;
  private readonly names = new Map<string, number>();

  constructor(keys: readonly (readonly Value[])[], parts: number) {
    this.width = parts + 1;
    let size = 8;
    while (size < keys.length * 2) size *= 2;
    this.mask = size - 1;
    this.slots = new Int32Array(size * this.width);
    const words = new Int32Array(parts);
    for (const [i, key] of keys.entries()) {
      for (let part = 0; part < parts; part++) words[part] = this.intern(key[part]!);
      this.put(words, i);
    }
  }

  private intern(value: Value): number {
    if (typeof value === "number") return value;
    let n = this.names.get(value);
    if (n === undefined) this.names.set(value, (n = this.names.size));
    return n;
  }

  private put(words: Int32Array, entry: number): void {
    let hash = 0;
    for (const word of words) hash = mix(hash, word);
    for (let at = hash & this.mask; ; at = (at + 1) & this.mask) {
      const slot = at * this.width;
      if (this.slots[slot] === 0) {
        this.slots[slot] = entry + 1;
        this.slots.set(words, slot + 1);
        return;
      }
      let same = true;
      for (let i = 0; same && i < words.length; i++) same = this.slots[slot + 1 + i] === words[i];
      if (same) return;
    }
  }

  get(values: readonly Value[]): number {
    const { slots, width, mask } = this;
    let hash = 0;
    for (let i = 1; i < width; i++) {
      const word = this.wordOf(values[i - 1]!);
      if (word === undefined) return -1;
      hash = mix(hash, word);
    }
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = at * width;
      const entry = slots[slot]!;
      if (entry === 0) return -1;
      let i = 1;
      while (i < width && slots[slot + i] === this.wordOf(values[i - 1]!)) i++;
      if (i === width) return entry - 1;
    }
  }

  /** As `get`, of a key that is nothing but words: the first of `probe`. */
  at(probe: Int32Array): number {
    const { slots, width, mask } = this;
    let hash = 0;
    for (let i = 0; i < width - 1; i++) hash = mix(hash, probe[i]!);
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = at * width;
      const entry = slots[slot]!;
      if (entry === 0) return -1;
      let i = 1;
      while (i < width && slots[slot + i] === probe[i - 1]) i++;
      if (i === width) return entry - 1;
    }
  }

  private wordOf(value: Value): number | undefined {
    return typeof value === "number" ? value : this.names.get(value);
  }
}

/** One step of a multiplicative hash (Knuth, The Art of Computer Programming 6.4). */
function mix(hash: number, word: number): number {
  const h = Math.imul(hash ^ word, 0x9e3779b1);
  return h ^ (h >>> 15);
}
