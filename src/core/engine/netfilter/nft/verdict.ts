/** Verdicts, as statements and as values of maps (nft_immediate.c, nft_lookup.c). */
import type { NftJson } from "../../../model/nftables.ts";
import type { ChainProgram, Effect, EvalState, Fork, Outright, VerdictOf } from "../program.ts";
import { ACCEPT, BREAK, DROP, GOTO, JUMP, NEXT, RETURN, UNSURE } from "../program.ts";
import { objectOf, tagged, word } from "./json.ts";
import { chances, mapping } from "./map.ts";
import type { RuleScope } from "./scope.ts";

interface Verdict extends Outright {
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
function give(s: EvalState, v: Verdict): number {
  if (v.code !== JUMP && v.code !== GOTO) return v.code;
  s.target = v.chain;
  if (v.chain !== null) return v.code;
  s.why = `chain ${v.name} is not in the snapshot`;
  return UNSURE;
}

/** A verdict statement. */
export function verdictEffect(scope: RuleScope, json: NftJson): Effect | null {
  const v = verdictOf(scope, json);
  return v === undefined ? null : (s) => give(s, v);
}

/** The verdict of a rule whose statements do nothing beside its last, a verdict; null when its effects must be run. */
export function outrightVerdict(scope: RuleScope, statements: readonly NftJson[], effects: number): Outright | null {
  const last = effects === 1 ? statements.at(-1) : undefined;
  const v = last === undefined ? undefined : verdictOf(scope, last);
  if (v === undefined || v.code === NEXT) return null;
  return (v.code === JUMP || v.code === GOTO) && v.chain === null ? null : { code: v.code, chain: v.chain };
}

/** A map of verdicts. */
export interface VerdictMap {
  readonly verdicts: VerdictOf;
  /** `verdicts` asks the oracle. */
  readonly asks: boolean;
  /** None can be found in it, but what the packet itself has added. */
  readonly bare: () => boolean;
}

/** `{"vmap": {"key": …, "data": …}}`: without an element for the key the rule breaks. */
export function verdictMap(scope: RuleScope, body: NftJson): VerdictMap {
  const map = mapping(scope, body, (json) => verdictOf(scope, json));
  const verdicts: VerdictOf = (s) => {
    const v = map.get(s);
    if (v === null || v === undefined || v.chain !== null || (v.code !== JUMP && v.code !== GOTO)) return v;
    s.why = `chain ${v.name} is not in the snapshot`;
    return undefined;
  };
  return { verdicts, asks: map.asks, bare: map.bare };
}

/** Such a statement. */
export function vmapEffect({ verdicts }: VerdictMap): Effect {
  return (s) => {
    const v = verdicts(s);
    if (v === null) return BREAK;
    if (v === undefined) return UNSURE;
    s.target = v.chain;
    return v.code;
  };
}

/** A vmap by chance alone that leads to chains by one verdict; null where it is none, or something in it is not known. */
export function vmapFork(scope: RuleScope, statements: readonly NftJson[], effects: number): Fork | null {
  const last = effects === 1 ? tagged(statements.at(-1) ?? null) : null;
  if (last?.tag !== "vmap") return null;
  const found = chances(scope, last.body);
  if (found === null) return null;
  const ways: (ChainProgram | null)[] = [];
  let code = NEXT;
  for (const json of found.values) {
    const v = json === null ? null : verdictOf(scope, json);
    if (v === undefined || (v !== null && v.chain === null)) return null;
    if (v !== null && code !== NEXT && v.code !== code) return null;
    if (v !== null) code = v.code;
    ways.push(v === null ? null : v.chain);
  }
  return code === NEXT ? null : { weights: found.weights, code, ways };
}
