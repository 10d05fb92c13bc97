/** Statements that change sets and maps: `add @set { … }`, `update`, `delete` (nft_dynset_eval). */
import type { NftJson } from "../../../model/nftables.ts";
import type { Effect } from "../program.ts";
import { BREAK, NEXT } from "../program.ts";
import { compileKey } from "./expr.ts";
import { bareElement, objectOf, tagged, word } from "./json.ts";
import { keyText, MISS } from "./lookup.ts";
import type { RuleScope } from "./scope.ts";
import type { Value } from "./value.ts";

/** Statements that may break the rule when they are run for the element. */
const CHANCY: readonly string[] = ["limit", "quota", "ct count"];

/**
 * `{"op": …, "elem": …, "set"|"map": "@name", "stmt": […]}`. The element is remembered on the packet, so that later
 * lookups of the same packet see it; other packets meet the set as it was recorded.
 */
export function setEffect(scope: RuleScope, kind: "set" | "map", json: NftJson): Effect {
  const body = objectOf(json) ?? {};
  const name = word(body, kind).replace(/^@/, "");
  const parts = compileKey(scope, bareElement(body["elem"] ?? null));
  const types = parts.map((part) => part.type);
  const lookup = scope.table.set(name, types);
  const limit = scope.table.sizeOf(name);
  const present = word(body, "op") !== "delete";
  const list = Array.isArray(body["stmt"]) ? body["stmt"] : [];
  const chancy = list.map((each) => tagged(each)?.tag ?? "").find((tag) => CHANCY.includes(tag)) ?? null;
  return (s) => {
    const values: Value[] = [];
    for (const { load } of parts) {
      const value = load(s);
      if (value === null) return BREAK;
      // What the key is does not matter unless the same packet comes back to the set.
      if (value === undefined) return NEXT;
      values.push(value);
    }
    if (lookup === null || lookup.identity === null) return NEXT;
    if (present && limit !== null && lookup.size >= limit) {
      const loads = values.map((value) => () => value);
      const full = lookup.find(s, loads) === MISS;
      if (full && !s.oracle.unknown(`whether ${name} has room for one more element is not known`, scope.source))
        return BREAK;
    }
    s.pkt.setChanges = [...s.pkt.setChanges, { set: lookup.identity, key: keyText(values), present }];
    if (chancy === null) return NEXT;
    return s.oracle.unknown(`${chancy} of an element of ${name} can go either way`, scope.source) ? NEXT : BREAK;
  };
}
