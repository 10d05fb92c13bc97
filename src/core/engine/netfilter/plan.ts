/** What the runner keeps of a chain: its index and, where packets came by, its rules laid out for running. */
import type { NatRequest } from "./context.ts";
import { IndexNode } from "./index.ts";
import { NEXT } from "./program.ts";
import type {
  ChainProgram,
  Effect,
  EvalState,
  Fork,
  Guard,
  RuleProgram,
  Test,
  VerdictOf,
  WordTest,
} from "./program.ts";
import { firstMatchWeights } from "./shares.ts";

/** Bits of `Entry.guards`: which conditions there are, and which of them are inverted. */
export const SRC = 1;
export const DST = 2;
export const PROTO = 4;
export const NOT_SRC = 8;
export const NOT_DST = 16;
export const NOT_PROTO = 32;
export const CT_STATE = 64;
export const MARK = 128;
export const NOT_MARK = 256;

/**
 * A rule, or several in a row that one choice decides. What every packet asks of it stands in the entry itself: with tens of
 * thousands of chains, each object that must be followed is one more that the processor's cache does not hold.
 */
export class Entry {
  // In the order in which they are asked: what decides for most packets stands in the first cache lines.
  /** As `next`, those left out that come to nothing (RuleProgram.vain). */
  nextOfUse: Entry | null = null;
  readonly guards: number;
  /** The rules of a choice in order, else null; then the conditions are those that they share. */
  readonly members: readonly Entry[] | null;
  readonly proto: number;
  readonly dst: number;
  readonly dstMask: number;
  readonly src: number;
  readonly srcMask: number;
  readonly tests: readonly Test[] | null;
  /** What a match comes to, where that is one verdict and nothing else; NEXT: `nat`, `verdicts`, `fork` or `effects` tell. */
  readonly code: number;
  readonly nat: NatRequest | null;
  readonly verdicts: VerdictOf | null;
  readonly fork: Fork | null;
  /** Where a jump or goto of `code` leads; else null. */
  readonly to: ChainProgram | null;
  /** Weights of [match, no match]; null when the tests alone decide. */
  readonly chance: readonly number[] | null;
  readonly mark: number;
  readonly markMask: number;
  /** Bits of which one must be that of the packet's state. */
  readonly ctState: number;
  readonly rule: RuleProgram;
  /** The one to ask next; null at the end. */
  next: Entry | null = null;
  readonly effects: readonly Effect[];
  /** A match does nothing at all. */
  readonly idle: boolean;
  /** Chances of each member to be the first that matches, then that of none if that can be. */
  readonly shares: readonly number[];

  /** `like`: an entry that asks the same of every packet; its conditions are taken over. */
  constructor(rule: RuleProgram, members: readonly Entry[] | null, shares: readonly number[], like: Entry | null) {
    const { src, dst, proto, mark, ctState } = (like === null ? rule.guard : null) ?? NO_GUARD;
    const outright = members === null ? (rule.outright ?? null) : null;
    this.guards =
      like === null
        ? bits(src, SRC, NOT_SRC) |
          bits(dst, DST, NOT_DST) |
          bits(proto, PROTO, NOT_PROTO) |
          bits(mark, MARK, NOT_MARK) |
          (ctState === undefined ? 0 : CT_STATE)
        : like.guards;
    this.members = members;
    this.dst = like === null ? (dst?.word ?? 0) : like.dst;
    this.dstMask = like === null ? (dst?.mask ?? 0) : like.dstMask;
    this.tests = like === null ? listed(rule.tests) : like.tests;
    this.code = outright === null ? NEXT : outright.code;
    this.to = outright === null ? null : outright.chain;
    this.proto = like === null ? (proto?.word ?? 0) : like.proto;
    this.chance = rule.random === null ? null : [rule.random.num, rule.random.den - rule.random.num];
    const told = members !== null || outright !== null;
    this.nat = told ? null : (rule.nat ?? null);
    this.fork = told || this.nat !== null ? null : (rule.fork?.() ?? null);
    this.verdicts = told || this.nat !== null || this.fork !== null ? null : (rule.verdicts ?? null);
    this.mark = like === null ? (mark?.word ?? 0) : like.mark;
    this.markMask = like === null ? (mark?.mask ?? 0) : like.markMask;
    this.ctState = like === null ? (ctState ?? 0) : like.ctState;
    this.src = like === null ? (src?.word ?? 0) : like.src;
    this.srcMask = like === null ? (src?.mask ?? 0) : like.srcMask;
    this.rule = rule;
    const known = told || this.nat !== null || this.fork !== null || this.verdicts !== null;
    this.effects = known ? NO_EFFECTS : rule.effects;
    this.idle = !known && this.effects.length === 0;
    this.shares = shares;
  }
}

const listed = (tests: readonly Test[]): readonly Test[] | null => (tests.length === 0 ? null : tests);

const NO_GUARD: Guard = {};
const NO_EFFECTS: readonly Effect[] = [];

const bits = (test: WordTest | undefined, is: number, not: number): number =>
  test === undefined ? 0 : test.not ? is | not : is;

export class ChainPlan {
  readonly program: ChainProgram;
  private readonly index: IndexNode<readonly Entry[]>;
  private everything: readonly Entry[] | null = null;
  /** The chain has so few rules that they are asked in turn, from `first` on. Found with the first packet. */
  flat = false;
  first: Entry | null = null;

  constructor(program: ChainProgram) {
    this.program = program;
    this.index = new IndexNode(program.rules());
  }

  /** In the order of the chain, all rules that can match the packet of `s`. */
  candidates(s: EvalState): readonly Entry[] {
    const node = this.index.find(s);
    const list = (node.leaf ??= layOut(node.rules));
    if (node === this.index) {
      this.flat = true;
      this.first = list[0] ?? null;
      this.program.first = ofUse(list);
    }
    return list;
  }

  /** All rules of the chain, for traces that want those too that do not match. */
  all(): readonly Entry[] {
    return (this.everything ??= layOut(this.program.rules()));
  }
}

/** The first of the entries that may come to something, linked to the others of them. */
function ofUse(list: readonly Entry[]): Entry | null {
  let next: Entry | null = null;
  for (const entry of list.toReversed()) {
    if (entry.members === null && entry.rule.vain?.() === true) continue;
    entry.nextOfUse = next;
    next = entry;
  }
  return next;
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
    const first = new Entry(rules[i]!, null, [], null);
    if (taken > 1) {
      const members = rules.slice(i, i + taken).map((r, k) => (k === 0 ? first : new Entry(r, null, [], first)));
      entries.push(new Entry(rules[i]!, members, weights, first));
    } else entries.push(first);
    i += Math.max(1, taken);
  }
  for (let i = 1; i < entries.length; i++) entries[i - 1]!.next = entries[i]!;
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
