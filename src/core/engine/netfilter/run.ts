/**
 * Runs a chain for a packet: nft_do_chain (net/netfilter/nf_tables_core.c) and ipt_do_table (net/ipv4/netfilter/ip_tables.c).
 * Both push the place after a jump, do not push for a goto, and take the base chain's policy when nothing is left.
 */
import type { Changed } from "../../model/walk.ts";
import type { ChainVerdict, PolicyRef, RuleContext } from "./context.ts";
import type { Packet } from "../packet.ts";
import { ctStateBit } from "./ct-state.ts";
import { CT_STATE, DST, MARK, NOT_DST, NOT_MARK, NOT_PROTO, NOT_SRC, planOf, PROTO, SRC } from "./plan.ts";
import type { ChainPlan, Entry } from "./plan.ts";
import {
  ACCEPT,
  BREAK,
  DROP,
  GIVE_UP,
  GOTO,
  JUMP,
  MAYBE,
  NEXT,
  NO,
  QUEUE,
  REJECT,
  RETURN,
  STOLEN,
  UNSURE,
  YES,
} from "./program.ts";
import type { ChainProgram, EvalState, Test, VerdictOf } from "./program.ts";

/**
 * Deeper than any ruleset that the kernel loads: nf_tables refuses more than NFT_JUMP_STACK_SIZE (16) and loops (nft_chain_validate),
 * legacy tables refuse loops (mark_source_chains). A recording that goes on is not what a kernel held.
 */
const MAX_DEPTH = 256;
const MAX_GOTOS = 1024;

/**
 * Runs a base chain to its end and records its steps. Sets `ctx.decidedBy` and `ctx.rejectWith`.
 * `policy` decides, and is recorded, when no rule does.
 */
export function runBaseChain(
  program: ChainProgram,
  ref: PolicyRef,
  policy: "accept" | "drop",
  ctx: RuleContext,
): ChainVerdict {
  const s = ctx as EvalState;
  s.why = "";
  s.target = null;
  s.changed = null;
  s.decidedBy = null;
  s.rejectWith = null;
  switch (walk(program, s, 0)) {
    case ACCEPT:
      return "accept";
    case DROP:
      return "drop";
    case REJECT:
      return "reject";
    case STOLEN:
      return "stolen";
    case QUEUE:
      return "queue";
    case GIVE_UP:
      return "unknown";
    default:
      s.decidedBy = null;
      if (s.quiet !== true) s.trace.policy(s, ref, policy);
      return policy;
  }
}

/** The chain's verdict; RETURN at its end or by a rule. */
function walk(start: ChainProgram, s: EvalState, depth: number): number {
  let chain = start;
  if (depth > MAX_DEPTH) return endless(chain, s);
  for (let gotos = 0; ; gotos++) {
    if (gotos > MAX_GOTOS) return endless(chain, s);
    const { first } = chain;
    // Rules that come to nothing are asked only where someone looks, or where the packet has made something of them.
    const verdict =
      first !== undefined && s.quiet === true && s.pkt.setChanges.length === 0
        ? walkOfUse(first, s, depth)
        : walkPlan(planOf(chain), s, depth);
    if (verdict !== GOTO) return verdict;
    chain = s.target!;
  }
}

function walkPlan(plan: ChainPlan, s: EvalState, depth: number): number {
  if (s.quiet !== true && s.trace.wantsMisses) return walkAll(plan.all()[0] ?? null, s, depth);
  return plan.flat ? walkAll(plan.first, s, depth) : walkIndexed(plan, s, depth);
}

function endless(chain: ChainProgram, s: EvalState): number {
  return s.oracle.unknown(`chain ${chain.name} jumps in a circle`, chain.source) ? ACCEPT : DROP;
}

function walkIndexed(plan: ChainPlan, s: EvalState, depth: number): number {
  const pkt = s.pkt;
  let list = plan.candidates(s);
  let { src, dst, sport, dport } = pkt;
  for (let i = 0; i < list.length; i++) {
    const entry = list[i]!;
    const verdict = evaluate(entry, s, depth);
    if (verdict === NO) continue;
    if (verdict !== NEXT_RULE) return verdict;
    // A rule that rewrote the packet (nft payload statements) changes which later rules can match.
    if (pkt.dst !== dst || pkt.src !== src || pkt.dport !== dport || pkt.sport !== sport) {
      ({ src, dst, sport, dport } = pkt);
      const done = (entry.members?.at(-1) ?? entry).rule.index;
      list = plan.candidates(s);
      i = -1;
      while (i + 1 < list.length && list[i + 1]!.rule.index <= done) i++;
    }
  }
  return RETURN;
}

/** Asks one entry after the other, but those that come to nothing; from where the packet changes a set, all. */
function walkOfUse(first: Entry | null, s: EvalState, depth: number): number {
  for (let entry = first; entry !== null; entry = entry.nextOfUse) {
    const verdict = evaluate(entry, s, depth);
    if (verdict !== NO && verdict !== NEXT_RULE) return verdict;
    if (verdict === NEXT_RULE && s.pkt.setChanges.length > 0) return walkAll(entry.next, s, depth);
  }
  return RETURN;
}

/** Asks one entry after the other. */
function walkAll(first: Entry | null, s: EvalState, depth: number): number {
  for (let entry = first; entry !== null; entry = entry.next) {
    const verdict = evaluate(entry, s, depth);
    if (verdict !== NO && verdict !== NEXT_RULE) return verdict;
  }
  return RETURN;
}

/** Whether the conditions that stand in the entry hold. */
function passes(entry: Entry, pkt: Packet): boolean {
  const { guards } = entry;
  if (guards === 0) return true;
  if ((guards & CT_STATE) !== 0 && (ctStateBit(pkt) & entry.ctState) === 0) return false;
  if ((guards & MARK) !== 0 && (((pkt.mark ^ entry.mark) & entry.markMask) === 0) === ((guards & NOT_MARK) !== 0))
    return false;
  if ((guards & PROTO) !== 0 && (pkt.proto === entry.proto) === ((guards & NOT_PROTO) !== 0)) return false;
  if ((guards & DST) !== 0 && (((pkt.dst.a ^ entry.dst) & entry.dstMask) === 0) === ((guards & NOT_DST) !== 0))
    return false;
  return (guards & SRC) === 0 || (((pkt.src.a ^ entry.src) & entry.srcMask) === 0) !== ((guards & NOT_SRC) !== 0);
}

/** What `evaluate` says when the chain goes on after a rule that matched; NO when none matched. Any other value is final for the chain. */
const NEXT_RULE = -1;

const NO_TESTS: readonly Test[] = [];

function evaluate(entry: Entry, s: EvalState, depth: number): number {
  if (entry.members !== null) return evaluateChoice(entry, entry.members, s, depth);
  if (!passes(entry, s.pkt)) return miss(entry, s);
  const tests = entry.tests;
  let maybe = "";
  let unsure = false;
  if (tests !== null) {
    for (let i = 0; i < tests.length; i++) {
      const answer = tests[i]!(s);
      if (answer === YES) continue;
      if (answer === NO) return miss(entry, s);
      if (!unsure) maybe = s.why;
      unsure = true;
    }
  }
  // A rule that does nothing decides nothing: not asked, and shown only when it surely matches.
  if (unsure && (entry.idle || !s.oracle.unknown(maybe, entry.rule.source))) return miss(entry, s);
  if (entry.chance !== null && s.oracle.choose(entry.chance) !== 0) return miss(entry, s);
  return fire(entry, s, depth);
}

function miss(entry: Entry, s: EvalState): number {
  if (s.quiet !== true && s.trace.wantsMisses) s.trace.miss(s, entry.rule);
  return NO;
}

/** Rules that share their tests: the tests once, then one choice of which is the first to match. */
function evaluateChoice(entry: Entry, members: readonly Entry[], s: EvalState, depth: number): number {
  const tests = entry.tests ?? NO_TESTS;
  let answer = passes(entry, s.pkt) ? YES : NO;
  for (let i = 0; i < tests.length && answer === YES; i++) answer = tests[i]!(s);
  if (answer === MAYBE) return evaluateSingly(members, s, depth);
  if (answer === NO) {
    for (let j = 0; s.trace.wantsMisses && j < members.length; j++) s.trace.miss(s, members[j]!.rule);
    return NO;
  }
  let from = 0;
  let shares = entry.shares;
  while (from < members.length) {
    const chosen = from + s.oracle.choose(shares);
    if (s.trace.wantsMisses)
      for (let j = from; j < Math.min(chosen, members.length); j++) s.trace.miss(s, members[j]!.rule);
    if (chosen >= members.length) break;
    const verdict = fire(members[chosen]!, s, depth);
    if (verdict !== NEXT_RULE) return verdict;
    // It matched and came back: those after it draw on their own, in the proportions that they have among themselves.
    from = chosen + 1;
    shares = entry.shares.slice(from);
  }
  return NEXT_RULE;
}

function evaluateSingly(members: readonly Entry[], s: EvalState, depth: number): number {
  for (let i = 0; i < members.length; i++) {
    const verdict = evaluate(members[i]!, s, depth);
    if (verdict !== NO && verdict !== NEXT_RULE) return verdict;
  }
  return NEXT_RULE;
}

/** Does what a matching rule says. */
function fire(entry: Entry, s: EvalState, depth: number): number {
  s.changed = null;
  if (entry.code !== NEXT) {
    s.target = entry.to;
    return conclude(entry, s, depth, entry.code, null);
  }
  if (entry.nat !== null) {
    const changed = s.services.nat(s, entry.nat);
    return conclude(entry, s, depth, changed === null ? DROP : ACCEPT, changed);
  }
  if (entry.verdicts !== null) return look(entry, entry.verdicts, s, depth);
  const { fork } = entry;
  if (fork === null) return apply(entry, s, depth);
  const way = fork.ways[fork.ways.length === 1 ? 0 : s.oracle.choose(fork.weights)]!;
  if (way === null) {
    miss(entry, s);
    return NEXT_RULE;
  }
  s.target = way;
  return conclude(entry, s, depth, fork.code, null);
}

/** Gives the verdict that a map has for the packet. */
function look(entry: Entry, verdicts: VerdictOf, s: EvalState, depth: number): number {
  const verdict = verdicts(s);
  if (verdict === undefined) return conclude(entry, s, depth, GIVE_UP, null);
  if (verdict === null) {
    miss(entry, s);
    return NEXT_RULE;
  }
  s.target = verdict.chain;
  return conclude(entry, s, depth, verdict.code, null);
}

/** Runs the effects of a matching rule. */
function apply(entry: Entry, s: EvalState, depth: number): number {
  const pkt = s.pkt;
  const effects = entry.effects;
  const mark = pkt.mark;
  const ct = pkt.ct;
  const ctmark = ct === null ? 0 : ct.mark;
  let code = NEXT;
  for (let i = 0; i < effects.length && code === NEXT; i++) {
    code = effects[i]!(s);
    // It may rewrite the packet, which no branch could stand for.
    if (code === UNSURE) code = GIVE_UP;
  }
  // NFT_BREAK after earlier statements had their effect: the kernel traces no rule (nft_do_chain).
  if (code === BREAK) {
    miss(entry, s);
    return NEXT_RULE;
  }
  // Effects set it behind the compiler's back.
  let changed = s.changed as Changed | null;
  if (pkt.mark !== mark) changed = { ...changed, mark: pkt.mark >>> 0 };
  if (ct !== null && ct.mark !== ctmark) changed = { ...changed, ctmark: ct.mark >>> 0 };
  return conclude(entry, s, depth, code, changed);
}

/** Goes where a matching rule leads, and tells of it; `s.target` is the chain of a jump or goto. */
function conclude(entry: Entry, s: EvalState, depth: number, code: number, changed: Changed | null): number {
  const rule = entry.rule;
  switch (code) {
    case NEXT:
      if (s.quiet !== true) s.trace.rule(s, rule, "continue", changed);
      return NEXT_RULE;
    case JUMP: {
      if (s.quiet !== true) s.trace.rule(s, rule, `jump ${s.target!.name}`, changed);
      const verdict = walk(s.target!, s, depth + 1);
      return verdict === RETURN ? NEXT_RULE : verdict;
    }
    case GOTO:
      if (s.quiet !== true) s.trace.rule(s, rule, `goto ${s.target!.name}`, changed);
      return GOTO;
    case RETURN:
      if (s.quiet !== true) s.trace.rule(s, rule, "return", changed);
      return RETURN;
    default:
      s.decidedBy = rule;
      if (s.quiet !== true) s.trace.rule(s, rule, finalWord(code), changed);
      return code;
  }
}

function finalWord(code: number): string {
  switch (code) {
    case ACCEPT:
      return "accept";
    case REJECT:
      return "reject";
    case STOLEN:
      return "stolen";
    case QUEUE:
      return "queue";
    case GIVE_UP:
      return "unknown";
    default:
      return "drop";
  }
}
