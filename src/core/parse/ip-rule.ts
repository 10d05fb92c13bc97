/** `ip -j -4 rule`, `ip -j -6 rule`. */
import { parseIp } from "../model/address.ts";
import type { Prefix } from "../model/address.ts";
import type { PolicyRule, RuleAction } from "../model/route.ts";
import { has, joinedPrefix, readRows, uint, word } from "./ip-json.ts";
import { dsField, protocolNumber, tableNumber } from "./ip-names.ts";
import { errorAt, optional, shown, sourceOf } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

/** Every field that is read below, or that changes nothing: who made the rule, realms, hints that follow from the rest. */
const KNOWN = new Set([
  "priority",
  "not",
  "src",
  "srclen",
  "dst",
  "dstlen",
  "tos",
  "fwmark",
  "fwmask",
  "iif",
  "iif_detached",
  "oif",
  "oif_detached",
  "l3mdev",
  "uid_start",
  "uid_end",
  "ipproto",
  "sport",
  "sport_start",
  "sport_end",
  "dport",
  "dport_start",
  "dport_end",
  "table",
  "suppress_prefixlen",
  "suppress_ifgroup",
  "flow_from",
  "flow_to",
  "action",
  "goto",
  "unresolved",
  "nop",
  "protocol",
]);

/** An end of the rule; null for `all`. A zero address may be shortened to `0` (print_rule). */
function end(doc: JsonDoc, row: JsonObject, name: "src" | "dst", family: 4 | 6): Prefix | null {
  const text = optional(doc, row, name, "string");
  if (text === null || text === "all") return null;
  const ip = parseIp(text === "0" ? (family === 4 ? "0.0.0.0" : "::") : text);
  if (ip === null || ip.v !== family)
    throw errorAt(doc, row, `"${name}" should be an IPv${family} address, not ${shown(text)}`);
  return joinedPrefix(doc, row, ip, `${name}len`);
}

/** `NAME`, or `NAME_start` and `NAME_end`; null when neither is printed. */
function range(doc: JsonDoc, row: JsonObject, name: string, max: number): [number, number] | null {
  const one = uint(doc, row, name, max);
  if (one !== null) return [one, one];
  const from = uint(doc, row, `${name}_start`, max);
  const to = uint(doc, row, `${name}_end`, max);
  if (from === null && to === null) return null;
  if (from === null || to === null || from > to)
    throw errorAt(doc, row, `"${name}_start" and "${name}_end" should be a range`);
  return [from, to];
}

function action(doc: JsonDoc, row: JsonObject): RuleAction {
  if (has(row, "goto")) return "goto";
  if (has(row, "nop")) return "nop";
  const name = optional(doc, row, "action", "string");
  switch (name) {
    case null:
      if (!has(row, "table") && !has(row, "l3mdev")) throw errorAt(doc, row, "the rule has no action");
      return "lookup";
    case "blackhole":
    case "unreachable":
    case "prohibit":
      return name;
    default:
      throw errorAt(doc, row, `unknown action ${shown(name)}`);
  }
}

function named(doc: JsonDoc, row: JsonObject, name: string, read: (text: string) => number | null): number | null {
  const text = word(doc, row, name);
  if (text === null) return null;
  const n = read(text);
  if (n === null) throw errorAt(doc, row, `unknown "${name}" ${shown(text)}`);
  return n;
}

function rule(doc: JsonDoc, row: JsonObject, family: 4 | 6): PolicyRule {
  const fwmark = uint(doc, row, "fwmark", 0xffffffff);
  const table = word(doc, row, "table");
  return {
    priority: uint(doc, row, "priority", 0xffffffff) ?? 0,
    not: has(row, "not"),
    from: end(doc, row, "src", family),
    to: end(doc, row, "dst", family),
    iif: optional(doc, row, "iif", "string"),
    oif: optional(doc, row, "oif", "string"),
    fwmark,
    // Printed only when it is not all ones (print_rule); without a mark nothing is compared.
    fwmask: uint(doc, row, "fwmask", 0xffffffff) ?? (fwmark === null ? 0 : 0xffffffff),
    tos: named(doc, row, "tos", dsField),
    ipproto: named(doc, row, "ipproto", protocolNumber),
    sport: range(doc, row, "sport", 65535),
    dport: range(doc, row, "dport", 65535),
    uid: range(doc, row, "uid", 0xffffffff),
    action: action(doc, row),
    table: table === null ? null : tableNumber(table),
    // `none` when the rule that it went to is gone.
    goto: row["goto"] === "none" ? null : uint(doc, row, "goto", 0xffffffff),
    l3mdev: has(row, "l3mdev"),
    suppressPrefixLength: uint(doc, row, "suppress_prefixlen", 128),
    suppressIfgroup: word(doc, row, "suppress_ifgroup"),
    unknown: Object.keys(row).filter((name) => !KNOWN.has(name)),
    source: sourceOf(doc, row),
  };
}

/** The policy rules of one family in the order in which the kernel asks them. Marks are unsigned. Throws ParseError. */
export function parseIpRule(text: string, file: string, family: 4 | 6): PolicyRule[] {
  const { doc, rows } = readRows(text, file);
  return rows.map((row) => rule(doc, row, family));
}
