/** What compiling a rule needs beside the rule. */
import type { Source } from "../../../model/source.ts";
import type { XtRule } from "../../../model/xtables.ts";
import type { SetTable } from "../ipset/sets.ts";
import { MAYBE } from "../program.ts";
import type { ChainProgram, Test } from "../program.ts";
import type { RecentLists } from "./recent.ts";

export interface XtEnv {
  /** IP version of the ruleset. */
  readonly v: 4 | 6;
  /** `ip` or `ip6`, as nft names it. */
  readonly family: "ip" | "ip6";
  readonly table: string;
  readonly file: string;
  readonly sets: SetTable;
  readonly recent: RecentLists;
  /** The raw line of a source. */
  textOf(source: Source): string;
  /** The line of a rule of the ruleset, without its counters. */
  ruleText(rule: XtRule): string;
  /** A chain of the same table; null when it was not recorded. */
  chain(name: string): ChainProgram | null;
}

/** A test that can't be decided, for the reason given. */
export function undecided(why: string): Test {
  return (s) => {
    s.why = why;
    return MAYBE;
  };
}
