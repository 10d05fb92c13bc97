/** Expressions of libnftables-json(5) as nft text (nftables src/expression.c, src/meta.c, src/ct.c, src/json.c of 1.0.6). */
import type { NftJson } from "../../model/nftables.ts";
import { durationText, fieldsOf, listOf, NftTextError, quoted, scalarText, wordOf } from "./nft-value.ts";
import type { ValueStyle } from "./nft-value.ts";

type Fields = { [key: string]: NftJson };

/** Keys of meta that are written without the word (src/meta.c: meta_key_is_unqualified). */
const UNQUALIFIED: ReadonlySet<string> = new Set(["iif", "iifname", "iifgroup", "oif", "oifname", "oifgroup"]);
const META_STYLES: Record<string, ValueStyle> = {
  mark: "mark",
  iif: "index",
  oif: "index",
  sdif: "index",
  iifname: "quoted",
  oifname: "quoted",
  ibrname: "quoted",
  obrname: "quoted",
  sdifname: "quoted",
  iifkind: "quoted",
  oifkind: "quoted",
  bri_iifname: "quoted",
  bri_oifname: "quoted",
  time: "quoted",
  hour: "quoted",
  day: "quoted",
};
const CT_STYLES: Record<string, ValueStyle> = {
  mark: "mark",
  secmark: "mark",
  helper: "quoted",
  expiration: "seconds",
  state: "flags",
  status: "flags",
  label: "flags",
  event: "flags",
};
/** Operators by how tightly they bind, the tightest first (src/expression.c: expr_binop_precedence). */
const PRECEDENCE: Record<string, number> = { "<<": 1, ">>": 1, "&": 2, "^": 3, "|": 4 };
const VERDICTS: ReadonlySet<string> = new Set(["accept", "drop", "continue", "return", "jump", "goto"]);

/** An object's only key with its body; null when it is no object with just one key. */
export function kindOf(value: NftJson): { kind: string; body: NftJson } | null {
  const fields = fieldsOf(value);
  const kind = fields === null ? undefined : Object.keys(fields)[0];
  return fields === null || kind === undefined ? null : { kind, body: fields[kind] ?? null };
}

/** How values are written that stand beside this expression. */
export function styleOf(expression: NftJson): ValueStyle {
  const found = kindOf(expression);
  if (found === null) return "plain";
  const { kind, body } = found;
  if (kind in PRECEDENCE) return styleOf(listOf(body)[0] ?? null);
  const fields = fieldsOf(body) ?? {};
  const key = typeof fields["key"] === "string" ? fields["key"] : "";
  if (kind === "meta") return META_STYLES[key] ?? "plain";
  if (kind === "ct") return CT_STYLES[key] ?? "plain";
  if (kind === "socket") return key === "mark" ? "mark" : "plain";
  if (kind === "osf") return "quoted";
  if (kind === "fib") return fields["result"] === "oif" ? "index" : fields["result"] === "oifname" ? "quoted" : "plain";
  if (kind !== "payload") return "plain";
  if (fields["base"] !== undefined) return "hex";
  return fields["protocol"] === "tcp" && fields["field"] === "flags" ? "flags" : "plain";
}

/** Styles of the parts of a concatenation, one for anything else. */
export function stylesOf(expression: NftJson): ValueStyle[] {
  const parts = fieldsOf(expression)?.["concat"];
  return Array.isArray(parts) ? parts.map(styleOf) : [styleOf(expression)];
}

/** A verdict: `accept`, `jump X` … Null when it is none. */
export function verdictText(value: NftJson): string | null {
  const found = kindOf(value);
  if (found === null || !VERDICTS.has(found.kind)) return null;
  const target = fieldsOf(found.body)?.["target"];
  return target === undefined ? found.kind : `${found.kind} ${wordOf(target)}`;
}

/**
 * A value (what an expression is compared with, set to, or mapped to) as nft prints it; `styles` are those of the parts of the
 * expression beside it. Throws NftTextError for what has no text.
 */
export function valueText(value: NftJson, styles: readonly ValueStyle[] = ["plain"]): string {
  const style = styles[0] ?? "plain";
  if (typeof value === "boolean") return value ? "exists" : "missing";
  if (typeof value === "string" || typeof value === "number") return scalarText(value, style);
  if (Array.isArray(value)) return value.map((each) => valueText(each, styles)).join(",");
  if (value === null) throw new NftTextError("a value", value);
  const prefix = fieldsOf(value["prefix"]);
  if (prefix !== null) return `${valueText(prefix["addr"] ?? null, styles)}/${wordOf(prefix["len"])}`;
  if (Array.isArray(value["range"]))
    return value["range"].map((each) => valueText(each, styles)).join(style === "seconds" ? " - " : "-");
  if (Array.isArray(value["concat"]))
    return value["concat"].map((each, i) => valueText(each, [styles[i] ?? "plain"])).join(" . ");
  if (value["set"] !== undefined) return setText(listOf(value["set"]), styles, ["plain"]);
  if (value["elem"] !== undefined) return elementText(value, styles);
  return verdictText(value) ?? expressionText(value, style);
}

/** An anonymous set or map in braces; `values` are the styles of what a map's keys lead to. */
export function setText(
  elements: readonly NftJson[],
  keys: readonly ValueStyle[],
  values: readonly ValueStyle[],
): string {
  return elements.length === 0 ? "{ }" : `{ ${elements.map((each) => memberText(each, keys, values)).join(", ")} }`;
}

/** A member of a set, or of a map: `key : value`. */
export function memberText(member: NftJson, keys: readonly ValueStyle[], values: readonly ValueStyle[]): string {
  if (!Array.isArray(member)) return valueText(member, keys);
  return `${valueText(member[0] ?? null, keys)} : ${valueText(member[1] ?? null, values)}`;
}

/** An element with what it carries: counters, timeout, expiry, comment (src/expression.c: set_elem_expr_print). */
function elementText(value: Fields, styles: readonly ValueStyle[]): string {
  const element = fieldsOf(value["elem"]) ?? {};
  let text = valueText(element["val"] ?? null, styles);
  const counter = fieldsOf(element["counter"]);
  if (counter !== null) text += ` counter packets ${wordOf(counter["packets"])} bytes ${wordOf(counter["bytes"])}`;
  if (typeof element["timeout"] === "number") text += ` timeout ${durationText(element["timeout"])}`;
  if (typeof element["expires"] === "number") text += ` expires ${durationText(element["expires"])}`;
  if (typeof element["comment"] === "string") text += ` comment ${quoted(element["comment"])}`;
  return text;
}

/** An operand in brackets when it binds more loosely than the operator around it; words of a bit mask in brackets, too. */
function operandText(operand: NftJson, around: string, style: ValueStyle): string {
  if (Array.isArray(operand)) return `(${operand.map((each) => valueText(each, [style])).join(" | ")})`;
  const inner = kindOf(operand)?.kind ?? "";
  const text = valueText(operand, [style]);
  return (PRECEDENCE[inner] ?? 0) > (PRECEDENCE[around] ?? 0) ? `(${text})` : text;
}

function payloadText(fields: Fields): string {
  if (fields["base"] !== undefined)
    return `@${wordOf(fields["base"])},${wordOf(fields["offset"])},${wordOf(fields["len"])}`;
  const tunnel = fields["tunnel"] === undefined ? "" : `${wordOf(fields["tunnel"])} `;
  return `${tunnel}${wordOf(fields["protocol"])} ${wordOf(fields["field"])}`;
}

/** A word that may be absent, after a blank; with its name before it when it has one. */
const optional = (value: NftJson | undefined, name = ""): string =>
  value === undefined || value === null ? "" : `${name === "" ? "" : ` ${name}`} ${wordOf(value)}`;

/** What a header, option or chunk is read from, `tcp option maxseg size`; without a field, whether it is there. */
function headerText(before: string, fields: Fields): string {
  if (fields["base"] !== undefined)
    return `${before} @${wordOf(fields["base"])},${wordOf(fields["offset"])},${wordOf(fields["len"])}`;
  return `${before} ${wordOf(fields["name"] ?? fields["type"])}${optional(fields["field"])}`;
}

/**
 * An expression as nft prints it, without the value that it is compared with; `style` is that of the values in it when the expression
 * itself has none (what a map gives). Throws NftTextError for one that is not known.
 */
export function expressionText(expression: NftJson, style: ValueStyle = "plain"): string {
  const found = kindOf(expression);
  if (found === null) return valueText(expression, [style]);
  const { kind, body } = found;
  if (kind in PRECEDENCE) {
    const operands = listOf(body);
    const own = styleOf(expression);
    return operands
      .map((each, i) => operandText(each, kind, i > 0 && (kind === "<<" || kind === ">>") ? "plain" : own))
      .join(` ${kind} `);
  }
  if (kind === "concat")
    return listOf(body)
      .map((each) => expressionText(each))
      .join(" . ");
  const fields = fieldsOf(body);
  if (fields === null) throw new NftTextError("an expression", expression);
  const key = (): string => wordOf(fields["key"]);
  switch (kind) {
    case "payload":
      return payloadText(fields);
    case "meta":
      return UNQUALIFIED.has(key()) ? key() : `meta ${key()}`;
    case "ct":
      return `ct${optional(fields["dir"])} ${key()}`;
    case "rt":
      return `rt${optional(fields["family"])} ${key()}`;
    case "socket":
      return `socket ${key()}${optional(fields["level"], "level")}`;
    case "fib":
      return `fib ${listOf(fields["flags"]).map(wordOf).join(" . ")} ${wordOf(fields["result"])}`;
    case "numgen":
      return `numgen ${wordOf(fields["mode"])} mod ${wordOf(fields["mod"])}${offsetText(fields)}`;
    case "jhash": {
      const seed = typeof fields["seed"] === "number" ? ` seed ${scalarText(fields["seed"], "hex")}` : "";
      return `jhash ${expressionText(fields["expr"] ?? null)} mod ${wordOf(fields["mod"])}${seed}${offsetText(fields)}`;
    }
    case "symhash":
      return `symhash mod ${wordOf(fields["mod"])}${offsetText(fields)}`;
    case "exthdr":
      return fields["field"] === undefined ? headerText("exthdr", fields) : headerText("", fields).trim();
    case "tcp option":
    case "ip option":
    case "sctp chunk":
    case "dccp option":
      return headerText(kind, fields);
    case "osf":
      return `osf ${fields["ttl"] === undefined ? "" : `ttl ${wordOf(fields["ttl"])} `}${wordOf(fields["key"])}`;
    case "ipsec":
      return `ipsec ${wordOf(fields["dir"])}${optional(fields["spnum"], "spnum")}${optional(fields["family"])} ${key()}`;
    case "map":
      return mapText(fields, style);
    default:
      throw new NftTextError("an expression", expression);
  }
}

const offsetText = (fields: Fields): string =>
  typeof fields["offset"] === "number" && fields["offset"] !== 0 ? ` offset ${fields["offset"]}` : "";

/** `KEY map { … }` or `KEY map @name`; what the keys lead to is written in `style`. */
function mapText(fields: Fields, style: ValueStyle): string {
  const key = fields["key"] ?? null;
  const data = fields["data"] ?? null;
  const members = fieldsOf(data)?.["set"];
  const text = members === undefined ? valueText(data) : setText(listOf(members), stylesOf(key), [style]);
  return `${expressionText(key)} map ${text}`;
}
