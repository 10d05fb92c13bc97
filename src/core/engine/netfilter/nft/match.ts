/** The `match` statement: what must hold for a rule to go on (nft_cmp.c, nft_range.c, nft_lookup.c). */
import { maskWord } from "../../../model/address.ts";
import type { NftJson } from "../../../model/nftables.ts";
import type { Guard, RuleKeys, Test } from "../program.ts";
import { MAYBE, NO, YES } from "../program.ts";
import { compileExpr, compileKey } from "./expr.ts";
import { objectOf, tagged, under, word } from "./json.ts";
import { Lookup, UNSURE, wordsOf } from "./lookup.ts";
import { lookupOf } from "./map.ts";
import { maybe } from "./scope.ts";
import type { Expr, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import { compareValues, within } from "./value.ts";
import type { Interval, Load, Value } from "./value.ts";

export interface Match {
  readonly test: Test;
  /** The test asks the oracle, so that it may run only once and in its place. */
  readonly asks: boolean;
  /** It holds `num` of `den` times, whatever the packet: then `test` is not needed. */
  readonly random: { readonly num: number; readonly den: number } | null;
  readonly keys: RuleKeys;
  /** It says no more than this; then `test` is not needed, once for each field. */
  readonly guard?: Guard | null;
  /** Whether `test` says yes or no of every packet that has changed no set itself. Absent: it may not know. */
  readonly sure?: () => boolean;
}

const decided = (test: Test, asks: boolean, keys: RuleKeys = {}): Match => ({ test, asks, random: null, keys });

/** Compiles `{"op": …, "left": …, "right": …}`; what is not modelled may or may not match. */
export function compileMatch(scope: RuleScope, body: NftJson): Match {
  const o = objectOf(body);
  if (o === null) return decided(maybe("a match that can't be read"), false);
  const op = word(o, "op");
  const right = o["right"] ?? null;
  if (!OPS.includes(op)) return decided(maybe(`the operator ${JSON.stringify(op)} is not modelled`), false);
  if (under(o["left"], "concat") !== undefined) return keyMatch(scope, op, compileKey(scope, o["left"]!), right);
  const left = compileExpr(scope, o["left"] ?? null, { type: null, exists: typeof right === "boolean" });
  if (isSet(right)) return keyMatch(scope, op, [left], right);
  const span = t.interval(left.type, right);
  if (span === undefined) return dynamic(scope, op, left, right);
  if (left.chance !== null) return byChance(left, op, span);
  const keys = op === "==" || (op === "in" && left.type.form !== "flags") ? keysOf(left, span) : {};
  if (keys.proto !== undefined) scope.hold(`proto ${keys.proto}`);
  return { ...decided(compare(left, op, span), left.asks, keys), guard: guardOf(left, op, span) };
}

const OPS: readonly string[] = ["==", "!=", "<", ">", "<=", ">=", "in", "!"];

const isSet = (json: NftJson): boolean =>
  typeof json === "string" ? json.startsWith("@") : tagged(json)?.tag === "set";

/** A lookup in a set, or a concatenation compared with one. */
function keyMatch(scope: RuleScope, op: string, key: readonly Expr[], right: NftJson): Match {
  const types = key.map((part) => part.type);
  const lookup = isSet(right) ? lookupOf(scope, right, false, key) : new Lookup([right], false, types, "a value", null);
  const name = typeof right === "string" ? right : "a set";
  if (lookup === null) return decided(maybe(`${name} is not in the snapshot`), false);
  if (op !== "==" && op !== "in" && op !== "!=")
    return decided(maybe(`the operator ${op} with a set is not modelled`), false);
  const hit = op === "!=" ? NO : YES;
  const miss = op === "!=" ? YES : NO;
  const asks = key.some((part) => part.asks);
  if (key.length === 1 && key[0]!.chance !== null) {
    const falls = lookup.falls(key[0]!.chance);
    if (falls === null) return decided(maybe("how chance falls on the set's elements can't be told"), false);
    const hits = falls.reduce((n, fall) => n + (fall.entry < 0 ? 0 : fall.weight), 0);
    return chanceOf(op === "!=" ? key[0]!.chance.mod - hits : hits, key[0]!.chance.mod);
  }
  const loads = key.map((part) => part.load);
  const words = wordsOf(key);
  const test: Test = (s) => {
    const entry = lookup.find(s, loads, words);
    if (entry >= 0) return hit;
    return entry === -1 ? miss : entry === UNSURE ? MAYBE : NO;
  };
  // Addresses and protocol are always known.
  const known = words.every((w) => w === "src" || w === "dst" || w === "proto");
  return { ...decided(test, asks), sure: () => known && lookup.isReadable };
}

/** The right side is read from the packet too. */
function dynamic(scope: RuleScope, op: string, left: Expr, right: NftJson): Match {
  const other = compileExpr(scope, right, { type: left.type });
  const test: Test = (s) => {
    const x = left.load(s);
    if (x === null) return NO;
    if (x === undefined) return MAYBE;
    const y = other.load(s);
    if (y === null) return NO;
    if (y === undefined) return MAYBE;
    return holds(left, op, { lo: y, hi: y })(x) ? YES : NO;
  };
  return decided(test, left.asks || other.asks);
}

/** The comparison of a loaded value; a value that is not there is a mismatch, whatever the operator. */
function compare(left: Expr, op: string, span: Interval): Test {
  const { load } = left;
  const { lo, hi } = span;
  if (lo === hi && (op === "==" || (op === "in" && left.type.form !== "flags"))) {
    return (s) => {
      const v = load(s);
      return v === lo ? YES : v === undefined ? MAYBE : NO;
    };
  }
  if (op === "in" && left.type.form === "flags" && typeof lo === "number") {
    return (s) => {
      const v = load(s);
      return v === undefined ? MAYBE : typeof v === "number" && (v & lo) !== 0 ? YES : NO;
    };
  }
  return checked(load, holds(left, op, span));
}

const checked =
  (load: Load, says: (v: Value) => boolean): Test =>
  (s) => {
    const v = load(s);
    if (v === undefined) return MAYBE;
    return v !== null && says(v) ? YES : NO;
  };

function holds(left: Expr, op: string, span: Interval): (v: Value) => boolean {
  const { lo, hi } = span;
  const overlaps = (v: Value): boolean => typeof v === "number" && typeof lo === "number" && (v & lo) !== 0;
  switch (op) {
    case "in":
      // Of a bitmask any bit is enough (OP_IMPLICIT in nft's netlink_gen_flagcmp).
      return left.type.form === "flags" ? overlaps : (v) => within(v, span);
    case "!":
      return (v) => !overlaps(v);
    case "==":
      return (v) => within(v, span);
    case "!=":
      return (v) => !within(v, span);
    case "<":
      return (v) => compareValues(v, lo) < 0;
    case "<=":
      return (v) => compareValues(v, hi) <= 0;
    case ">":
      return (v) => compareValues(v, hi) > 0;
    default:
      return (v) => compareValues(v, lo) >= 0;
  }
}

/** How many of the values of a chance satisfy a comparison. */
function byChance(left: Expr, op: string, { lo, hi }: Interval): Match {
  const { mod, offset } = left.chance!;
  if (typeof lo !== "number" || typeof hi !== "number") return decided(maybe("a number compared with a name"), false);
  const first = offset;
  const last = offset + mod - 1;
  const count = (from: number, to: number): number => Math.max(0, Math.min(last, to) - Math.max(first, from) + 1);
  const [low, high] = [lo >>> 0, hi >>> 0];
  switch (op) {
    case "==":
    case "in":
      return chanceOf(count(low, high), mod);
    case "!=":
      return chanceOf(mod - count(low, high), mod);
    case "<":
      return chanceOf(count(0, low - 1), mod);
    case "<=":
      return chanceOf(count(0, high), mod);
    case ">":
      return chanceOf(count(high + 1, last), mod);
    case ">=":
      return chanceOf(count(low, last), mod);
    default:
      return decided(maybe(`the operator ${op} on a random number is not modelled`), false);
  }
}

function chanceOf(hits: number, mod: number): Match {
  if (hits === mod) return decided(() => YES, false);
  if (hits === 0) return decided(() => NO, false);
  return { test: () => MAYBE, asks: true, random: { num: hits, den: mod }, keys: {} };
}

/** A comparison with a prefix of IPv4 addresses or with one protocol, or whether a connection is in one of some states. */
function guardOf(left: Expr, op: string, span: Interval): Guard | null {
  if (left.key === "ctState") return op === "in" && typeof span.lo === "number" ? { ctState: span.lo } : null;
  if (op !== "==" && op !== "!=" && op !== "in") return null;
  const not = op === "!=";
  if (left.key === "proto" && left.type.form === "number" && span.lo === span.hi && typeof span.lo === "number")
    return { proto: { word: span.lo, mask: -1, not } };
  const bits = left.key === "mark" ? -1 : left.markBits;
  if (bits !== undefined)
    return typeof span.lo === "number" && span.lo === span.hi && (span.lo & ~bits) === 0
      ? { mark: { word: span.lo, mask: bits, not } }
      : null;
  if ((left.key !== "src" && left.key !== "dst") || left.type.form !== "ip4") return null;
  const prefix = t.intervalPrefix(left.type, span);
  return prefix === null ? null : { [left.key]: { word: prefix.ip.a, mask: maskWord(prefix.len, 0), not } };
}

/** Conditions that an exact comparison lays on the packet, for the index. */
function keysOf(left: Expr, span: Interval): RuleKeys {
  const { key, type } = left;
  const point = span.lo === span.hi ? span.lo : null;
  switch (key) {
    case "src":
    case "dst": {
      const prefix = t.intervalPrefix(type, span);
      return prefix === null ? {} : { [key]: prefix };
    }
    case "proto":
    case "sport":
    case "dport":
      return typeof point === "number" ? { [key]: point } : {};
    case "iif":
    case "oif":
      // The empty name and `#N` stand for no device.
      return typeof point === "string" && point !== "" && !point.startsWith("#") ? { [key]: point } : {};
    case "ctState":
    case "mark":
    case null:
      return {};
  }
}
