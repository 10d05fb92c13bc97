import { expect, test } from "vitest";
import type { MetRule } from "../../core/model/lab.ts";
import { sameRules } from "./trace-events.ts";

const met = (...texts: string[]): MetRule[] => texts.map((text) => ({ direction: "forward", text, rule: "" }));

const A = ["ip a pre rule 0: jump x", "ip a x rule 1: accept"];
const B = ["ip b pre rule 0: continue", "ip b pre policy: accept"];

test.each<[string, MetRule[], MetRule[], boolean]>([
  ["the same", met(...A, ...B), met(...A, ...B), true],
  ["chains in another order", met(...A, ...B), met(...B, ...A), true],
  ["a chain of nothing but its policy", met("ip c pre policy: accept", ...A), met(...A), true],
  ["a chain that dropped by its policy", met("ip c pre policy: drop"), met(), false],
  ["rules of one chain in another order", met(...A), met(...A.toReversed()), false],
  ["a rule more", met(...A, ...B), met(...A), false],
  ["another verdict", met("ip a pre rule 0: drop"), met("ip a pre rule 0: accept"), false],
  ["the answer's for the packet's", met(...A), met(...A).map((each) => ({ ...each, direction: "reply" })), false],
])("%s", (_, a, b, same) => {
  expect(sameRules(a, b)).toBe(same);
});
