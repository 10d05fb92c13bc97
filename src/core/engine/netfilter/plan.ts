/** What the runner keeps of a chain: its index and, where packets came by, its rules laid out for running. */
import { IndexNode } from "./index.ts";
import { NEXT } from "./program.ts";
import type { ChainProgram, Effect, EvalState, RuleProgram, Test } from "./program.ts";
import { firstMatchWeights } from "./shares.ts";

/** A rule, or several in a row that one choice decides. */
export class Entry {
  readonly rule: RuleProgram;
  readonly tests: readonly Test[];
  readonly effects: readonly Effect[];
  /** What a match comes to, where that is one verdict and nothing else; NEXT: `effects` tell. */
  readonly code: number;
  /** Where a jump or goto of `code` leads; else null. */
  readonly to: ChainProgram | null;
  /** Weights of [match, no match]; null when the tests alone decide. */
  readonly chance: readonly number[] | null;
  /** The rules of a choice in order, else null; then `tests` are those that they share. */
  readonly members: readonly Entry[] | null;
  /** Chances of each member to be the first that matches, then that of none if that can be. */
  readonly shares: readonly number[];

  constructor(rule: RuleProgram, members: readonly Entry[] | null, shares: readonly number[]) {
    this.rule = rule;
    this.tests = rule.tests;
    this.effects = rule.effects;
    const outright = rule.outright ?? null;
    this.code = outright === null ? NEXT : outright.code;
    this.to = outright === null ? null : outright.chain;
    this.chance = rule.random === null ? null : [rule.random.num, rule.random.den - rule.random.num];
    this.members = members;
    this.shares = shares;
  }
}

export class ChainPlan {
  readonly program: ChainProgram;
  /** Contract.md's words for rules that lead here. */
  readonly jumpWord: string;
  readonly gotoWord: string;
  private readonly index: IndexNode<readonly Entry[]>;
  private everything: readonly Entry[] | null = null;
  /** All rules, where the chain has so few that they are asked in turn; null where the index chooses, and before the first packet. */
  flat: readonly Entry[] | null = null;

  constructor(program: ChainProgram) {
    this.program = program;
    this.jumpWord = `jump ${program.name}`;
    this.gotoWord = `goto ${program.name}`;
    this.index = new IndexNode(program.rules());
  }

  /** In the order of the chain, all rules that can match the packet of `s`. */
  candidates(s: EvalState): readonly Entry[] {
    const node = this.index.find(s);
    const list = (node.leaf ??= layOut(node.rules));
    if (node === this.index) this.flat = list;
    return list;
  }

  /** All rules of the chain, for traces that want those too that do not match. */
  all(): readonly Entry[] {
    return (this.everything ??= layOut(this.program.rules()));
  }
}

/** The chain's plan, made when it is first met. */
export function planOf(program: ChainProgram): ChainPlan {
  return (program.plan ??= new ChainPlan(program));
}

function layOut(rules: readonly RuleProgram[]): readonly Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < rules.length;) {
    const run = sameButForChance(rules, i);
    const { taken, weights } =
      run > 1 ? firstMatchWeights(rules.slice(i, i + run).map((r) => r.random)) : { taken: 1, weights: [] };
    if (taken > 1) {
      const members = rules.slice(i, i + taken).map((r) => new Entry(r, null, []));
      entries.push(new Entry(rules[i]!, members, weights));
    } else entries.push(new Entry(rules[i]!, null, []));
    i += Math.max(1, taken);
  }
  return entries;
}

/** How many rules from `from` on differ in nothing but chance and target; the first without chance is the last of them. */
function sameButForChance(rules: readonly RuleProgram[], from: number): number {
  const first = rules[from]!;
  if (first.random === null || first.testsKey === undefined) return 1;
  const key = first.testsKey();
  let end = from + 1;
  while (end < rules.length && rules[end - 1]!.random !== null && rules[end]!.testsKey?.() === key) end++;
  return end - from;
}
