/** Rules and set elements in a form in which those that mean the same are the same text. */
import type { NftJson } from "../model/nftables.ts";
import type { XtMatch, XtRule, XtTarget } from "../model/xtables.ts";
import { matchesText } from "../parse/iptables/print-match.ts";
import { targetText } from "../parse/iptables/print-target.ts";

/** Names that stand for others: hashed names of chains and sets, by the stand-in of whoever claims them. */
export type Renames = ReadonlyMap<string, string>;

/** Felix's comment of every rule, a hash of the chain up to here: it says nothing that the rule does not say. */
const FELIX_HASH = /^cali:[-_A-Za-z0-9]{16}$/;

function renamedMatch(match: XtMatch, renames: Renames): XtMatch {
  const name = match.m === "set" ? renames.get(match.name) : undefined;
  return name === undefined || match.m !== "set" ? match : { ...match, name };
}

function renamedTarget(target: XtTarget, renames: Renames): XtTarget {
  if (target.t !== "jump" && target.t !== "goto") return target;
  const chain = renames.get(target.chain);
  return chain === undefined ? target : { ...target, chain };
}

const texts = new WeakMap<XtMatch, string>();

/** A match as text; equal matches of a save are one object, so most are printed once. */
function matchText(match: XtMatch): string {
  let text = texts.get(match);
  if (text === undefined) texts.set(match, (text = matchesText([match])));
  return text;
}

/** A rule of iptables: its matches in order of their text, then the target; no counters, no comment of Felix's. */
export function xtCanonical(rule: XtRule, renames: Renames): string {
  const parts: string[] = [];
  for (const match of rule.matches) {
    if (match.m === "comment" && FELIX_HASH.test(match.text)) continue;
    parts.push(matchText(renames.size === 0 ? match : renamedMatch(match, renames)));
  }
  parts.sort();
  return parts.join("") + targetText(renames.size === 0 ? rule.target : renamedTarget(rule.target, renames));
}

/** JSON with sorted keys; the members of an anonymous set or map sorted, because their order means nothing. */
function jsonCanonical(value: NftJson): string {
  if (Array.isArray(value)) return `[${value.map(jsonCanonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const parts = Object.keys(value)
    .toSorted()
    .map((key) => {
      const each = value[key]!;
      const text =
        key === "set" && Array.isArray(each)
          ? `[${each.map(jsonCanonical).toSorted().join(",")}]`
          : jsonCanonical(each);
      return `${JSON.stringify(key)}:${text}`;
    });
  return `{${parts.join(",")}}`;
}

const isCounter = (statement: NftJson): boolean =>
  typeof statement === "object" && statement !== null && !Array.isArray(statement) && "counter" in statement;

/** The same in nftables, where what Felix has to say follows it. */
const FELIX_HASH_BEFORE = /^cali:[-_A-Za-z0-9]{16};\s*/;

/** A rule of nftables: its statements without counters, and its comment without Felix's hash. */
export function nftCanonical(expr: readonly NftJson[], comment: string | null): string {
  const statements = expr.filter((each) => !isCounter(each)).map(jsonCanonical);
  const said = comment?.replace(FELIX_HASH_BEFORE, "") ?? "";
  return said === "" ? statements.join(" ") : `${statements.join(" ")} # ${said}`;
}

/** Elements of a set in no particular order, without the time that is left and counters. */
export function elementsCanonical(elements: readonly NftJson[]): string {
  return elements
    .map((each) => jsonCanonical(plainElement(each)))
    .toSorted()
    .join(" ");
}

/** An element without the wrapping that carries its timeout, expiry or counter. */
function plainElement(element: NftJson): NftJson {
  if (Array.isArray(element)) return element.map(plainElement);
  if (typeof element !== "object" || element === null) return element;
  const wrapped = element["elem"];
  return typeof wrapped === "object" && wrapped !== null && !Array.isArray(wrapped) && "val" in wrapped
    ? plainElement(wrapped["val"]!)
    : element;
}
