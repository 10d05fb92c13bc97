/** How nft writes values: what a number or word looks like depends on what it is compared with. */
import type { NftJson } from "../../model/nftables.ts";

/**
 * How values of one kind are written. `mark`: 0x%08x; `hex`: 0x%x; `seconds`: 1h30m; `quoted`: words in quotes; `index`: as `quoted`,
 * but numbers stay bare (a device that is gone); `flags`: words, several joined by commas; `plain`: as it is.
 */
export type ValueStyle = "mark" | "hex" | "seconds" | "quoted" | "index" | "flags" | "plain";

/** What nft cannot say: a statement or expression that no nft text is known for. */
export class NftTextError extends Error {
  constructor(what: string, value: NftJson) {
    super(`nft text: ${what} is not known: ${JSON.stringify(value)}`);
    this.name = "NftTextError";
  }
}

/** The object that `value` is, or null. */
export function fieldsOf(value: NftJson | undefined): { [key: string]: NftJson } | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}

/** A list, which nft prints as its only member when it has just one; nothing as an empty one. */
export function listOf(value: NftJson | undefined): NftJson[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** A word or number as it stands; throws NftTextError for anything else. */
export function wordOf(value: NftJson | undefined): string {
  if (typeof value === "string" || typeof value === "number") return String(value);
  throw new NftTextError("a word", value ?? null);
}

/** A string in quotes. nft knows no escapes (src/scanner.l: quotedstring), so one with a quote in it throws NftTextError. */
export function quoted(text: string): string {
  if (text.includes('"')) throw new NftTextError("a quote within a string", text);
  return `"${text}"`;
}

const UNITS: readonly [string, number][] = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** Seconds as nft prints a time: `10m`, `1h30m`, `1d2h3m4s` (src/datatype.c: time_print). */
export function durationText(seconds: number): string {
  let left = Math.floor(seconds);
  let text = "";
  for (const [unit, length] of UNITS) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0) text += `${count}${unit}`;
  }
  return text === "" ? "0s" : text;
}

/** Bytes with the largest unit that divides them, `10 mbytes` (src/statement.c: get_rate). */
export function bytesText(bytes: number): string {
  let value = bytes;
  const units = ["bytes", "kbytes", "mbytes"];
  let unit = 0;
  while (unit < 2 && value > 0 && value % 1024 === 0) {
    value /= 1024;
    unit++;
  }
  return `${value} ${units[unit] ?? "bytes"}`;
}

const hex = (value: number, digits: number): string => `0x${value.toString(16).padStart(digits, "0")}`;

/** A number or word in the style of what it stands beside. */
export function scalarText(value: string | number, style: ValueStyle): string {
  if (typeof value === "number") {
    if (style === "mark") return hex(value, 8);
    if (style === "hex") return hex(value, 1);
    if (style === "seconds") return durationText(value);
    return String(value);
  }
  if (value.startsWith("@") || value === "*") return value;
  if (style === "quoted" || (style === "index" && !/^\d+$/.test(value))) return quoted(value);
  return value;
}

/** Style of values of a set's type (`mark`, `ifname` …; src/datatype.c). Types by expression (`typeof`) are not known here. */
export function styleOfType(type: string): ValueStyle {
  switch (type) {
    case "mark":
    case "ct_mark":
      return "mark";
    case "ifname":
    case "string":
    case "time":
    case "hour":
    case "day":
      return "quoted";
    case "iface_index":
      return "index";
    case "tcp_flag":
    case "ct_state":
    case "ct_status":
    case "ct_label":
    case "ct_event":
      return "flags";
    default:
      return "plain";
  }
}
