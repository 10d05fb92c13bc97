/** Numbers for pieces of a text: most pieces of a large save are met many times and are read once. */

/** Hash of text[start, end). Any other function of the characters will do for a PieceTable, if its user sticks to it. */
export function hashOf(text: string, start: number, end: number): number {
  let hash = 0;
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

/**
 * Numbers pieces from 0 in the order in which they are added. Keys are stretches of one text, kept as positions, so that looking one up
 * copies nothing. Open addressing with linear probing, at most half full.
 */
export class PieceTable {
  private readonly text: string;
  private size = 0;
  /** Four words a slot, so that one look-up reads one stretch of memory: hash, the piece's number plus one (0: free), start, end. */
  private slots = new Int32Array(4 * 64);
  private mask = 63;

  constructor(text: string) {
    this.text = text;
  }

  /** The number of the piece text[start, end), or -1. */
  find(hash: number, start: number, end: number): number {
    const { mask, slots, text } = this;
    let at = (spread(hash) & mask) * 4;
    for (let piece = slots[at + 1]! - 1; piece >= 0; piece = slots[at + 1]! - 1) {
      if (slots[at] === hash) {
        let there = slots[at + 2]!;
        if (slots[at + 3]! - there === end - start) {
          let here = start;
          while (here < end && text.charCodeAt(here) === text.charCodeAt(there)) {
            here++;
            there++;
          }
          if (here === end) return piece;
        }
      }
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
    let at = (spread(hash) & mask) * 4;
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

/** Mixes the high bits of a polynomial hash into the low ones, which choose the slot. */
function spread(hash: number): number {
  const h = Math.imul(hash, 0x9e3779b1);
  return h ^ (h >>> 15);
}
