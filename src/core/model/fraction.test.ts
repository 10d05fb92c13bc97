import { array, assert, bigInt, integer, oneof, property, tuple } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ONE,
  ZERO,
  addFraction,
  compareFraction,
  fraction,
  fractionToNumber,
  mulFraction,
  toShare,
} from "./fraction.ts";
import type { Fraction } from "./fraction.ts";

const MAX = Number.MAX_SAFE_INTEGER;

describe("cases", () => {
  const cases: [got: Fraction, num: number | bigint, den: number | bigint][] = [
    [fraction(2, 4), 1, 2],
    [fraction(0, 7), 0, 1],
    [mulFraction(ONE, 1, 3), 1, 3],
    [mulFraction(fraction(2, 3), 3, 2), 1, 1],
    [mulFraction(fraction(1, 3), 0, 5), 0, 1],
    [mulFraction(ZERO, 4, 5), 0, 1],
    [addFraction(fraction(1, 3), fraction(1, 6)), 1, 2],
    [addFraction(fraction(1, 3), ZERO), 1, 3],
    [addFraction(fraction(1, 3), fraction(2, 3)), 1, 1],
    [mulFraction(fraction(1, MAX), 1, 2), 1n, 2n * BigInt(MAX)],
    [mulFraction(mulFraction(fraction(1, MAX), 1, 2), 2, 1), 1, MAX],
    [addFraction(fraction(1, MAX), fraction(1, MAX - 1)), 2n * BigInt(MAX) - 1n, BigInt(MAX) * BigInt(MAX - 1)],
    [fraction(715827883, 2 ** 31), 715827883, 2147483648],
  ];
  test.each(cases)("%# %o", (got, num, den) => expect(got).toEqual({ num, den }));

  test("what is no fraction is refused", () => {
    for (const [n, d] of [
      [1, 0],
      [-1, 2],
      [0.5, 2],
      [1, -2],
      [Number.NaN, 1],
      [2 ** 53, 1],
    ] as const) {
      expect(() => mulFraction(ONE, n, d)).toThrow(RangeError);
    }
  });
});

test("a share has strings beyond 2^53 only", () => {
  expect(toShare(fraction(1, 3))).toEqual({ num: 1, den: 3 });
  expect(toShare(mulFraction(fraction(1, 2 ** 52), 1, 2))).toEqual({ num: 1, den: 2 ** 53 });
  expect(toShare(mulFraction(fraction(1, 2 ** 52), 1, 6))).toEqual({ num: 1, den: "27021597764222976" });
});

/** A chain of factors, some of them large. */
const part = oneof(integer({ min: 1, max: 100 }), integer({ min: 1, max: MAX }));
const factors = array(tuple(part, part), { minLength: 1, maxLength: 8 });

const exact = (f: Fraction): [bigint, bigint] => [BigInt(f.num), BigInt(f.den)];

function wellFormed(f: Fraction): void {
  const [n, d] = exact(f);
  let [a, b] = [n, d];
  while (b !== 0n) [a, b] = [b, a % b];
  expect(a).toBe(1n);
  const small = n <= MAX && d <= MAX;
  expect([typeof f.num, typeof f.den]).toEqual(small ? ["number", "number"] : ["bigint", "bigint"]);
}

test("multiplication is exact", () => {
  assert(
    property(factors, (list) => {
      let f = ONE;
      let [n, d] = [1n, 1n];
      for (const [num, den] of list) {
        f = mulFraction(f, num, den);
        [n, d] = [n * BigInt(num), d * BigInt(den)];
        wellFormed(f);
        const [fn, fd] = exact(f);
        expect(fn * d).toBe(n * fd);
      }
    }),
  );
});

const of = (list: [number, number][]): Fraction => list.reduce((f, [n, d]) => mulFraction(f, n, d), ONE);

test("addition and comparison are exact", () => {
  assert(
    property(factors, factors, (xs, ys) => {
      const x = of(xs);
      const y = of(ys);
      const sum = addFraction(x, y);
      wellFormed(sum);
      const [[xn, xd], [yn, yd], [sn, sd]] = [exact(x), exact(y), exact(sum)];
      expect(sn * xd * yd).toBe(sd * (xn * yd + yn * xd));
      expect(Math.sign(compareFraction(x, y))).toBe(xn * yd < yn * xd ? -1 : xn * yd > yn * xd ? 1 : 0);
      expect(compareFraction(sum, x)).toBeGreaterThan(0);
    }),
  );
});

test("the double is close, however long the parts", () => {
  assert(
    property(
      bigInt({ min: 1n, max: 1n << 3000n }),
      integer({ min: 1, max: MAX }),
      integer({ min: 1, max: MAX }),
      (k, n, d) => {
        const f = fractionToNumber({ num: k * BigInt(n), den: k * BigInt(d) });
        expect(Math.abs(f / (n / d) - 1)).toBeLessThan(1e-15);
      },
    ),
  );
});
