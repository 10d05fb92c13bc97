/**
 * A map of public addresses to other public ones that keeps prefixes: two addresses that share their first n bits do so afterwards, so that
 * every route, rule and set still tells the same ones apart. Private, shared, loopback, link-local, multicast and reserved addresses
 * stay as they are. The idea is Crypto-PAn's (Fan, Xu, Ammar, Moon 2004): whether a bit is flipped follows from the bits before it and a key.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { formatIp, ip4, ip6, parseIp, parsePrefix, type Ip } from "../model/address.ts";

/** Ranges that stay: RFC 6890's that mean something to every network, and IPv6's of local scope. */
const STAY = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/16",
  "64:ff9b::/96",
  "fc00::/7",
  "fe80::/9",
  "ff00::/8",
] as const;

interface Bits {
  v: 4 | 6;
  width: number;
  value: bigint;
}

function bitsOf(ip: Ip): Bits {
  const word = (w: number): bigint => BigInt(w >>> 0);
  if (ip.v === 4) return { v: 4, width: 32, value: word(ip.a) };
  return { v: 6, width: 128, value: (word(ip.a) << 96n) | (word(ip.b) << 64n) | (word(ip.c) << 32n) | word(ip.d) };
}

function ipOf({ v, value }: Bits): Ip {
  const word = (shift: bigint): number => Number((value >> shift) & 0xffff_ffffn);
  return v === 4 ? ip4(word(0n)) : ip6(word(96n), word(64n), word(32n), word(0n));
}

const RANGES = STAY.map((text) => {
  const prefix = parsePrefix(text)!;
  return { ...bitsOf(prefix.ip), len: prefix.len };
});

/** The IPv4 address in the last 32 bits of `::ffff:a.b.c.d` (RFC 4291) and `64:ff9b::a.b.c.d` (RFC 6052); null for all others. */
function embedded(ip: Ip): Ip | null {
  if (ip.v === 6 && ip.a === 0 && ip.b === 0 && ip.c === 0xffff) return ip4(ip.d);
  if (ip.v === 6 && ip.a === 0x0064_ff9b && ip.b === 0 && ip.c === 0) return ip4(ip.d);
  return null;
}

/** Whether the address is one that everybody may see: it says nothing of whose network it is. */
export function stays(ip: Ip): boolean {
  const inner = embedded(ip);
  if (inner !== null) return stays(inner);
  const { v, width, value } = bitsOf(ip);
  return RANGES.some(
    (range) => range.v === v && value >> BigInt(width - range.len) === range.value >> BigInt(width - range.len),
  );
}

/** Labels of RFC 6724's default policy table that source selection compares; an address must keep its own. */
const labelOf = (ip: Ip): string =>
  ip.v === 4
    ? ""
    : ip.a === 0x2001_0000
      ? "teredo"
      : ip.a >>> 16 === 0x2002
        ? "6to4"
        : ip.a >>> 16 === 0x3ffe
          ? "6bone"
          : "";

export class AddressMap {
  private readonly flips = new Map<string, boolean>();
  private readonly known = new Map<string, string>();

  /** The same key gives the same map. */
  constructor(private readonly key: string) {}

  private flip(v: 4 | 6, width: number, at: number, prefix: bigint): boolean {
    const name = `${v} ${at} ${prefix.toString(16)}`;
    let found = this.flips.get(name);
    if (found === undefined) {
      // Within what stays nothing moves; where something that stays begins with these bits, both halves keep their place.
      const fixed = RANGES.some((range) => {
        const shared = BigInt(Math.min(range.len, at));
        return range.v === v && range.value >> (BigInt(width) - shared) === prefix >> (BigInt(at) - shared);
      });
      found = !fixed && (sha256(utf8ToBytes(`${this.key} ${name}`))[0]! & 1) === 1;
      this.flips.set(name, found);
    }
    return found;
  }

  private mapped({ v, width, value }: Bits, len: number): Bits {
    let out = 0n;
    for (let at = 0; at < width; at++) {
      const bit = (value >> BigInt(width - 1 - at)) & 1n;
      const flip = at < len && this.flip(v, width, at, value >> BigInt(width - at));
      out = (out << 1n) | (flip ? bit ^ 1n : bit);
    }
    return { v, width, value: out };
  }

  /** The address that takes the place of `ip`; itself when it stays. */
  address(ip: Ip): Ip {
    const text = formatIp(ip);
    const known = this.known.get(text);
    if (known !== undefined) return parseIp(known)!;
    const inner = embedded(ip);
    let out: Ip;
    if (stays(ip)) out = ip;
    else if (inner !== null) out = ip6(ip.a, ip.b, ip.c, this.address(inner).a);
    else out = ipOf(this.mapped(bitsOf(ip), 128));
    this.known.set(text, formatIp(out));
    return out;
  }

  /** The range that takes the place of the first `len` bits of `ip`; the bits behind are zero. */
  prefix(ip: Ip, len: number): Ip {
    const inner = embedded(ip);
    if (inner !== null && len >= 96) {
      const low = this.prefix(inner, len - 96);
      return ip6(ip.a, ip.b, ip.c, low.a);
    }
    const bits = bitsOf(ip);
    const out = this.mapped(bits, len);
    const rest = BigInt(bits.width - len);
    return ipOf({ ...out, value: (out.value >> rest) << rest });
  }

  /**
   * First and last of what takes the place of all addresses from `from` to `to`; null when that is no longer one stretch, so that no range
   * can say it.
   */
  range(from: Ip, to: Ip): { from: Ip; to: Ip } | null {
    const [a, b] = [bitsOf(from), bitsOf(to)];
    if (a.v !== b.v || a.value > b.value) return null;
    const parts: { from: bigint; to: bigint }[] = [];
    let at = a.value;
    while (at <= b.value) {
      let host = 0;
      while (host < a.width && (at >> BigInt(host)) % 2n === 0n && at + (1n << BigInt(host + 1)) - 1n <= b.value)
        host++;
      const size = 1n << BigInt(host);
      const first = this.mapped({ ...a, value: at }, a.width - host).value;
      parts.push({ from: first, to: first + size - 1n });
      at += size;
    }
    parts.sort((x, y) => (x.from < y.from ? -1 : 1));
    for (let i = 1; i < parts.length; i++) if (parts[i - 1]!.to + 1n !== parts[i]!.from) return null;
    return { from: ipOf({ ...a, value: parts[0]!.from }), to: ipOf({ ...a, value: parts.at(-1)!.to }) };
  }

  /** Every address that was replaced, and by which. */
  replaced(): [string, string][] {
    return [...this.known].filter(([a, b]) => a !== b);
  }
}

/**
 * The map of `originals` by the first key made from `secret` that leads none of them to another of them, or to an address that source
 * selection treats otherwise.
 */
export function addressMapOf(originals: readonly string[], secret: string): AddressMap {
  const ips = originals.flatMap((text) => parseIp(text) ?? []).filter((ip) => !stays(ip));
  const taken = new Set(ips.map((ip) => formatIp(ip)));
  for (let attempt = 0; attempt < 64; attempt++) {
    const map = new AddressMap(`${secret} ${attempt}`);
    if (ips.every((ip) => fits(ip, map.address(ip), taken))) return map;
  }
  // Only a range that is nearly full of them can come here; some of its members then stand for each other.
  return new AddressMap(`${secret} 0`);
}

function fits(ip: Ip, to: Ip, taken: ReadonlySet<string>): boolean {
  return labelOf(ip) === labelOf(to) && !taken.has(formatIp(to));
}
