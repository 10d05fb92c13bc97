/** Compares chains and their rules: what was added, removed and changed, and what moved past a rule that the same packet can meet. */
import { matchInOrder } from "../diff/in-order.ts";
import type { Source } from "../model/source.ts";
import { areDisjoint, type Wants } from "./disjoint.ts";
import type { Report } from "./report.ts";

/** A rule to compare. */
export interface ComparedRule {
  /** With stand-ins, without counters and comments: rules of one text do the same. */
  canonical: string;
  text(): string;
  source: Source;
  wants(): Wants;
}

export interface ComparedChain {
  /** `ip filter FORWARD`. */
  what: string;
  /** Hook and policy; empty for a chain that others jump to. */
  base: string;
  source: Source;
  rules: readonly ComparedRule[];
}

/** Above this many pairs of rules the order is not looked at more closely, and a rule that moved counts as moved. */
const MOST_PAIRS = 20_000_000;

const side = (rule: ComparedRule): { text: string; source: Source } => ({ text: rule.text(), source: rule.source });

/** Places of the rules of `after` by those of `before`: those in the same order, and those that are elsewhere. */
function places(
  before: readonly ComparedRule[],
  after: readonly ComparedRule[],
): { inOrder: number[]; elsewhere: Map<number, number> } {
  const inOrder = matchInOrder(
    before.map((rule) => rule.canonical),
    after.map((rule) => rule.canonical),
  );
  const taken = new Set(inOrder);
  const free = new Map<string, number[]>();
  for (let i = after.length - 1; i >= 0; i--) {
    if (taken.has(i)) continue;
    const list = free.get(after[i]!.canonical);
    if (list === undefined) free.set(after[i]!.canonical, [i]);
    else list.push(i);
  }
  const elsewhere = new Map<number, number>();
  inOrder.forEach((place, i) => {
    if (place >= 0) return;
    const found = free.get(before[i]!.canonical)?.pop();
    if (found !== undefined) elsewhere.set(i, found);
  });
  return { inOrder, elsewhere };
}

/** Whether the rule `i` has changed sides with one that the same packet can match. */
function passed(i: number, to: readonly number[], before: readonly ComparedRule[]): boolean {
  const own = before[i]!.wants();
  for (let j = 0; j < before.length; j++) {
    if (to[j]! < 0 || j === i) continue;
    if (j < i !== to[j]! < to[i]! && !areDisjoint(own, before[j]!.wants())) return true;
  }
  return false;
}

/** Rules that came beside rules that went, between two that stayed: as many of each are changes of each other. */
function replaced(
  at: string,
  what: string,
  gone: readonly ComparedRule[],
  come: readonly ComparedRule[],
  report: Report,
): void {
  const pairs = gone.length === come.length ? gone.length : 0;
  for (let k = 0; k < pairs; k++) report.changed(at, "rule", what, side(gone[k]!), side(come[k]!), []);
  for (const rule of gone.slice(pairs)) report.removed(at, "rule", what, side(rule));
  for (const rule of come.slice(pairs)) report.added(at, "rule", what, side(rule));
}

function compareRules(at: string, before: ComparedChain, after: ComparedChain, report: Report): void {
  const { inOrder, elsewhere } = places(before.rules, after.rules);
  const to = inOrder.map((place, i) => (place >= 0 ? place : (elsewhere.get(i) ?? -1)));
  const affordable = elsewhere.size * before.rules.length <= MOST_PAIRS;
  for (const [i, place] of elsewhere) {
    if (affordable && !passed(i, to, before.rules)) continue;
    report.moved(at, "rule", before.what, side(before.rules[i]!), side(after.rules[place]!));
  }
  const kept = new Set(to);
  let next = 0;
  let gone: ComparedRule[] = [];
  const until = (end: number): void => {
    const come = after.rules.slice(next, end).filter((_, k) => !kept.has(next + k));
    replaced(at, before.what, gone, come, report);
    gone = [];
  };
  before.rules.forEach((rule, i) => {
    if (to[i]! < 0) gone.push(rule);
    else if (inOrder[i]! >= 0) {
      until(inOrder[i]!);
      next = inOrder[i]! + 1;
    }
  });
  until(after.rules.length);
}

/** A chain as one line: what it is, and how many rules it holds. */
function chainSide(chain: ComparedChain): { text: string; source: Source } {
  const rules = chain.rules.length === 1 ? "1 rule" : `${chain.rules.length} rules`;
  return { text: [chain.what, chain.base, `(${rules})`].filter((part) => part !== "").join(" "), source: chain.source };
}

/** Compares the chains of one namespace. A chain that came or went brings or takes its rules, which are not told one by one. */
export function compareChains(
  at: string,
  before: readonly ComparedChain[],
  after: readonly ComparedChain[],
  report: Report,
): void {
  const others = new Map(after.map((chain) => [chain.what, chain]));
  for (const chain of before) {
    const other = others.get(chain.what);
    if (other === undefined) {
      report.removed(at, "chain", chain.what, chainSide(chain));
      continue;
    }
    others.delete(chain.what);
    if (chain.base !== other.base)
      report.changed(at, "chain", chain.what, chainSide(chain), chainSide(other), [
        { name: "base", before: chain.base, after: other.base },
      ]);
    compareRules(at, chain, other, report);
  }
  for (const chain of others.values()) report.added(at, "chain", chain.what, chainSide(chain));
}
