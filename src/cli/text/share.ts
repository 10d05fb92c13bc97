/** Shares in words, and exact sums of them. */
import type { Share } from "../../core/model/walk.ts";

/** A fraction of big integers: shares may be decimal strings beyond 2^53. */
export interface Fraction {
  num: bigint;
  den: bigint;
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

export function toFraction(share: Share): Fraction {
  return { num: BigInt(share.num), den: BigInt(share.den) };
}

/** The sum in lowest terms; null when one of the shares is not known. */
export function sumOf(shares: readonly (Share | null)[]): Fraction | null {
  let sum: Fraction = { num: 0n, den: 1n };
  for (const share of shares) {
    if (share === null) return null;
    const f = toFraction(share);
    sum = { num: sum.num * f.den + f.num * sum.den, den: sum.den * f.den };
    const g = gcd(sum.num, sum.den);
    if (g > 1n) sum = { num: sum.num / g, den: sum.den / g };
  }
  return sum;
}

/** Negative when `a` is the larger one; unknown shares come last. */
export function largerFirst(a: Share | null, b: Share | null): number {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0);
  const [x, y] = [toFraction(a), toFraction(b)];
  const d = y.num * x.den - x.num * y.den;
  return d < 0n ? -1 : d > 0n ? 1 : 0;
}

/** Larger denominators say nothing to a reader. */
const READABLE = 100_000n;

/** `1 of 3`, `all`; a fraction that nobody can read becomes a percentage with a `≈`. */
export function formatFraction(f: Fraction | null): string {
  if (f === null) return "an unknown share";
  if (f.num === f.den) return "all";
  if (f.den <= READABLE) return `${f.num} of ${f.den}`;
  const millionths = (f.num * 100_000_000n) / f.den;
  const percent = Number(millionths) / 1_000_000;
  return `≈ ${percent < 0.001 ? percent.toExponential(1) : Number(percent.toPrecision(4))} %`;
}

export function formatShare(share: Share | null): string {
  return formatFraction(share === null ? null : toFraction(share));
}
