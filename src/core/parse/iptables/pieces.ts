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
  /** Two words a slot: the hash, and the piece's number plus one (0: free). */
  private slots = new Int32Array(128);
  private mask = 63;
  /** Two words a piece: where it begins and ends. */
  private bounds = new Int32Array(128);

  constructor(text: string) {
    this.text = text;
  }

  /** The number of the piece text[start, end), or -1. */
  find(hash: number, start: number, end: number): number {
    const { mask, slots, bounds, text } = this;
    let slot = spread(hash) & mask;
    for (let piece = slots[slot * 2 + 1]! - 1; piece >= 0; piece = slots[slot * 2 + 1]! - 1) {
      if (slots[slot * 2] === hash) {
        let there = bounds[piece * 2]!;
        if (bounds[piece * 2 + 1]! - there === end - start) {
          let here = start;
          while (here < end && text.charCodeAt(here) === text.charCodeAt(there)) {
            here++;
            there++;
          }
          if (here === end) return piece;
        }
      }
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  /** Adds a piece that is not there; returns its number. */
  add(hash: number, start: number, end: number): number {
    const piece = this.size++;
    if (this.size * 2 > this.mask) this.grow();
    this.bounds[piece * 2] = start;
    this.bounds[piece * 2 + 1] = end;
    this.fill(hash, piece + 1);
    return piece;
  }

  private fill(hash: number, content: number): void {
    let slot = spread(hash) & this.mask;
    while (this.slots[slot * 2 + 1] !== 0) slot = (slot + 1) & this.mask;
    this.slots[slot * 2] = hash;
    this.slots[slot * 2 + 1] = content;
  }

  private grow(): void {
    const { slots, bounds } = this;
    this.slots = new Int32Array(slots.length * 2);
    this.mask = slots.length - 1;
    this.bounds = new Int32Array(slots.length);
    this.bounds.set(bounds);
    for (let i = 0; i < slots.length; i += 2) if (slots[i + 1] !== 0) this.fill(slots[i]!, slots[i + 1]!);
  }
}

/** Mixes the high bits of a polynomial hash into the low ones, which choose the slot. */
function spread(hash: number): number {
  const h = Math.imul(hash, 0x9e3779b1);
  return h ^ (h >>> 15);
}
