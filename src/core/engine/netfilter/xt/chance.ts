/** `-m statistic`: how often a rule matches (xt_statistic.c, statistic_mt). */
import type { XtMatch } from "../../../model/xtables.ts";
import { NO } from "../program.ts";
import type { Test } from "../program.ts";
import { undecided } from "./env.ts";

export interface RuleChance {
  /** Null: always, as far as chance goes. */
  random: { num: number; den: number } | null;
  /** What replaces chance where it is none: never, or not to be told. */
  test: Test | null;
}

const NONE: RuleChance = { random: null, test: null };

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

/**
 * All `statistic` matches of a rule together. `nth` is taken as one in `every`: where its counter stands is not recorded.
 * Two in one rule are drawn independently.
 */
export function chanceOf(matches: readonly XtMatch[]): RuleChance {
  let num = 1;
  let den = 1;
  let any = false;
  for (const m of matches) {
    if (m.m !== "random" && m.m !== "nth") continue;
    any = true;
    const n = m.m === "random" ? m.num : 1;
    const d = m.m === "random" ? m.den : Math.max(1, m.every);
    num *= m.not ? d - n : n;
    den *= d;
    const g = gcd(num, den);
    num /= g;
    den /= g;
    if (den >= 2 ** 53)
      return { random: null, test: undecided("the product of several statistic matches is not modelled") };
  }
  if (!any || num === den) return NONE;
  if (num === 0) return { random: null, test: () => NO };
  return { random: { num, den }, test: null };
}
