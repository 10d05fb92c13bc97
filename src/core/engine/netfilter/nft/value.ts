/** What nft's registers hold while a rule is evaluated, and how it is compared. */
import type { Ip, Prefix } from "../../../model/address.ts";
import { ip4, ip6, maskWord } from "../../../model/address.ts";
import type { EvalState } from "../program.ts";

/**
 * A known value. Everything of at most 32 bits is a signed 32-bit integer (an unboxed Smi in V8, like model addresses).
 * IPv6 addresses are 32 hex digits, MAC addresses 12, names are themselves: their order as text is their order as bytes.
 */
export type Value = number | string;

/** `null`: the kernel's NFT_BREAK, the rule does not match. `undefined`: not known; `s.why` says what. */
export type Loaded = Value | null | undefined;

/** Reads a value of the packet, its connection or the host. */
export type Load = (s: EvalState) => Loaded;

/** Inclusive at both ends. */
export interface Interval {
  readonly lo: Value;
  readonly hi: Value;
}

/** A value of an address: what `Load` gives for it. */
export const ipValue = (ip: Ip): Value => ip.key;

/** The address that a value of an address type stands for; null for text that is none. */
export function valueIp(value: Value): Ip | null {
  if (typeof value === "number") return ip4(value);
  if (!/^[0-9a-f]{32}$/.test(value)) return null;
  const w = (i: number): number => Number.parseInt(value.slice(8 * i, 8 * i + 8), 16);
  return ip6(w(0), w(1), w(2), w(3));
}

/** First and last address of a prefix. */
export function prefixInterval(p: Prefix): Interval {
  const { ip, len } = p;
  if (ip.v === 4) return { lo: ip.a, hi: ip.a | ~maskWord(len, 0) };
  const last = ip6(
    ip.a | ~maskWord(len, 0),
    ip.b | ~maskWord(len, 1),
    ip.c | ~maskWord(len, 2),
    ip.d | ~maskWord(len, 3),
  );
  return { lo: ip.key, hi: last.key };
}

/** memcmp of two values of one type: negative, zero or positive. */
export function compareValues(x: Value, y: Value): number {
  if (typeof x === "number" && typeof y === "number") return (x >>> 0) - (y >>> 0);
  return x === y ? 0 : x < y ? -1 : 1;
}

/** Whether a value lies in an interval. */
export function within(v: Value, i: Interval): boolean {
  return i.lo === i.hi ? v === i.lo : compareValues(v, i.lo) >= 0 && compareValues(v, i.hi) <= 0;
}

export type BitOp = "&" | "|" | "^" | "<<" | ">>";

export const isBitOp = (text: string): text is BitOp =>
  text === "&" || text === "|" || text === "^" || text === "<<" || text === ">>";

/** The operation on words of 32 bits. */
export function bits32(op: BitOp, x: number, y: number): number {
  switch (op) {
    case "&":
      return x & y;
    case "|":
      return x | y;
    case "^":
      return x ^ y;
    case "<<":
      return y > 31 ? 0 : x << y;
    case ">>":
      return y > 31 ? 0 : (x >>> y) | 0;
  }
}

/** nft_bitwise_eval. Hex text goes digit by digit; shifts of it are not known (undefined). */
export function bitwise(op: BitOp, x: Value, y: Value): Value | undefined {
  if (typeof x === "number" && typeof y === "number") return bits32(op, x, y);
  if (typeof x !== "string" || typeof y !== "string" || x.length !== y.length || op === "<<" || op === ">>")
    return undefined;
  let out = "";
  for (let i = 0; i < x.length; i++) {
    const digit = bits32(op, Number.parseInt(x[i]!, 16), Number.parseInt(y[i]!, 16));
    if (Number.isNaN(digit)) return undefined;
    out += digit.toString(16);
  }
  return out;
}
