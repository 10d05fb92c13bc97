/** Numbers for pieces of a text: most pieces of a large save are met many times and are read once. */
import type { SaveText } from "./save-text.ts";

/**
 * Numbers pieces from 0 in the order in which they are added. Keys are stretches of one text, kept as positions, so that looking one up
 * copies nothing. Open addressing with linear probing, at most half full.
 */
export class PieceTable {
  private readonly text: SaveText;
  private size = 0;
  /** Four words a slot, so that one look-up reads one stretch of memory: hash, the piece's number plus one (0: free), start, end. */
  private slots: Int32Array;
  private mask: number;

  /** `expected` is a guess at the number of pieces. */
  constructor(text: SaveText, expected: number) {
    this.text = text;
    let size = 64;
    while (size < expected * 2) size *= 2;
    this.mask = size - 1;
    this.slots = new Int32Array(size * 4);
  }

  /** The number of the piece text[start, end), whose text.hash is `hash`, or -1. */
  find(hash: number, start: number, end: number): number {
    const { mask, slots, text } = this;
    let at = (hash & mask) * 4;
    for (let piece = slots[at + 1]! - 1; piece >= 0; piece = slots[at + 1]! - 1) {
      if (slots[at] === hash) {
        const there = slots[at + 2]!;
        if (slots[at + 3]! - there === end - start && text.same(start, there, end - start)) return piece;
      }
      at = (at + 4) & (mask * 4);
    }
    return -1;
  }

  /** The number of the piece that is other[start, end), whose other.hash is `hash`, or -1. */
  findOf(other: SaveText, hash: number, start: number, end: number): number {
    const { mask, slots, text } = this;
    let at = (hash & mask) * 4;
    for (let piece = slots[at + 1]! - 1; piece >= 0; piece = slots[at + 1]! - 1) {
      const there = slots[at + 2]!;
      if (slots[at] === hash && slots[at + 3]! - there === end - start && other.sameAs(start, text, there, end - start))
        return piece;
      at = (at + 4) & (mask * 4);
    }
    return -1;
  }

  /** Adds a piece that is not there; returns its number. */
  add(hash: number, start: number, end: number): number {
    if (this.size * 2 > this.mask) this.grow();
    const piece = this.size++;
    this.fill(hash, piece + 1, start, end);
    return piece;
  }

  private fill(hash: number, content: number, start: number, end: number): void {
    const { mask, slots } = this;
    let at = (hash & mask) * 4;
    while (slots[at + 1] !== 0) at = (at + 4) & (mask * 4);
    slots[at] = hash;
    slots[at + 1] = content;
    slots[at + 2] = start;
    slots[at + 3] = end;
  }

  private grow(): void {
    const old = this.slots;
    this.mask = this.mask * 2 + 1;
    this.slots = new Int32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 4) {
      if (old[at + 1] !== 0) this.fill(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
    }
  }
}
