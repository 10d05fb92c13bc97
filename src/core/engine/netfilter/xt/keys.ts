/** What a packet must have to match a rule, for the index. */
import { maskWord } from "../../../model/address.ts";
import type { XtMatch } from "../../../model/xtables.ts";
import type { Guard, RuleKeys, WordTest } from "../program.ts";
import { protocolOfModule } from "./match-ports.ts";

/** Keys from the matches that are not inverted and name one value; a second match of a kind only narrows. */
export function keysOf(matches: readonly XtMatch[]): RuleKeys {
  const keys: RuleKeys = {};
  for (const m of matches) {
    switch (m.m) {
      case "src":
      case "dst":
        if (!m.not && m.prefix.len > 0) keys[m.m] = m.prefix;
        break;
      case "in":
        if (!m.not && isWhole(m.name)) keys.iif = m.name;
        break;
      case "out":
        if (!m.not && isWhole(m.name)) keys.oif = m.name;
        break;
      case "proto":
        if (!m.not && m.proto !== 0) keys.proto = m.proto;
        break;
      case "sport":
      case "dport":
        if (!m.not && m.range[0] === m.range[1] && protocolOfModule(m.ext) !== null) keys[m.m] = m.range[0];
        break;
      case "multiport": {
        const only = m.ports.length === 1 ? m.ports[0]! : null;
        if (m.not || m.side === "both" || only === null || only[0] !== only[1]) break;
        keys[m.side === "dst" ? "dport" : "sport"] = only[0];
        break;
      }
      default:
    }
  }
  return keys;
}

/** The first of the matches that needs no call, of each kind, and the others. Equal matches may be one object. */
export function guardOf(matches: readonly XtMatch[]): { guard: Guard; others: readonly XtMatch[] } {
  const guard: { src?: WordTest; dst?: WordTest; proto?: WordTest } = {};
  const others: XtMatch[] = [];
  for (const m of matches) {
    if ((m.m === "src" || m.m === "dst") && m.prefix.ip.v === 4 && m.prefix.len > 0 && guard[m.m] === undefined)
      guard[m.m] = { word: m.prefix.ip.a, mask: maskWord(m.prefix.len, 0), not: m.not };
    else if (m.m === "proto" && m.proto !== 0 && guard.proto === undefined)
      guard.proto = { word: m.proto, mask: -1, not: m.not };
    else others.push(m);
  }
  return { guard, others };
}

function isWhole(name: string): boolean {
  return name !== "" && !name.endsWith("+");
}
