import { expect, test } from "vitest";
import { generate } from "./generate/index.ts";
import { Rng } from "./rng.ts";

test("the same seed gives the same numbers, another one others", () => {
  const take = (...seed: number[]): number[] => {
    const r = new Rng(...seed);
    return Array.from({ length: 8 }, () => r.u32());
  };
  expect(take(1, 2)).toEqual(take(1, 2));
  expect(take(1, 2)).not.toEqual(take(2, 1));
  expect(take(1, 2)).not.toEqual(take(1, 3));
});

test("int covers its whole range, chance is about fair", () => {
  const r = new Rng(5);
  expect(new Set(Array.from({ length: 200 }, () => r.int(3, 6)))).toEqual(new Set([3, 4, 5, 6]));
  const hits = Array.from({ length: 10_000 }, () => r.chance(0.3)).filter(Boolean).length;
  expect(hits).toBeGreaterThan(2800);
  expect(hits).toBeLessThan(3200);
});

test("a case is the same whenever it is made", () => {
  const filter = { only: null, without: new Set<string>() };
  expect(generate(7, 3, filter)).toEqual(generate(7, 3, filter));
  expect(generate(7, 3, filter)).not.toEqual(generate(7, 4, filter));
});

test("probes of one batch share no port, so that no two share a connection", () => {
  for (let n = 0; n < 5; n++) {
    for (const b of generate(9, n, { only: null, without: new Set() }).batches) {
      const keys = b.probes.map((p) => `${p.proto} ${p.sport}`);
      expect(new Set(keys).size).toBe(keys.length);
    }
  }
});
