/** What a packet must have to match a rule, for the index. */
import type { XtMatch } from "../../../model/xtables.ts";
import type { RuleKeys } from "../program.ts";
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

function isWhole(name: string): boolean {
  return name !== "" && !name.endsWith("+");
}
