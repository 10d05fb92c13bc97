/** Statements of libnftables-json(5) as nft text (nftables src/statement.c, src/json.c of 1.0.6). */
import type { NftFamily, NftJson } from "../../model/nftables.ts";
import { expressionText, kindOf, setText, styleOf, stylesOf, valueText, verdictText } from "./nft-expression.ts";
import { bytesText, fieldsOf, listOf, NftTextError, quoted, wordOf } from "./nft-value.ts";

type Fields = { [key: string]: NftJson };

const words = (value: NftJson | undefined): string => listOf(value).map(wordOf).join(",");

/** `match`: the operator is left out where nft takes it for granted (src/expression.c: must_print_eq_op). */
function matchText(fields: Fields): string {
  const left = fields["left"] ?? null;
  const right = fields["right"] ?? null;
  const op = wordOf(fields["op"]);
  const styles = stylesOf(left);
  const masked = kindOf(left);
  const value = valueText(right, styles);
  if (masked?.kind === "&" && styles[0] === "flags") {
    // Bits of a mask: `tcp flags syn / fin,syn,rst,ack` (src/expression.c: relational_expr_print of a flagcmp).
    const operands = listOf(masked.body);
    const bits = operands.slice(1).map((each) => valueText(each, styles));
    const not = op === "==" || op === "in" ? "" : `${op} `;
    return `${expressionText(operands[0] ?? null)} ${not}${value} / ${bits.join(",")}`;
  }
  const bitmask =
    styles[0] === "flags" && fieldsOf(right) === null && !(typeof right === "string" && right.startsWith("@"));
  const binary = ["&", "|", "^", "<<", ">>"].includes(masked?.kind ?? "");
  const implied = op === "in" || (op === "==" && !binary && !bitmask);
  return `${expressionText(left)} ${implied ? "" : `${op} `}${value}`;
}

/** `limit rate over 10/minute burst 3 packets`; bursts that nft takes for granted are left out. */
export function limitText(fields: Fields): string {
  const over = fields["inv"] === true ? "over " : "";
  const per = wordOf(fields["per"] ?? "second");
  const unit = fields["rate_unit"];
  const burst = typeof fields["burst"] === "number" ? fields["burst"] : 0;
  if (unit === undefined || unit === "packets") {
    const more = burst > 0 && burst !== 5 ? ` burst ${burst} packets` : "";
    return `rate ${over}${wordOf(fields["rate"])}/${per}${more}`;
  }
  const more = burst > 0 ? ` burst ${burst} ${wordOf(fields["burst_unit"] ?? "bytes")}` : "";
  return `rate ${over}${wordOf(fields["rate"])} ${wordOf(unit)}/${per}${more}`;
}

/** `over 10 mbytes used 10 bytes`; of a statement, whose bytes have units, or of a quota object, whose bytes have none. */
export function quotaText(fields: Fields): string {
  const amount = (name: string): string => {
    const unit = fields[`${name}_unit`];
    const value = fields[name];
    return unit === undefined && typeof value === "number" ? bytesText(value) : `${wordOf(value)} ${wordOf(unit)}`;
  };
  const over = fields["inv"] === true ? "over " : "";
  const used = fields["used"] === undefined || fields["used"] === 0 ? "" : ` used ${amount("used")}`;
  return `${over}${amount(fields["val"] === undefined ? "bytes" : "val")}${used}`;
}

/** Flags of a log with the words that they share once: `flags tcp sequence,options flags ip options`. */
function logFlags(flags: readonly string[]): string {
  const groups = new Map<string, string[]>();
  for (const flag of flags) {
    const [group, bit] = flag.includes(" ") ? (flag.split(" ", 2) as [string, string]) : [flag, null];
    const list = groups.get(group) ?? [];
    groups.set(group, list);
    if (bit !== null) list.push(bit);
  }
  return [...groups].map(([group, bits]) => ` flags ${[group, bits.join(",")].join(" ").trim()}`).join("");
}

function logText(fields: Fields): string {
  let text = "log";
  if (typeof fields["prefix"] === "string") text += ` prefix ${quoted(fields["prefix"])}`;
  for (const name of ["group", "snaplen", "queue-threshold", "level"])
    if (fields[name] !== undefined) text += ` ${name} ${wordOf(fields[name])}`;
  return text + logFlags(listOf(fields["flags"]).map(wordOf));
}

/** Codes that a bare `reject` stands for (src/evaluate.c: stmt_evaluate_reject_default). */
const PLAIN_REJECT: Partial<Record<NftFamily, string>> = { ip: "icmp", ip6: "icmpv6", inet: "icmpx", bridge: "icmpx" };

function rejectText(fields: Fields, family: NftFamily | null): string {
  const type = fields["type"];
  if (type === undefined) return "reject";
  const code = fields["expr"];
  if (type === "tcp reset" || code === undefined) return `reject with ${wordOf(type)}`;
  const plain = code === "port-unreachable" && (type === "icmpx" || (family !== null && PLAIN_REJECT[family] === type));
  return plain ? "reject" : `reject with ${wordOf(type)} ${wordOf(code)}`;
}

/** Whether an address (a range's first) is IPv6: with a port it is written in brackets. */
function isIpv6(address: NftJson): boolean {
  if (typeof address === "string") return address.includes(":");
  return listOf(fieldsOf(address)?.["range"]).some(isIpv6);
}

/** `dnat ip to 10.0.0.1:80 random`, and its like: snat, masquerade, redirect, tproxy. */
function natText(kind: string, fields: Fields): string {
  const address = fields["addr"];
  const port = fields["port"] === undefined ? "" : `:${valueText(fields["port"])}`;
  let text = kind;
  if (fields["family"] !== undefined && address !== undefined) text += ` ${wordOf(fields["family"])}`;
  if (listOf(fields["type_flags"]).includes("prefix")) text += " prefix";
  if (address !== undefined) {
    const to = valueText(address);
    text += ` to ${port !== "" && isIpv6(address) ? `[${to}]` : to}${port}`;
  } else if (port !== "") text += ` to ${port}`;
  const flags = listOf(fields["flags"])
    .map(wordOf)
    .filter((flag) => flag !== "netmap");
  return flags.length === 0 ? text : `${text} ${flags.join(",")}`;
}

/** `update @name { ip saddr timeout 30s counter }`, and with a value for maps. */
function dynamicText(fields: Fields): string {
  const key = fields["elem"] ?? null;
  const element = fieldsOf(key)?.["elem"] === undefined ? expressionText(key) : valueText(key);
  const statements = listOf(fields["stmt"]).map((each) => ` ${statementText(each)}`);
  const data = fields["data"] === undefined ? "" : ` : ${valueText(fields["data"])}`;
  return `${wordOf(fields["op"])} ${wordOf(fields["set"] ?? fields["map"])} { ${element}${statements.join("")}${data} }`;
}

function counterText(body: NftJson): string {
  if (typeof body === "string") return `counter name ${quoted(body)}`;
  const fields = fieldsOf(body);
  if (fields?.["map"] !== undefined) return `counter name ${expressionText(body, "quoted")}`;
  if (fields?.["packets"] === undefined) return "counter";
  return `counter packets ${wordOf(fields["packets"])} bytes ${wordOf(fields["bytes"] ?? 0)}`;
}

/** Devices, and addresses that packets are sent to as they are: `fwd to "lo"`, `dup to 1.2.3.4 device "lo"`. */
function copyText(kind: string, fields: Fields): string {
  const device = fields["dev"] === undefined ? null : valueText(fields["dev"], ["quoted"]);
  const address = fields["addr"];
  if (address === undefined) return `${kind} to ${device ?? ""}`;
  // A netdev chain's dup has its device where other families have an address.
  const isDevice = typeof address === "string" && !/[.:]/.test(address);
  const family = fields["family"] === undefined ? "" : ` ${wordOf(fields["family"])}`;
  const to = valueText(address, [isDevice ? "quoted" : "plain"]);
  return `${kind}${family} to ${to}${device === null ? "" : ` device ${device}`}`;
}

function vmapText(fields: Fields): string {
  const key = fields["key"] ?? null;
  const members = fieldsOf(fields["data"])?.["set"];
  const data =
    members === undefined ? valueText(fields["data"] ?? null) : setText(listOf(members), stylesOf(key), ["plain"]);
  return `${expressionText(key)} vmap ${data}`;
}

/**
 * One statement as nft prints it. `family` is that of its table, which decides what a bare `reject` means; null when it is not known.
 * Throws NftTextError for a statement that is not known.
 */
export function statementText(statement: NftJson, family: NftFamily | null = null): string {
  const verdict = verdictText(statement);
  if (verdict !== null) return verdict;
  const found = kindOf(statement);
  if (found === null) throw new NftTextError("a statement", statement);
  const { kind, body } = found;
  const fields = fieldsOf(body) ?? {};
  switch (kind) {
    case "match":
      return matchText(fields);
    case "vmap":
      return vmapText(fields);
    case "mangle": {
      const key = fields["key"] ?? null;
      return `${expressionText(key)} set ${valueText(fields["value"] ?? null, [styleOf(key)])}`;
    }
    case "counter":
      return counterText(body);
    case "limit":
    case "quota":
      if (typeof body === "string") return `${kind} name ${quoted(body)}`;
      return `${kind} ${kind === "limit" ? limitText(fields) : quotaText(fields)}`;
    case "log":
      return logText(fields);
    case "reject":
      return rejectText(fields, family);
    case "dnat":
    case "snat":
    case "masquerade":
    case "redirect":
    case "tproxy":
      return natText(kind, fields);
    case "set":
    case "map":
      return dynamicText(fields);
    case "meter": {
      const size = fields["size"] === undefined ? "" : ` size ${wordOf(fields["size"])}`;
      const key = fields["key"] ?? null;
      const element = fieldsOf(key)?.["elem"] === undefined ? expressionText(key) : valueText(key);
      return `meter ${wordOf(fields["name"])}${size} { ${element} ${statementText(fields["stmt"] ?? null)} }`;
    }
    case "ct helper":
    case "ct timeout":
    case "ct expectation":
      return `${kind} set ${typeof body === "string" ? quoted(body) : expressionText(body, "quoted")}`;
    case "ct count":
      return `ct count ${fields["inv"] === true ? "over " : ""}${wordOf(fields["val"])}`;
    case "queue": {
      const flags = fields["flags"] === undefined ? "" : ` flags ${words(fields["flags"])}`;
      return `queue${flags}${fields["num"] === undefined ? "" : ` to ${valueText(fields["num"])}`}`;
    }
    case "fwd":
    case "dup":
      return copyText(kind, fields);
    case "flow":
      return `flow ${wordOf(fields["op"])} ${wordOf(fields["flowtable"])}`;
    case "synproxy": {
      if (typeof body === "string") return `synproxy name ${quoted(body)}`;
      const parts = ["mss", "wscale"].filter((name) => fields[name] !== undefined);
      const flags = listOf(fields["flags"]).map((flag) => ` ${wordOf(flag)}`);
      return `synproxy${parts.map((name) => ` ${name} ${wordOf(fields[name])}`).join("")}${flags.join("")}`;
    }
    case "notrack":
    case "last":
      return kind;
    case "xt":
      return `xt ${wordOf(fields["type"] ?? "match")} ${wordOf(fields["name"])}`;
    default:
      throw new NftTextError("a statement", statement);
  }
}
