/** What compiling a rule carries along: its table, and the conditions that nft leaves out when it prints. */
import type { NftFamily, NftJson } from "../../../model/nftables.ts";
import type { Source } from "../../../model/source.ts";
import type { ChainProgram, EvalState, RuleKeys, Test } from "../program.ts";
import { MAYBE, NO, YES } from "../program.ts";
import type { Lookup } from "./lookup.ts";
import type { Load } from "./value.ts";
import type { ValueType } from "./types.ts";

/** What rules refer to by name. */
export interface TableScope {
  readonly family: NftFamily;
  readonly name: string;
  chain(name: string): ChainProgram | null;
  /** The named set or map for keys of these types; null when it is not in the snapshot. */
  set(name: string, types: readonly ValueType[]): Lookup | null;
  /** How many elements a named set may hold; null when it says nothing. */
  sizeOf(name: string): number | null;
  /** A map's declared value type. */
  valueType(name: string): string | null;
  /** A stateful object's JSON. */
  object(kind: string, name: string): NftJson | null;
}

/** A packet field that an index of rules, or a guard, can go by. */
export type KeyField = keyof RuleKeys | "ctState" | "mark";

/** A compiled expression. */
export interface Expr {
  readonly type: ValueType;
  readonly load: Load;
  /** `load` asks the oracle, so that it may run only once and in its place. */
  readonly asks: boolean;
  /** The value is `offset` plus a number below `mod`, each as likely as the others. */
  readonly chance: Chance | null;
  /** It is exactly this field of the packet. */
  readonly key: KeyField | null;
  /** Bits of the mark that it is, where it is nothing but these. */
  readonly markBits?: number;
  /** It is the destination port of whatever transport the packet has. */
  readonly port?: "dport";
}

export interface Chance {
  readonly mod: number;
  readonly offset: number;
}

/** An expression without chance. */
export const plain = (type: ValueType, load: Load, key: KeyField | null = null): Expr => ({
  type,
  load,
  asks: false,
  chance: null,
  key,
});

/** An expression whose value nobody can tell. */
export const unknown = (why: string, type: ValueType): Expr => plain(type, notKnown(why));

/** Loads nothing, and says why. */
export const notKnown =
  (why: string): Load =>
  (s) => {
    s.why = why;
    return undefined;
  };

/** A condition that a statement depends on, with what it says for the index of rules. */
export interface Need {
  readonly name: string;
  readonly test: Test;
  readonly keys: RuleKeys;
}

export class RuleScope {
  private needs: Need[] = [];
  private readonly met = new Set<string>();

  constructor(
    readonly table: TableScope,
    readonly source: Source,
  ) {}

  /** Adds a condition, once per rule, to be tested before the statement being compiled; `name` tells conditions apart. */
  need(name: string, test: Test, keys: RuleKeys = {}): void {
    if (this.met.has(name)) return;
    this.met.add(name);
    this.needs.push({ name, test, keys });
  }

  /** The rule already tests this itself. */
  hold(name: string): void {
    this.met.add(name);
  }

  /** What was added since the last call. */
  takeNeeds(): Need[] {
    const out = this.needs;
    this.needs = [];
    return out;
  }

  /**
   * nft inserts `meta nfproto` (inet), `meta protocol` or `ether type` (bridge, netdev) before the first expression that
   * reads a network header, and hides it when it prints the rule (payload_gen_dependency, payload_dependency_kill).
   */
  needIp(v: 4 | 6): void {
    const family = this.table.family;
    if ((family === "ip" && v === 4) || (family === "ip6" && v === 6)) return;
    this.need(`v${v}`, v === 4 ? isV4 : isV6);
  }

  /** Likewise `meta l4proto` before a transport header; in every family. */
  needProto(proto: number): void {
    this.need(`proto ${proto}`, (s) => (s.pkt.proto === proto ? YES : NO), { proto });
  }
}

const isV4: Test = (s) => (s.pkt.v === 4 ? YES : NO);
const isV6: Test = (s) => (s.pkt.v === 6 ? YES : NO);

/** A test that nobody can decide. */
export const maybe =
  (why: string): Test =>
  (s: EvalState) => {
    s.why = why;
    return MAYBE;
  };
