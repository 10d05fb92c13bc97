/** What nft's jhash hashes: the bytes of its key as registers hold them (nft_hash.c). */
import { jhash2 } from "../../jhash.ts";
import type { ValueType } from "./types.ts";
import type { Value } from "./value.ts";

/** jhash() of bytes: jhash2() of them as little-endian words, but that the true length goes in. An unsigned 32-bit hash. */
export function jhash(key: Uint8Array, seed: number): number {
  const bytes = new Uint8Array(padded(key.length));
  bytes.set(key);
  const view = new DataView(bytes.buffer);
  const words: number[] = [];
  for (let at = 0; at < view.byteLength; at += 4) words.push(view.getInt32(at, true));
  return jhash2(words, seed + key.length - bytes.length);
}

/**
 * The bytes of a value in its register, without padding; null for what has no bytes here (device indexes).
 * The wire's byte order for header fields, the host's for marks and the like.
 */
export function registerBytes(type: ValueType, value: Value): Uint8Array | null {
  if (typeof value === "number") {
    const out = new Uint8Array(Math.ceil(type.bits / 8));
    for (let i = 0; i < out.length; i++) {
      const shift = 8 * (type.hostOrder ? i : out.length - 1 - i);
      out[i] = (value >>> shift) & 255;
    }
    return out;
  }
  if (type.form === "ip6" || type.form === "mac") {
    const out = new Uint8Array(value.length / 2);
    for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(value.slice(2 * i, 2 * i + 2), 16);
    return out;
  }
  if (type.form === "ifname" || type.form === "name") {
    const text = new TextEncoder().encode(value);
    const out = new Uint8Array(16);
    out.set(text.subarray(0, 15));
    return out;
  }
  return null;
}

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** Values side by side as in a concatenation: each padded with zeros to whole registers of four bytes (netlink_padded_len). */
export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const out = new Uint8Array(parts.reduce((n, part) => n + padded(part.length), 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += padded(part.length);
  }
  return out;
}
