/** How nftables writes a rule: as a line of `nft -a list ruleset`, and as JSON. */
import type { NftJson } from "./nftables.ts";

/** A line of `nft -a list ruleset` as people quote it: without indentation and without ` # handle N`. Counters stay. */
export function ruleText(line: string): string {
  return line.replace(/\s*# handle \d+\s*$/, "").trim();
}

/** A value as nft's JSON library (jansson) prints it, with ", " and ": ": a rule's text is then a part of its line in nft.json. */
export function nftJsonText(value: NftJson): string {
  if (Array.isArray(value)) return `[${value.map(nftJsonText).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value).map(([key, each]) => `${JSON.stringify(key)}: ${nftJsonText(each)}`);
    return `{${parts.join(", ")}}`;
  }
  return JSON.stringify(value);
}
