import { expect, test } from "vitest";
import { distributionOf, lnMultinomial, lnSeen, successes, tail, type Draws } from "./statistics.ts";

test("ln P of counts is that of the multinomial distribution", () => {
  // 3!/(2! 1! 0!) · (1/3)³
  expect(Math.exp(lnMultinomial([2, 1, 0], [1 / 3, 1 / 3, 1 / 3]))).toBeCloseTo(3 / 27, 12);
  expect(lnMultinomial([1, 1], [1, 0])).toBe(-Infinity);
});

test("a first timeout leaves two tries: what can be seen has chance 1 altogether", () => {
  const d: Draws = { shares: [0.5, 0.3, 0.2], timeout: 1, planned: 6 };
  const stopped = [
    [1, 1, 0],
    [0, 2, 0],
    [0, 1, 1],
  ];
  // (timeout, timeout) has chance 0.09, (timeout, first) 0.15.
  expect(stopped.map((c) => Math.exp(lnSeen(c, d))).map((p) => Number(p.toFixed(12)))).toEqual([0.15, 0.09, 0.06]);
  let sum = 0.3;
  for (let a = 0; a <= 6; a++)
    for (let b = 0; a + b <= 6; b++) if (b < 6) sum += Math.exp(lnSeen([a, b, 6 - a - b], d));
  expect(sum).toBeCloseTo(1, 12);
});

test("a distribution knows its mean, its variance and its rarest", () => {
  const d = distributionOf({ shares: [0.9, 0.1], timeout: -1, planned: 1 })!;
  expect(d.mean).toBeCloseTo(0.9 * Math.log(0.9) + 0.1 * Math.log(0.1), 12);
  expect(d.variance).toBeCloseTo(0.09 * Math.log(9) ** 2, 12);
  expect(d.atMost(Math.log(0.1))).toBeCloseTo(0.1, 12);
  expect(d.atMost(Math.log(0.9))).toBeCloseTo(1, 12);
});

test("all of them seen alike is the rarest, and the exact test says how rare", () => {
  const shares = [1 / 3, 1 / 3, 1 / 3];
  const draws: Draws = { shares, timeout: -1, planned: 9 };
  expect(distributionOf(draws)!.atMost(lnSeen([9, 0, 0], draws))).toBeCloseTo(3 / 3 ** 9, 12);
  expect(distributionOf(draws)!.atMost(lnSeen([3, 3, 3], draws))).toBeCloseTo(1, 12);
});

test("too much to list is not listed", () => {
  expect(distributionOf({ shares: Array.from({ length: 40 }, () => 1 / 40), timeout: -1, planned: 9 })).toBeNull();
});

test("Poisson's binomial distribution", () => {
  expect([...successes([0.5, 0.5])]).toEqual([0.25, 0.5, 0.25]);
  expect([...successes([1, 0.25])]).toEqual([0, 0.75, 0.25]);
  expect(tail([0.5, 0.5, 0.5, 0.5], 0)).toBeCloseTo(2 / 16, 12);
  expect(tail([0.5, 0.5, 0.5, 0.5], 2)).toBe(1);
});
