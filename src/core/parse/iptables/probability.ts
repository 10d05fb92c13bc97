/** `-m statistic --probability`: from the printed decimal to the fraction that was meant. */
import { Malformed, shorten } from "./words.ts";

/** xt_statistic compares 31 random bits with round(p * 2^31) (libxt_statistic.c, statistic_mt of net/netfilter/xt_statistic.c). */
const KERNEL = 2 ** 31;
const NEAR = 2 ** -30;

/**
 * The fraction in lowest terms that a printed probability stands for: the nearest 1/n within 2^-30, since programs that spread
 * packets over n backends ask for 1/n and the kernel rounds it; any other is the kernel's own n/2^31.
 * Throws Malformed unless `text` is a decimal from 0 to 1.
 */
export function probability(text: string): { num: number; den: number } {
  const p = /^[01](?:\.[0-9]{1,30})?$/.test(text) ? Number(text) : Number.NaN;
  if (!(p <= 1)) throw new Malformed(`--probability: expected a decimal from 0 to 1, found ${shorten(text)}`);
  const n = Math.round(p * KERNEL);
  if (n === 0) return { num: 0, den: 1 };
  const below = Math.floor(KERNEL / n);
  const off = (k: number): number => Math.abs(n / KERNEL - 1 / k);
  const nearest = off(below) <= off(below + 1) ? below : below + 1;
  if (off(nearest) <= NEAR) return { num: 1, den: nearest };
  const common = gcd(n, KERNEL);
  return { num: n / common, den: KERNEL / common };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
