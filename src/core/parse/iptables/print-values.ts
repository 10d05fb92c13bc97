/** Values as iptables prints them. */
import { type Ip, type Prefix, formatIp } from "../../model/address.ts";
import type { MaskedIp, Range } from "../../model/xtables.ts";
import { quote } from "./words.ts";

export function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** At least two digits, as TOS and DSCP are printed. */
export function hex2(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`;
}

/** inet_ntop of glibc: RFC 5952, but an IPv6 address of 96 zero bits ends in dotted form, as `::192.0.2.1`. */
export function ipText(ip: Ip): string {
  if (ip.v === 4 || (ip.a | ip.b | ip.c) !== 0 || ip.d >>> 16 === 0) return formatIp(ip);
  return `::${ip.d >>> 24}.${(ip.d >>> 16) & 255}.${(ip.d >>> 8) & 255}.${ip.d & 255}`;
}

export function prefixText(prefix: Prefix): string {
  return `${ipText(prefix.ip)}/${prefix.len}`;
}

/** Without the length of a single address, as conntrack's options print it. */
export function shortPrefixText(prefix: Prefix): string {
  return prefix.len === (prefix.ip.v === 4 ? 32 : 128) ? ipText(prefix.ip) : prefixText(prefix);
}

export function maskedText(addr: MaskedIp): string {
  return `${ipText(addr.ip)}/${ipText(addr.mask)}`;
}

export function rangeText(range: Range, separator: string): string {
  return range[0] === range[1] ? String(range[0]) : `${range[0]}${separator}${range[1]}`;
}

/** `VALUE` when `mask` is all 32 ones, else `VALUE/MASK`. */
export function markText(value: number, mask: number): string {
  return mask >>> 0 === 0xffffffff ? hex(value) : `${hex(value)}/${hex(mask)}`;
}

/** Words kept as printed, each after a space; one that was never printed is quoted if need be. */
export function wordsText(words: readonly string[]): string {
  let out = "";
  for (const word of words) out += ` ${word.startsWith('"') || !/\s/.test(word) ? word : quote(word)}`;
  return out;
}

/** ` ! ` or ` `, then `option`. */
export function option(not: boolean, name: string): string {
  return not ? ` ! ${name}` : ` ${name}`;
}

/** An option with a value, nothing when there is none. */
export function optional(name: string, value: string | number | null): string {
  return value === null ? "" : ` ${name} ${value}`;
}

/** An option without value, when `on`. */
export function flag(on: boolean, name: string): string {
  return on ? ` ${name}` : "";
}
