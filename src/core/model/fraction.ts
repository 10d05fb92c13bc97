/** Exact fractions, for shares. Small ones are two plain numbers: walks multiply them all the time. */
import type { Share } from "./walk.ts";

/**
 * A non-negative fraction in lowest terms; zero is 0/1. Both parts are numbers while both are below 2^53 and both are bigints otherwise,
 * so that two fractions are equal exactly when their parts are equal by `===`.
 */
export interface Fraction {
  readonly num: number | bigint;
  readonly den: number | bigint;
}

export const ZERO: Fraction = { num: 0, den: 1 };
export const ONE: Fraction = { num: 1, den: 1 };

/** Products up to here are exact: a larger one never rounds down below 2^53. */
const MAX = Number.MAX_SAFE_INTEGER;

/** Euclid on 32-bit integers, not both zero: kept to itself so that it compiles to integer division. */
function gcd32(a: number, b: number): number {
  while (b !== 0) {
    const rest = (a % b) | 0;
    a = b;
    b = rest;
  }
  return a;
}

/** Greatest common divisor; both below 2^53, not both zero. */
function gcd(a: number, b: number): number {
  while (a > 0x7fffffff || b > 0x7fffffff) {
    if (b === 0) return a;
    const rest = a % b;
    a = b;
    b = rest;
  }
  return gcd32(a | 0, b | 0);
}

function bigGcd(a: bigint, b: bigint): bigint {
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function reduced(num: bigint, den: bigint): Fraction {
  const g = bigGcd(num, den);
  const n = num / g;
  const d = den / g;
  return n <= MAX && d <= MAX ? { num: Number(n), den: Number(d) } : { num: n, den: d };
}

function checkParts(num: number, den: number): void {
  if (!(Number.isSafeInteger(num) && num >= 0 && Number.isSafeInteger(den) && den > 0)) {
    throw new RangeError(`${num}/${den} is no fraction of whole numbers`);
  }
}

/** `num`/`den`, both whole and below 2^53, `num` not negative and `den` positive. Throws RangeError otherwise. */
export function fraction(num: number, den: number): Fraction {
  return mulFraction(ONE, num, den);
}

/** `f` × `num`/`den`, both whole and below 2^53, `num` not negative and `den` positive. Throws RangeError otherwise. */
export function mulFraction(f: Fraction, num: number, den: number): Fraction {
  checkParts(num, den);
  const fn = f.num;
  const fd = f.den;
  if (typeof fn === "number" && typeof fd === "number") {
    // Cancelling across first keeps the products small; what is left has no common factor.
    const own = gcd(den, num);
    const n = num / own;
    const d = den / own;
    const left = gcd(d, fn);
    const right = gcd(fd, n);
    const outNum = (fn / left) * (n / right);
    const outDen = (fd / right) * (d / left);
    if (outNum <= MAX && outDen <= MAX) return { num: outNum, den: outDen };
  }
  return reduced(BigInt(fn) * BigInt(num), BigInt(fd) * BigInt(den));
}

/** `x` + `y`. */
export function addFraction(x: Fraction, y: Fraction): Fraction {
  const { num: xn, den: xd } = x;
  const { num: yn, den: yd } = y;
  if (typeof xn === "number" && typeof xd === "number" && typeof yn === "number" && typeof yd === "number") {
    const common = gcd(xd, yd);
    const den = (xd / common) * yd;
    const a = xn * (yd / common);
    const b = yn * (xd / common);
    const num = a + b;
    if (den <= MAX && a <= MAX && b <= MAX && num <= MAX) {
      const g = gcd(den, num);
      return { num: num / g, den: den / g };
    }
  }
  return reduced(BigInt(xn) * BigInt(yd) + BigInt(yn) * BigInt(xd), BigInt(xd) * BigInt(yd));
}

/** Negative, zero or positive as `x` is less than, equal to or greater than `y`. */
export function compareFraction(x: Fraction, y: Fraction): number {
  const { num: xn, den: xd } = x;
  const { num: yn, den: yd } = y;
  if (typeof xn === "number" && typeof xd === "number" && typeof yn === "number" && typeof yd === "number") {
    const a = xn * yd;
    const b = yn * xd;
    if (a <= MAX && b <= MAX) return a - b;
  }
  const a = BigInt(xn) * BigInt(yd);
  const b = BigInt(yn) * BigInt(xd);
  return a < b ? -1 : a > b ? 1 : 0;
}

const part = (n: number | bigint): number | string => (n <= 2 ** 53 ? Number(n) : n.toString());

/** As contract.md writes a share: each part a number, or a decimal string beyond 2^53. */
export function toShare(f: Fraction): Share {
  return { num: part(f.num), den: part(f.den) };
}

/** The nearest double, or one of its neighbours. */
export function fractionToNumber(f: Fraction): number {
  if (typeof f.num === "number" && typeof f.den === "number") return f.num / f.den;
  const num = BigInt(f.num);
  const den = BigInt(f.den);
  // Both parts down to what a double can hold, by the same power of two.
  const excess = Math.max(0, Math.max(num.toString(16).length, den.toString(16).length) * 4 - 1000);
  const shift = BigInt(excess);
  return Number(num >> shift) / Number(den >> shift);
}
