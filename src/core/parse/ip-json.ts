/** What the readers of `ip -j`, `bridge -j` and `tc -j` share: rows, addresses, flags. Each throws ParseError at the row's line. */
import { parseIp, parsePrefix, prefixOf } from "../model/address.ts";
import type { Ip, Prefix } from "../model/address.ts";
import { wholeNumber } from "./ip-names.ts";
import { errorAt, optional, parseJson, rows, shown } from "./json-lines.ts";
import type { JsonDoc, JsonObject } from "./json-lines.ts";

/** The rows of a document, with the document for their lines. */
export interface Rows {
  doc: JsonDoc;
  rows: JsonObject[];
}

/**
 * The rows of one command's output. A blank file is a command that printed nothing: no rows. Empty objects, which
 * iproute2 prints for what its filters left out, are skipped. `keepFirst` as in parseJson.
 */
export function readRows(text: string, file: string, keepFirst: readonly string[] = []): Rows {
  if (text.trim() === "") return { doc: { file, value: [], line: () => 1 }, rows: [] };
  const doc = parseJson(text, file, keepFirst);
  return { doc, rows: rows(doc).filter(isFilled) };
}

/** Whether an object has any field. */
export function isFilled(o: JsonObject): boolean {
  for (const name in o) if (Object.hasOwn(o, name)) return true;
  return false;
}

/** Whether the field is there at all: iproute2 prints bare words as `"blackhole": null`. */
export function has(o: JsonObject, name: string): boolean {
  return Object.hasOwn(o, name);
}

/** A yes or no that is printed as a boolean or as 0 and 1; `absent` when it is not printed. */
export function flag(doc: JsonDoc, o: JsonObject, name: string, absent: boolean): boolean {
  const value = o[name];
  if (value === undefined) return absent;
  if (typeof value === "boolean") return value;
  if (value === 0 || value === 1) return value === 1;
  throw errorAt(doc, o, `"${name}" should be true or false, not ${shown(value)}`);
}

/** A whole number from 0 to `max`, printed as a number or as a string (decimal or 0x…); null when it is not printed. */
export function uint(doc: JsonDoc, o: JsonObject, name: string, max: number): number | null {
  const value = o[name];
  if (value === undefined || value === null) return null;
  const n = typeof value === "number" ? value : typeof value === "string" ? wholeNumber(value) : null;
  if (n === null || !Number.isInteger(n) || n < 0 || n > max) {
    throw errorAt(doc, o, `"${name}" should be a whole number from 0 to ${max}, not ${shown(value)}`);
  }
  return n;
}

/** A name, which newer or older tools may print as a number; null when it is not printed. */
export function word(doc: JsonDoc, o: JsonObject, name: string): string | null {
  const value = o[name];
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw errorAt(doc, o, `"${name}" should be a string, not ${shown(value)}`);
}

/** An address; null when it is not printed. */
export function address(doc: JsonDoc, o: JsonObject, name: string): Ip | null {
  const text = optional(doc, o, name, "string");
  if (text === null) return null;
  const ip = parseIp(text);
  if (ip === null) throw errorAt(doc, o, `"${name}" should be an address, not ${shown(text)}`);
  return ip;
}

/** An end of a tunnel; null when it is not printed, `any`, 0.0.0.0 or `::`. */
export function tunnelEnd(doc: JsonDoc, o: JsonObject, name: string): Ip | null {
  if (o[name] === "any") return null;
  const ip = address(doc, o, name);
  return ip === null || (ip.a | ip.b | ip.c | ip.d) === 0 ? null : ip;
}

/** A prefix of one family, `default` or `all` being the one of length 0; null when it is not printed. */
export function prefix(doc: JsonDoc, o: JsonObject, name: string, family: 4 | 6): Prefix | null {
  const text = optional(doc, o, name, "string");
  if (text === null) return null;
  const any = text === "default" || text === "all";
  const p = any ? parsePrefix(family === 4 ? "0.0.0.0/0" : "::/0") : parsePrefix(text);
  if (p === null || p.ip.v !== family)
    throw errorAt(doc, o, `"${name}" should be an IPv${family} prefix, not ${shown(text)}`);
  return p;
}

/** A prefix printed as an address beside its length. Throws when the length does not fit the family. */
export function joinedPrefix(doc: JsonDoc, o: JsonObject, ip: Ip, lenName: string): Prefix {
  const max = ip.v === 4 ? 32 : 128;
  return prefixOf(ip, uint(doc, o, lenName, max) ?? max);
}

/** A link-layer address in lower case; null when it is not printed, or is no MAC (tunnels print IP addresses there). */
export function mac(doc: JsonDoc, o: JsonObject, name: string): string | null {
  const text = optional(doc, o, name, "string");
  if (text === null) return null;
  if (/^[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5,}$/.test(text)) return text.toLowerCase();
  if (parseIp(text) !== null) return null;
  throw errorAt(doc, o, `"${name}" should be a link-layer address, not ${shown(text)}`);
}
