import { describe, expect, it } from "vitest";
import { firstMatchWeights } from "./shares.ts";

const chain = (n: number): ({ num: number; den: number } | null)[] =>
  Array.from({ length: n }, (_, i) => (i === n - 1 ? null : { num: 1, den: n - i }));

describe("weights of the first match", () => {
  const cases: [string, Parameters<typeof firstMatchWeights>[0], number, number[]][] = [
    ["kube-proxy's three endpoints", chain(3), 3, [1, 1, 1]],
    ["two", chain(2), 2, [1, 1]],
    [
      "no last rule: none may match",
      [
        { num: 1, den: 3 },
        { num: 1, den: 3 },
      ],
      2,
      [3, 2, 4],
    ],
    ["weighted", [{ num: 3, den: 4 }, null], 2, [3, 1]],
    ["nothing after a sure rule", [{ num: 1, den: 2 }, null, null], 2, [1, 1]],
    ["a single rule", [{ num: 1, den: 2 }], 1, [1, 1]],
    [
      "the kernel's n/2^31 twice does not fit",
      [{ num: 5, den: 2 ** 31 }, { num: 7, den: 2 ** 31 }, null],
      1,
      [5, 2 ** 31 - 5],
    ],
  ];
  it.each(cases)("%s", (_name, chances, taken, weights) => {
    expect(firstMatchWeights(chances)).toEqual({ taken, weights });
  });

  it("is exactly equal for 5,000 endpoints", () => {
    const { taken, weights } = firstMatchWeights(chain(5000));
    expect(taken).toBe(5000);
    expect(new Set(weights)).toEqual(new Set([1]));
  });
});
