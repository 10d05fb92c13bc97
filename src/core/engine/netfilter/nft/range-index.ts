/** Keys that are ranges: of one part (nft_set_rbtree) or of several (nft_set_pipapo). */
import type { KeyIndex } from "./exact-index.ts";
import { compareValues, within } from "./value.ts";
import type { Interval, Value } from "./value.ts";

/**
 * Intervals of one part, in order of their beginnings. The kernel lets none overlap; should they, the one
 * that begins last before the value is taken first.
 */
export class RangeIndex implements KeyIndex {
  private readonly order: readonly number[];
  private readonly spans: readonly Interval[];
  /** The highest end of this span and those before it. */
  private readonly reach: readonly Value[];

  constructor(keys: readonly (readonly Interval[])[], part = 0) {
    const all = keys.map((key) => key[part]!);
    this.order = [...all.keys()].toSorted((x, y) => compareValues(all[x]!.lo, all[y]!.lo) || x - y);
    this.spans = this.order.map((i) => all[i]!);
    const reach: Value[] = [];
    for (const span of this.spans) {
      const before = reach.at(-1);
      reach.push(before !== undefined && compareValues(before, span.hi) > 0 ? before : span.hi);
    }
    this.reach = reach;
  }

  /** Calls `visit` with the number of every entry whose interval holds the value, until it returns true. */
  stab(value: Value, visit: (entry: number) => boolean): void {
    let low = 0;
    let high = this.spans.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (compareValues(this.spans[mid]!.lo, value) <= 0) low = mid + 1;
      else high = mid;
    }
    for (let i = low - 1; i >= 0 && compareValues(this.reach[i]!, value) >= 0; i--) {
      if (compareValues(this.spans[i]!.hi, value) >= 0 && visit(this.order[i]!)) return;
    }
  }

  get(values: readonly Value[]): number {
    let found = -1;
    this.stab(values[0]!, (entry) => {
      found = entry;
      return true;
    });
    return found;
  }
}

/** Fewer entries than this are tried one after the other. */
const FEW = 8;

/** Boxes: every part has its interval. Of several that hold a key, pipapo finds the one that was added first. */
export class BoxIndex implements KeyIndex {
  private readonly first: RangeIndex | null;
  private readonly keys: readonly (readonly Interval[])[];

  constructor(keys: readonly (readonly Interval[])[]) {
    this.keys = keys;
    this.first = keys.length < FEW ? null : new RangeIndex(keys, 0);
  }

  get(values: readonly Value[]): number {
    if (this.first === null) return this.keys.findIndex((_, entry) => this.holds(entry, values));
    let found = -1;
    this.first.stab(values[0]!, (entry) => {
      if ((found < 0 || entry < found) && this.holds(entry, values)) found = entry;
      return false;
    });
    return found;
  }

  private holds(entry: number, values: readonly Value[]): boolean {
    return this.keys[entry]!.every((span, i) => within(values[i]!, span));
  }
}
