/** Compiled rules: what both front ends (iptables, nftables) produce and the runner executes. */
import type { Prefix } from "../../model/address.ts";
import type { Changed } from "../../model/walk.ts";
import type { Source } from "../../model/source.ts";
import type { NatRequest, RuleContext, RuleRef } from "./context.ts";
import type { ChainPlan, Entry } from "./plan.ts";

/** Three-valued: a test that can't be decided leaves its reason in `state.why`. */
export const NO = 0;
export const YES = 1;
export const MAYBE = 2;

/** Why a rule that asks for the length cannot be decided. */
export const LENGTH_UNKNOWN = "how much the program sends is not known";

/** What an effect says. NEXT: go on with the rule. BREAK: the rule does not match after all (nft). */
export const NEXT = 0;
export const BREAK = 1;
export const UNSURE = 2;
export const ACCEPT = 3;
export const DROP = 4;
export const REJECT = 5;
export const RETURN = 6;
export const JUMP = 7;
export const GOTO = 8;
export const STOLEN = 9;
export const QUEUE = 10;
/** The rule does something that is not modelled: nothing can be said of the packet from here on. */
export const GIVE_UP = 11;

/** Evaluation state handed to every test and effect: the context, and the registers of this run. */
export interface EvalState extends RuleContext {
  /** Why the last MAYBE or UNSURE is one, in a few words: `match string is not modelled`. */
  why: string;
  /** Chain of the last JUMP or GOTO. */
  target: ChainProgram | null;
  /** What the last effect rewrote (nat); marks are compared by the runner itself. */
  changed: Changed | null;
  /** Nobody looks at the trace: rules need not tell it anything. */
  quiet?: boolean;
}

/** Pure: may not change anything. */
export type Test = (s: EvalState) => number;
export type Effect = (s: EvalState) => number;

/** Necessary conditions of a rule, for the index: it can match no packet that fails one of them. Absent: no condition. */
export interface RuleKeys {
  src?: Prefix;
  dst?: Prefix;
  proto?: number;
  dport?: number;
  sport?: number;
  /** Exact device names. */
  iif?: string;
  oif?: string;
}

/** Whether a word of the packet, under a mask, is (or is not) a value. */
export interface WordTest {
  readonly word: number;
  readonly mask: number;
  readonly not: boolean;
}

/** Conditions of a rule that need no call to be asked: on the first word of an address, whole for IPv4, on the protocol, the mark, and states of the connection. */
export interface Guard {
  readonly src?: WordTest | undefined;
  readonly dst?: WordTest | undefined;
  readonly proto?: WordTest | undefined;
  readonly mark?: WordTest | undefined;
  /** Bits of NF_CT_STATE_BIT (ct-state.ts), of which one must (or none may) be the packet's. */
  readonly ctState?: number | undefined;
}

/** A verdict that a rule gives whatever the packet. */
export interface Outright {
  readonly code: number;
  /** Of a jump or goto; else null. */
  readonly chain: ChainProgram | null;
}

/** What a map of verdicts has for a packet: a verdict, null where the rule breaks, undefined where that is not known. */
export type VerdictOf = (s: EvalState) => Outright | null | undefined;

/** Chains by chance: way i with the chance weights[i] / sum. A null way: the rule breaks. */
export interface Fork {
  readonly weights: readonly number[];
  /** JUMP or GOTO. */
  readonly code: number;
  readonly ways: readonly (ChainProgram | null)[];
}

export interface RuleProgram extends RuleRef {
  /** Place in its chain, from 0. */
  readonly index: number;
  /** All must be YES. Run first, in order; a NO ends the rule, a MAYBE is asked of the oracle once no other test says NO. */
  readonly tests: readonly Test[];
  /** Matches by chance, `num` of `den` times; asked after all tests. */
  readonly random: { readonly num: number; readonly den: number } | null;
  /** Run in order once the rule matches: marks, nat, verdict; in nft also later matches (BREAK). */
  readonly effects: readonly Effect[];
  /** Conditions beside `tests`; all of both must hold. Absent or null: none. */
  readonly guard?: Guard | null;
  /** What `effects` comes to, where that is one verdict and nothing else. Absent or null: run them. */
  readonly outright?: Outright | null;
  /** Likewise, where they are one translation that is the same for every packet, and its verdict. */
  readonly nat?: NatRequest | null;
  /** Likewise, where `effects` are a choice by chance among such verdicts. Made when it is asked for. */
  fork?(): Fork | null;
  /** Likewise, where `effects` are one look at a map of verdicts. Absent or null: run them. */
  readonly verdicts?: VerdictOf | null;
  /**
   * It comes to nothing for every packet that has changed no set itself, and asks nobody: no element is in its map, or in those of the
   * chain that it jumps to. Absent: it may come to something.
   */
  vain?(): boolean;
  readonly keys: RuleKeys;
  /**
   * Equal for two rules of one chain whose tests say the same of every packet. Rules that follow each other and differ
   * only in chance are then asked as one choice. Absent: never.
   */
  testsKey?(): string;
}

/** A chain whose rules are compiled when it is first met: most chains of a large ruleset never are. */
export interface ChainProgram {
  /**
   * The runner's: the first rule of a chain of few, those that come to nothing left out; null when none is left. Undefined until the chain
   * was met, and where it has many. First of all here: of most chains a packet needs no more than this.
   */
  first: Entry | null | undefined;
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly source: Source;
  /** Compiles on first use. */
  rules(): readonly RuleProgram[];
  /** The runner's: index and choices, made when the chain is first met. */
  plan?: ChainPlan | undefined;
}
