/**
 * Runs a walk once for every way that chance or missing knowledge can make it go.
 * A walk is a deterministic function of the answers that its oracle gives, so a way is just the list of those answers:
 * to try the next one the walk is run again with the last answer changed. No state is ever copied or undone.
 */
import { addFraction, mulFraction, ONE, type Fraction } from "../model/fraction.ts";
import type { Source } from "../model/source.ts";
import type { Oracle } from "./oracle.ts";

/** A question that a walk asked on its way, and the answer of one run. Never changed: the next answer is a new point. */
interface ChoicePoint {
  /** Null: an unknown, whose two answers have no chances. */
  readonly weights: readonly number[] | null;
  readonly index: number;
  readonly why: string;
  readonly source: Source | null;
}

/** Answers of one run, enough to run it again. */
export type Way = readonly number[];

/** Something that can happen, after all runs are put together. `key` tells outcomes apart. */
export interface Happening<T> {
  /** Exact chance; null when an unknown decides. */
  share: Fraction | null;
  value: T;
  /** The likeliest way to it, and how likely that one is (0…1, an unknown's two answers taken as even). */
  way: Way;
  peak: number;
  /** Every way to it with its own share; empty unless asked for. */
  ways: readonly { way: Way; share: Fraction | null }[];
  /** What is not known, when `share` is null. */
  because: { why: string; source: Source | null } | null;
}

class ReplayOracle implements Oracle {
  points: ChoicePoint[] = [];
  private at = 0;

  rewind(): void {
    this.at = 0;
  }

  choose(weights: readonly number[]): number {
    if (this.at < this.points.length) return this.points[this.at++]!.index;
    let first = 0;
    while (weights[first] === 0) first++;
    this.points.push({ weights, index: first, why: "", source: null });
    this.at++;
    return first;
  }

  unknown(why: string, source: Source | null): boolean {
    if (this.at < this.points.length) return this.points[this.at++]!.index === 1;
    this.points.push({ weights: null, index: 0, why, source });
    this.at++;
    return false;
  }

  /** Moves to the next way in depth-first order; false when all were tried. */
  advance(): boolean {
    while (this.points.length > 0) {
      const p = this.points[this.points.length - 1]!;
      const n = p.weights === null ? 2 : p.weights.length;
      let next = p.index + 1;
      while (next < n && p.weights !== null && p.weights[next] === 0) next++;
      if (next < n) {
        this.points[this.points.length - 1] = { ...p, index: next };
        return true;
      }
      this.points.pop();
    }
    return false;
  }
}

/** Answers by a fixed list: runs one way again, for its steps. Beyond the list it takes the first way. */
export class FixedOracle implements Oracle {
  private at = 0;
  private readonly way: Way;
  constructor(way: Way) {
    this.way = way;
  }
  choose(weights: readonly number[]): number {
    const i = this.way[this.at++];
    if (i !== undefined) return i;
    return Math.max(
      0,
      weights.findIndex((w) => w > 0),
    );
  }
  unknown(): boolean {
    return this.way[this.at++] === 1;
  }
}

interface Run<T> {
  points: readonly ChoicePoint[];
  value: T;
}

const total = (weights: readonly number[]): number => {
  let sum = 0;
  for (const w of weights) sum += w;
  return sum;
};

/** Put together what the runs from..to-1 came to, which agree in their first `depth` answers. */
function fold<T>(
  runs: readonly Run<T>[],
  from: number,
  to: number,
  depth: number,
  keyOf: KeyOf<T>,
): Map<string, Happening<T>> {
  const first = runs[from]!;
  const point = first.points[depth];
  if (point === undefined) {
    const way = first.points.map((p) => p.index);
    return new Map([
      [
        keyOf.fine(first.value),
        {
          share: ONE,
          value: first.value,
          way,
          peak: 1,
          because: null,
          ways: keyOf.everyWay ? [{ way, share: ONE }] : NO_WAYS,
        },
      ],
    ]);
  }
  const parts: { index: number; map: Map<string, Happening<T>> }[] = [];
  for (let i = from; i < to;) {
    const index = runs[i]!.points[depth]!.index;
    let j = i + 1;
    while (j < to && runs[j]!.points[depth]!.index === index) j++;
    parts.push({ index, map: fold(runs, i, j, depth + 1, keyOf) });
    i = j;
  }
  return point.weights === null ? foldUnknown(point, parts, keyOf.coarse) : foldChance(point.weights, parts);
}

/** Adds `h` to what is there under `key`: the likelier of the two shows its way. */
function merge<T>(out: Map<string, Happening<T>>, key: string, h: Happening<T>): void {
  const old = out.get(key);
  if (old === undefined) {
    out.set(key, h);
    return;
  }
  const share = old.share === null || h.share === null ? null : addFraction(old.share, h.share);
  const likelier = h.peak > old.peak ? h : old;
  out.set(key, {
    ...likelier,
    share,
    because: old.because ?? h.because,
    ways: old.ways.length === 0 ? NO_WAYS : [...old.ways, ...h.ways],
  });
}

function foldChance<T>(
  weights: readonly number[],
  parts: { index: number; map: Map<string, Happening<T>> }[],
): Map<string, Happening<T>> {
  const sum = total(weights);
  const out = new Map<string, Happening<T>>();
  for (const { index, map } of parts) {
    const weight = weights[index]!;
    for (const [key, h] of map) {
      const share = h.share === null ? null : mulFraction(h.share, weight, sum);
      const ways = h.ways.map((w) => ({
        way: w.way,
        share: w.share === null ? null : mulFraction(w.share, weight, sum),
      }));
      merge(out, key, { ...h, share, peak: (h.peak * weight) / sum, ways });
    }
  }
  return out;
}

/** Shares by what matters to whoever asks; null where one is not known. */
function sums<T>(map: Map<string, Happening<T>>, coarse: (value: T) => string): Map<string, Fraction | null> {
  const out = new Map<string, Fraction | null>();
  for (const h of map.values()) {
    const key = coarse(h.value);
    const old = out.get(key);
    out.set(key, old === undefined ? h.share : old === null || h.share === null ? null : addFraction(old, h.share));
  }
  return out;
}

function sameSums(x: Map<string, Fraction | null>, y: Map<string, Fraction | null>): boolean {
  if (x.size !== y.size) return false;
  for (const [key, f] of x) {
    const g = y.get(key);
    if (g === undefined || (f === null) !== (g === null)) return false;
    if (f !== null && g !== null && (f.num !== g.num || f.den !== g.den)) return false;
  }
  return true;
}

function foldUnknown<T>(
  point: ChoicePoint,
  parts: { index: number; map: Map<string, Happening<T>> }[],
  coarse: (value: T) => string,
): Map<string, Happening<T>> {
  const [a, b] = parts;
  if (a === undefined || b === undefined) return a!.map;
  // It does not matter when both answers come to the same for whoever asks, share by share.
  if (sameSums(sums(a.map, coarse), sums(b.map, coarse))) return a.map;
  const out = new Map<string, Happening<T>>();
  const because = { why: point.why, source: point.source };
  for (const part of [a, b]) {
    for (const [key, h] of part.map) {
      const ways = h.ways.map((w) => ({ way: w.way, share: null }));
      merge(out, key, { ...h, share: null, peak: h.peak / 2, because: h.because ?? because, ways });
    }
  }
  return out;
}

/** `fine` tells outcomes apart. `coarse` only what matters to whoever asks: an unknown that changes no more than what is fine does not count. */
export interface KeyOf<T> {
  fine: (value: T) => string;
  coarse: (value: T) => string;
  /** Keep every way of each happening, not only the likeliest. */
  everyWay: boolean;
}

const NO_WAYS: readonly never[] = [];

/** More ways than this are not tried, nor those beyond so many choices in all: what is left becomes one inconclusive happening. */
export const MAX_WAYS = 10_000;
/** A way of a real cluster has some ten choices; where packets go in circles by chance, each has hundreds, and takes as long. */
const MAX_CHOICES = 100_000;

/**
 * All that `run` can come to. Outcomes with one fine key are one, their shares added.
 * Returns `complete: false` when there were more than `maxWays`: shares are then those of the ways tried.
 */
export function explore<T>(
  run: (oracle: Oracle) => T,
  keyOf: KeyOf<T>,
  maxWays: number = MAX_WAYS,
): { happenings: Happening<T>[]; complete: boolean } {
  const oracle = new ReplayOracle();
  const runs: Run<T>[] = [];
  let complete = true;
  let choices = 0;
  do {
    oracle.rewind();
    const value = run(oracle);
    runs.push({ value, points: oracle.points.slice() });
    choices += oracle.points.length;
    if (runs.length >= maxWays || choices >= MAX_CHOICES) {
      complete = !oracle.advance();
      break;
    }
  } while (oracle.advance());
  return { happenings: [...fold(runs, 0, runs.length, 0, keyOf).values()], complete };
}
