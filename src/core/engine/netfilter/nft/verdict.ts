/** Verdicts, as statements and as values of maps (nft_immediate.c, nft_lookup.c). */
import type { NftJson } from "../../../model/nftables.ts";
import type { ChainProgram, Effect, Outright } from "../program.ts";
import { ACCEPT, BREAK, DROP, GOTO, JUMP, NEXT, RETURN, UNSURE } from "../program.ts";
import { objectOf, tagged, word } from "./json.ts";
import { mapping } from "./map.ts";
import type { RuleScope } from "./scope.ts";

interface Verdict {
  readonly code: number;
  /** Of a jump or goto; null when the chain is not in the snapshot. */
  readonly chain: ChainProgram | null;
  readonly name: string;
}

const simple = (code: number): Verdict => ({ code, chain: null, name: "" });

/** A verdict's JSON; undefined when it is none. */
export function verdictOf(scope: RuleScope, json: NftJson): Verdict | undefined {
  const v = tagged(json);
  switch (v?.tag) {
    case "accept":
      return simple(ACCEPT);
    case "drop":
      return simple(DROP);
    case "return":
      return simple(RETURN);
    case "continue":
      return simple(NEXT);
    case "jump":
    case "goto": {
      const name = word(objectOf(v.body) ?? {}, "target");
      return { code: v.tag === "jump" ? JUMP : GOTO, chain: scope.table.chain(name), name };
    }
    default:
      return undefined;
  }
}

/** Gives the verdict, with `s.target` set for jumps. */
function given(v: Verdict): Effect {
  const { code, chain } = v;
  if (code !== JUMP && code !== GOTO) return () => code;
  return (s) => {
    s.target = chain;
    if (chain !== null) return code;
    s.why = `chain ${v.name} is not in the snapshot`;
    return UNSURE;
  };
}

/** A verdict statement. */
export function verdictEffect(scope: RuleScope, json: NftJson): Effect | null {
  const v = verdictOf(scope, json);
  return v === undefined ? null : given(v);
}

/** The verdict of a rule whose statements do nothing beside its last, a verdict; null when its effects must be run. */
export function outrightVerdict(scope: RuleScope, statements: readonly NftJson[], effects: number): Outright | null {
  const last = effects === 1 ? statements.at(-1) : undefined;
  const v = last === undefined ? undefined : verdictOf(scope, last);
  if (v === undefined || v.code === NEXT) return null;
  return (v.code === JUMP || v.code === GOTO) && v.chain === null ? null : { code: v.code, chain: v.chain };
}

/** `{"vmap": {"key": …, "data": …}}`: without an element for the key the rule breaks. */
export function vmapEffect(scope: RuleScope, body: NftJson): Effect {
  const map = mapping(scope, body, (json) => {
    const v = verdictOf(scope, json);
    return v === undefined ? undefined : given(v);
  });
  return (s) => {
    const effect = map.get(s);
    if (effect === null) return BREAK;
    return effect === undefined ? UNSURE : effect(s);
  };
}
