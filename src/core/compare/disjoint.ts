/**
 * Whether two rules can be swapped without any packet meeting the difference: no packet matches both, because they want different
 * addresses, protocols, ports or devices.
 */
import type { Prefix } from "../model/address.ts";
import type { NftJson } from "../model/nftables.ts";
import type { Range, XtRule } from "../model/xtables.ts";

/** What a packet must have to match a rule, as far as it can be laid beside another rule's; a field that is absent says nothing. */
export interface Wants {
  readonly src?: Prefix;
  readonly dst?: Prefix;
  readonly proto?: number;
  readonly sport?: Range;
  readonly dport?: Range;
  readonly in?: string;
  readonly out?: string;
  /** Of nftables: one value by the expression that must have it. */
  readonly exact?: ReadonlyMap<string, string>;
}

const masks = (len: number): number => (len <= 0 ? 0 : len >= 32 ? -1 : -1 << (32 - len));

function apart(a: Prefix, b: Prefix): boolean {
  if (a.ip.v !== b.ip.v) return true;
  const len = Math.min(a.len, b.len);
  const differ = (x: number, y: number, bits: number): boolean => ((x ^ y) & masks(bits)) !== 0;
  return (
    differ(a.ip.a, b.ip.a, len) ||
    differ(a.ip.b, b.ip.b, len - 32) ||
    differ(a.ip.c, b.ip.c, len - 64) ||
    differ(a.ip.d, b.ip.d, len - 96)
  );
}

const rangesApart = (a: Range, b: Range): boolean => a[1] < b[0] || b[1] < a[0];
const isExact = (name: string): boolean => !name.endsWith("+");

/** True only when no packet can have what both want. */
export function areDisjoint(a: Wants, b: Wants): boolean {
  if (a.dst !== undefined && b.dst !== undefined && apart(a.dst, b.dst)) return true;
  if (a.proto !== undefined && b.proto !== undefined && a.proto !== b.proto) return true;
  if (a.dport !== undefined && b.dport !== undefined && rangesApart(a.dport, b.dport)) return true;
  if (a.src !== undefined && b.src !== undefined && apart(a.src, b.src)) return true;
  if (a.sport !== undefined && b.sport !== undefined && rangesApart(a.sport, b.sport)) return true;
  if (a.in !== undefined && b.in !== undefined && a.in !== b.in && isExact(a.in) && isExact(b.in)) return true;
  if (a.out !== undefined && b.out !== undefined && a.out !== b.out && isExact(a.out) && isExact(b.out)) return true;
  if (a.exact !== undefined && b.exact !== undefined) {
    for (const [left, right] of a.exact) {
      const other = b.exact.get(left);
      if (other !== undefined && other !== right) return true;
    }
  }
  return false;
}

/** What a rule of iptables wants. */
export function wantsOfXt(rule: XtRule): Wants {
  const wants: { -readonly [K in keyof Wants]: Wants[K] } = {};
  for (const match of rule.matches) {
    switch (match.m) {
      case "src":
      case "dst":
        if (!match.not) wants[match.m] = match.prefix;
        break;
      case "proto":
        if (!match.not && match.proto !== 0) wants.proto = match.proto;
        break;
      case "sport":
      case "dport":
        if (!match.not) wants[match.m] = match.range;
        break;
      case "in":
      case "out":
        if (!match.not) wants[match.m] = match.name;
        break;
      default:
    }
  }
  return wants;
}

/** What a rule of nftables wants: its comparisons with one value. */
export function wantsOfNft(expr: readonly NftJson[]): Wants {
  const exact = new Map<string, string>();
  for (const statement of expr) {
    if (typeof statement !== "object" || statement === null || Array.isArray(statement)) continue;
    const match = statement["match"];
    if (typeof match !== "object" || match === null || Array.isArray(match) || match["op"] !== "==") continue;
    const right = match["right"];
    // Names of devices may end in a wildcard, and sets and ranges hold more than one value.
    if ((typeof right === "string" && !right.endsWith("*") && !right.startsWith("@")) || typeof right === "number")
      exact.set(JSON.stringify(match["left"]), JSON.stringify(right));
  }
  return exact.size === 0 ? {} : { exact };
}
