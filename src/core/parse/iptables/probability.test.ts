import { expect, test } from "vitest";
import { probability } from "./probability.ts";

test.each([
  ["0.33333333349", 1, 3],
  ["0.3333333333", 1, 3],
  ["0.50000000000", 1, 2],
  ["0.06666666688", 1, 15],
  ["0.00100000016", 1, 1000],
  ["1.00000000000", 1, 1],
  ["1", 1, 1],
  ["0.00000000000", 0, 1],
  ["0.00000000047", 1, 2147483648],
  ["0.75000000000", 3, 4],
  ["0.00000000140", 1, 715827883],
  ["0.70000000019", 751619277, 1073741824],
])("%s is %d/%d", (text, num, den) => {
  expect(probability(text)).toEqual({ num, den });
});

test("every 1/n that kube-proxy asks for comes back from what iptables prints", () => {
  for (let n = 1; n <= 5000; n++) {
    const stored = Math.round(Number((1 / n).toFixed(10)) * 2 ** 31);
    expect(probability((stored / 2 ** 31).toFixed(11))).toEqual({ num: 1, den: n });
  }
});

test.each(["1.1", "2", "-0.5", "0,5", "", "1e-3", "NaN", "0x1"])("%j is none", (text) => {
  expect(() => probability(text)).toThrow("--probability: expected a decimal from 0 to 1");
});
