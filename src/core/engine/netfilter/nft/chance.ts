/** `numgen`, `jhash` and `symhash`: numbers below a modulus (nft_numgen.c, nft_hash.c). */
import { reciprocalScale } from "../../jhash.ts";
import type { EvalState } from "../program.ts";
import { NO, YES } from "../program.ts";
import { concatBytes, jhash, registerBytes } from "./hash-key.ts";
import { num, word } from "./json.ts";
import type { NftObject } from "./json.ts";
import { plain } from "./scope.ts";
import type { Chance, Expr, RuleScope } from "./scope.ts";
import * as t from "./types.ts";
import type { Load, Loaded } from "./value.ts";

/** Of more values than this a single one is not tried. What a map or a match makes of them is grouped first, whatever their number. */
const MANY = 256;

/** Draws one of the values, for where the number itself is kept (marks). */
function draw(chance: Chance, name: string): Load {
  if (chance.mod > MANY) {
    return (s) => {
      s.why = `which of ${chance.mod} numbers ${name} gives is not known`;
      return undefined;
    };
  }
  const weights = Array.from({ length: chance.mod }, () => 1);
  return (s) => (chance.offset + s.oracle.choose(weights)) | 0;
}

/** A number that nobody can foresee. The kernel's own bias (reciprocal_scale of 32 random bits) is below 2^-32 and left out. */
function byChance(body: NftObject, name: string): Expr {
  const chance = { mod: Math.max(1, num(body, "mod", 1)), offset: num(body, "offset", 0) };
  return { type: t.HOST_INTEGER, load: draw(chance, name), asks: chance.mod <= MANY, chance, key: null };
}

/** `{"numgen": {"mode": …, "mod": …, "offset": …}}`: `inc` goes round, so that each value is met as often as the others. */
export function numgenExpr(body: NftObject): Expr {
  return byChance(body, `numgen ${word(body, "mode")}`);
}

/** `{"symhash": {"mod": …}}`: its secret is drawn when the host starts (flow_hash_from_keys, hashrnd). */
export function symhashExpr(body: NftObject): Expr {
  return byChance(body, "symhash");
}

/**
 * `{"jhash": {"expr": …, "mod": …, "seed": …, "offset": …}}` over compiled parts of its key. With a seed it is computed;
 * without one the kernel drew it when the rule was made (nft_jhash_init, autogen_seed) and does not tell.
 */
export function jhashExpr(scope: RuleScope, body: NftObject, parts: readonly Expr[]): Expr {
  const seed = body["seed"];
  const mod = Math.max(1, num(body, "mod", 1));
  const offset = num(body, "offset", 0);
  if (typeof seed !== "number") {
    const loads = parts.map((part) => part.load);
    // The number is by chance, but without its key there is none.
    scope.need(`jhash ${JSON.stringify(body)}`, (s) => (loads.some((load) => load(s) === null) ? NO : YES));
    return byChance(body, "jhash");
  }
  return plain(t.HOST_INTEGER, (s) => {
    const hash = hashed(s, parts, seed);
    return typeof hash === "number" ? (reciprocalScale(hash, mod) + offset) | 0 : hash;
  });
}

function hashed(s: EvalState, parts: readonly Expr[], seed: number): Loaded {
  const bytes: Uint8Array[] = [];
  for (const part of parts) {
    const value = part.load(s);
    if (value === null || value === undefined) return value;
    const own = registerBytes(part.type, value);
    if (own === null) {
      s.why = `jhash of ${part.type.name} is not modelled`;
      return undefined;
    }
    bytes.push(own);
  }
  return jhash(concatBytes(bytes), seed);
}
