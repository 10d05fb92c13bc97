/** Values of options: numbers, ports, marks, addresses. Every reader throws Malformed and names what it expected. */
import { type Ip, type Prefix, ip4, ip6, maskWord, parseIp, parsePrefix } from "../../model/address.ts";
import type { MaskedIp, Range, SetDir } from "../../model/xtables.ts";
import { Malformed, shorten } from "./words.ts";

export const U8 = 0xff;
export const U16 = 0xffff;
export const U32 = 0xffffffff;

const NUMBER = /^(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})$/;

/** A number as C's strtoul reads it (0x… is hex, 0… octal), at most `max`; null when it is none. */
export function numberOrNull(text: string, max: number): number | null {
  if (!NUMBER.test(text)) return null;
  const octal = text.length > 1 && text.charCodeAt(0) === 48 && !/[xX89]/.test(text);
  const n = octal ? Number.parseInt(text, 8) : Number(text);
  return n <= max ? n : null;
}

/** As numberOrNull; throws Malformed, `what` being the option's name. */
export function number(text: string, max: number, what: string): number {
  const n = numberOrNull(text, max);
  if (n === null) throw new Malformed(`${what}: expected a number up to ${max}, found ${shorten(text)}`);
  return n;
}

/** `A` or `A<separator>B`, either end may be left out; `max` is the largest allowed. */
export function range(text: string, separator: string, max: number, what: string): Range {
  const cut = text.indexOf(separator);
  if (cut < 0) {
    const n = number(text, max, what);
    return [n, n];
  }
  const from = cut === 0 ? 0 : number(text.slice(0, cut), max, what);
  const to = cut === text.length - 1 ? max : number(text.slice(cut + 1), max, what);
  if (text.length === 1 || from > to) {
    throw new Malformed(`${what}: expected a range A${separator}B with A not above B, found ${shorten(text)}`);
  }
  return [from, to];
}

/** `VALUE` or `VALUE/MASK`; a missing mask is `max`, all ones. */
export function valueMask(text: string, max: number, what: string): { value: number; mask: number } {
  const slash = text.indexOf("/");
  if (slash < 0) return { value: number(text, max, what), mask: max };
  return { value: number(text.slice(0, slash), max, what), mask: number(text.slice(slash + 1), max, what) };
}

/** An address of the file's family. */
export function address(text: string, v6: boolean, what: string): Ip {
  const ip = text.includes("%") ? null : parseIp(text);
  if (ip === null || (ip.v === 6) !== v6) {
    throw new Malformed(`${what}: expected an IPv${v6 ? 6 : 4} address, found ${shorten(text)}`);
  }
  return ip;
}

/** `ADDRESS`, `ADDRESS/LENGTH` or `ADDRESS/MASK`; a mask with holes gives a MaskedIp. */
export function network(text: string, v6: boolean, what: string): Prefix | MaskedIp {
  const prefix = text.includes("%") ? null : parsePrefix(text);
  if (prefix !== null && (prefix.ip.v === 6) === v6) return prefix;
  const slash = text.indexOf("/");
  const ip = address(slash < 0 ? text : text.slice(0, slash), v6, what);
  const mask = /^[0-9]*$/.test(text.slice(slash + 1)) ? null : parseIp(text.slice(slash + 1));
  if (mask === null || mask.v !== ip.v) {
    throw new Malformed(`${what}: expected a prefix length or a mask after /, found ${shorten(text)}`);
  }
  return { ip: maskedBy(ip, mask), mask };
}

/** As `network`, null for a mask with holes. */
export function prefixOrNull(text: string, v6: boolean, what: string): Prefix | null {
  const net = network(text, v6, what);
  return "len" in net ? net : null;
}

function maskedBy(ip: Ip, mask: Ip): Ip {
  if (ip.v === 4) return ip4(ip.a & mask.a);
  return ip6(ip.a & mask.a, ip.b & mask.b, ip.c & mask.c, ip.d & mask.d);
}

/** The mask of `len` leading ones. */
export function maskOf(v6: boolean, len: number): Ip {
  return v6 ? ip6(maskWord(len, 0), maskWord(len, 1), maskWord(len, 2), maskWord(len, 3)) : ip4(maskWord(len, 0));
}

/** Comma-separated words, each one of `allowed`. */
export function list(text: string, allowed: readonly string[], what: string): string[] {
  const words = text.split(",");
  for (const word of words) {
    if (!allowed.includes(word)) {
      throw new Malformed(`${what}: expected ${allowed.join(", ")}, found ${shorten(word === "" ? "nothing" : word)}`);
    }
  }
  return words;
}

/** Directions of a set's dimensions, at most six (IPSET_DIM_MAX, include/uapi/linux/netfilter/ipset/ip_set.h). */
export function setDirs(text: string, what: string): SetDir[] {
  const dirs: SetDir[] = [];
  for (const word of text.split(",")) {
    if ((word !== "src" && word !== "dst") || dirs.length === 6) {
      throw new Malformed(`${what}: expected up to six of src and dst, found ${shorten(text)}`);
    }
    dirs.push(word);
  }
  return dirs;
}
