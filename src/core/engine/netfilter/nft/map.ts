/** Maps: a key's value, which may be a verdict, an address, a mark … */
import type { NftJson } from "../../../model/nftables.ts";
import type { EvalState } from "../program.ts";
import { compileKey } from "./expr.ts";
import { objectOf, under } from "./json.ts";
import { BREAKS, Lookup, MISS, UNSURE, wordsOf } from "./lookup.ts";
import type { Expr, RuleScope } from "./scope.ts";

/** What a map gives: `null` breaks the rule, `undefined` is not known. */
export interface Mapping<T> {
  readonly get: (s: EvalState) => T | null | undefined;
  /** `get` asks the oracle. */
  readonly asks: boolean;
  /** No element is in it, so that `get` finds none for any packet that has added none itself. */
  readonly bare: () => boolean;
}

/** The set or map that `data` names (`@name`) or lists (`{"set": […]}`); null when it is not there. */
export function lookupOf(
  scope: RuleScope,
  data: NftJson | undefined,
  isMap: boolean,
  key: readonly Expr[],
): Lookup | null {
  const types = key.map((part) => part.type);
  if (typeof data === "string" && data.startsWith("@")) return scope.table.set(data.slice(1), types);
  const listed = under(data, "set");
  if (listed === undefined) return null;
  return new Lookup(Array.isArray(listed) ? listed : [listed], isMap, types, "an anonymous set", null);
}

/**
 * Compiles `{"key": …, "data": …}`. `decode` reads a value's JSON, or gives undefined when it can't.
 * Equal values of a key by chance are one answer, with their chances added.
 */
export function mapping<T>(scope: RuleScope, body: NftJson, decode: (json: NftJson) => T | undefined): Mapping<T> {
  const o = objectOf(body);
  const key = compileKey(scope, o?.["key"] ?? null);
  const lookup = o === null ? null : lookupOf(scope, o["data"], true, key);
  if (lookup === null) {
    const why =
      typeof o?.["data"] === "string" ? `map ${o["data"]} is not in the snapshot` : "a map that can't be read";
    return { get: (s) => notKnown(s, why), asks: false, bare: () => false };
  }
  // By element; what can't be read is decoded again each time.
  const decoded: (T | undefined)[] = [];
  const valueOf = (s: EvalState, entry: number): T | undefined => {
    const known = decoded[entry];
    if (known !== undefined) return known;
    while (decoded.length <= entry) decoded.push(undefined);
    const value = decode(lookup.data(entry) ?? null);
    if (value === undefined) s.why = `the map's value ${JSON.stringify(lookup.data(entry))} can't be read`;
    decoded[entry] = value;
    return value;
  };
  if (key.length === 1 && key[0]!.chance !== null) return drawn(lookup, key[0]!, valueOf);
  const loads = key.map((part) => part.load);
  const words = wordsOf(key);
  const asks = key.some((part) => part.asks);
  const get = (s: EvalState): T | null | undefined => {
    // Whatever the key is, the rule breaks.
    if (!asks && s.pkt.setChanges.length === 0 && lookup.isBare) return null;
    const entry = lookup.find(s, loads, words);
    if (entry >= 0) return valueOf(s, entry);
    return entry === UNSURE ? undefined : null;
  };
  return { get, asks, bare: () => !asks && lookup.isBare };
}

function notKnown(s: EvalState, why: string): undefined {
  s.why = why;
  return undefined;
}

/** A key by chance: one choice among the different values, made ready when it is first met. */
function drawn<T>(lookup: Lookup, key: Expr, valueOf: (s: EvalState, entry: number) => T | undefined): Mapping<T> {
  let ways: { entries: number[]; weights: number[] } | null | undefined;
  const get = (s: EvalState): T | null | undefined => {
    if (ways === undefined) ways = grouped(lookup, key);
    if (ways === null) return notKnown(s, "how chance falls on the map's elements can't be told");
    const entry = ways.entries[ways.weights.length === 1 ? 0 : s.oracle.choose(ways.weights)]!;
    return entry === MISS || entry === BREAKS ? null : valueOf(s, entry);
  };
  return { get, asks: true, bare: () => false };
}

/** For a map whose key is by chance: its different values with their weights, null for what finds none. Null when it is no such map. */
export function chances(scope: RuleScope, body: NftJson): { values: (NftJson | null)[]; weights: number[] } | null {
  const o = objectOf(body);
  const key = compileKey(scope, o?.["key"] ?? null);
  if (o === null || key.length !== 1 || key[0]!.chance === null || scope.takeNeeds().length > 0) return null;
  const lookup = lookupOf(scope, o["data"], true, key);
  const ways = lookup === null || lookup.identity !== null ? null : grouped(lookup, key[0]!);
  if (ways === null || ways.entries.some((entry) => entry === BREAKS)) return null;
  const values = ways.entries.map((entry) => (entry === MISS ? null : (lookup!.data(entry) ?? null)));
  return { values, weights: ways.weights };
}

function grouped(lookup: Lookup, key: Expr): { entries: number[]; weights: number[] } | null {
  const falls = lookup.falls(key.chance!);
  if (falls === null) return null;
  const entries: number[] = [];
  const weights: number[] = [];
  const place = new Map<string, number>();
  for (const { entry, weight } of falls) {
    const text = entry < 0 ? "" : JSON.stringify(lookup.data(entry) ?? null);
    const at = place.get(text);
    if (at === undefined) {
      place.set(text, entries.length);
      entries.push(entry);
      weights.push(weight);
    } else weights[at]! += weight;
  }
  return { entries, weights };
}
