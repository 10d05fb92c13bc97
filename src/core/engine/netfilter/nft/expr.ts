/** Expressions: what a statement reads. */
import type { NftJson } from "../../../model/nftables.ts";
import { jhashExpr, numgenExpr, symhashExpr } from "./chance.ts";
import { ctExpr } from "./ct.ts";
import { exthdrExpr, ipOptionExpr, transportOptionExpr } from "./header.ts";
import { fibExpr, socketExpr } from "./host.ts";
import { objectOf, tagged, under, word } from "./json.ts";
import { mapping } from "./map.ts";
import { metaExpr } from "./meta.ts";
import { payloadExpr } from "./payload.ts";
import { plain, unknown } from "./scope.ts";
import type { Expr, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { ValueType } from "./types.ts";
import { bits32, bitwise, isBitOp } from "./value.ts";
import type { BitOp, Load } from "./value.ts";

/** How an expression is used. */
export interface Wanted {
  /** Type of a literal or a map's value; null when the expression itself must tell. */
  readonly type: ValueType | null;
  /** Compared with a boolean: is it there? */
  readonly exists?: boolean;
}

/** The parts of a key: one, or those of a concatenation. */
export function compileKey(scope: RuleScope, json: NftJson): Expr[] {
  const parts = under(json, "concat");
  if (!Array.isArray(parts)) return [compileExpr(scope, json, { type: null })];
  return parts.map((part) => compileExpr(scope, part, { type: null }));
}

/** Compiles an expression. Never fails: what is not modelled loads nothing and says so. */
export function compileExpr(scope: RuleScope, json: NftJson, wanted: Wanted): Expr {
  const constant = wanted.type === null ? undefined : t.literal(wanted.type, json);
  if (constant !== undefined) return plain(wanted.type!, () => constant);
  const e = tagged(json);
  if (e === null) return unknown(`${JSON.stringify(json)} is no value that is known`, wanted.type ?? t.HOST_INTEGER);
  const body = objectOf(e.body) ?? {};
  const exists = wanted.exists === true;
  if (isBitOp(e.tag)) return binary(scope, e.tag, e.body, wanted);
  switch (e.tag) {
    case "payload":
      return payloadExpr(scope, body);
    case "meta":
      return metaExpr(scope, word(body, "key"));
    case "ct":
      return ctExpr(scope, body);
    case "fib":
      return fibExpr(body, exists);
    case "socket":
      return socketExpr(body);
    case "numgen":
      return numgenExpr(body);
    case "symhash":
      return symhashExpr(body);
    case "jhash":
      return jhashExpr(scope, body, compileKey(scope, body["expr"] ?? null));
    case "exthdr":
      return exthdrExpr(scope, body, exists);
    case "ip option":
      return ipOptionExpr(scope, exists);
    case "tcp option":
    case "sctp chunk":
      return transportOptionExpr(e.tag, body, exists);
    case "map":
      return mapExpr(scope, body, wanted.type);
    case "rt":
      return unknown(`rt ${word(body, "key")} is not known`, t.HOST_INTEGER);
    default:
      return unknown(`expression ${e.tag} is not modelled`, wanted.type ?? t.HOST_INTEGER);
  }
}

/** A map's value as an expression. */
function mapExpr(scope: RuleScope, body: { [key: string]: NftJson }, wanted: ValueType | null): Expr {
  const data = body["data"];
  const declared = typeof data === "string" ? scope.table.valueType(data.slice(1)) : null;
  const type = wanted ?? (declared === null ? null : t.typeByName(declared));
  if (type === null) return unknown("the type of a map's value is not known", t.HOST_INTEGER);
  const map = mapping(scope, body, (json) => t.literal(type, json));
  return { type, load: map.get, asks: map.asks, chance: null, key: null };
}

function binary(scope: RuleScope, op: BitOp, body: NftJson, wanted: Wanted): Expr {
  if (!Array.isArray(body) || body.length < 2) return unknown(`${op} without operands`, wanted.type ?? t.HOST_INTEGER);
  // A literal has no type of its own; it takes the other operand's.
  const lead = body.findIndex((part) => {
    const e = tagged(part);
    return e !== null && !(wanted.type !== null && t.literal(wanted.type, part) !== undefined);
  });
  const leader = compileExpr(scope, body[Math.max(0, lead)]!, wanted);
  const parts = body.map((part, i) =>
    i === Math.max(0, lead) ? leader : compileExpr(scope, part, { type: leader.type }),
  );
  const second = parts.length === 2 && lead <= 0 ? t.literal(leader.type, body[1]!) : undefined;
  const { load: first } = leader;
  const byConstant: Load = (s) => {
    const value = first(s);
    return typeof value === "number" ? bits32(op, value, second as number) : throughout(s);
  };
  const throughout: Load = (s) => {
    let out = parts[0]!.load(s);
    for (let i = 1; i < parts.length; i++) {
      if (out === null || out === undefined) return out;
      const next = parts[i]!.load(s);
      if (next === null || next === undefined) return next;
      out = bitwise(op, out, next);
      if (out === undefined) s.why = `${op} of ${leader.type.name} is not modelled`;
    }
    return out;
  };
  const load = typeof second === "number" ? byConstant : throughout;
  const expr: Expr = { type: leader.type, load, asks: parts.some((part) => part.asks), chance: null, key: null };
  return op === "&" && leader.key === "mark" && typeof second === "number" ? { ...expr, markBits: second } : expr;
}
