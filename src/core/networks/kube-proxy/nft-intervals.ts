/** Anonymous sets of prefixes as nft keeps them: sorted, what overlaps or touches merged (nftables src/segtree.c, auto-merge). */
import { formatIp, ip4, ip6, parsePrefix } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import { prefixValue } from "./nft-exprs.ts";

interface Interval {
  first: bigint;
  last: bigint;
}

function toInterval(cidr: string): Interval & { bits: number } {
  const prefix = parsePrefix(cidr);
  if (prefix === null) throw new Error(`${cidr} is no prefix`);
  const { ip, len } = prefix;
  const words = ip.v === 4 ? [ip.a] : [ip.a, ip.b, ip.c, ip.d];
  const bits = words.length * 32;
  const first = words.reduce((sum, word) => (sum << 32n) | BigInt(word >>> 0), 0n);
  return { first, last: first + (1n << BigInt(bits - len)) - 1n, bits };
}

function addressText(value: bigint, bits: number): string {
  const word = (shift: number): number => Number((value >> BigInt(shift)) & 0xffffffffn) | 0;
  return formatIp(bits === 32 ? ip4(word(0)) : ip6(word(96), word(64), word(32), word(0)));
}

/** An interval as an address, a prefix when it is just one, else a range. */
function intervalValue({ first, last }: Interval, bits: number): NftJson {
  const size = last - first + 1n;
  const addr = addressText(first, bits);
  if ((size & (size - 1n)) !== 0n || (first & (size - 1n)) !== 0n) return { range: [addr, addressText(last, bits)] };
  const len = bits - (size.toString(2).length - 1);
  return prefixValue(`${addr}/${len}`);
}

/**
 * What nft makes of `{ CIDR, CIDR, … }` in a rule: the value itself when there is just one, else a set. Members are prefixes with
 * their lengths or bare addresses of one family; a set of bare addresses alone is left as it is.
 * Throws when one is neither.
 */
export function prefixesValue(members: readonly string[]): NftJson {
  const [only] = members;
  if (only === undefined) return { set: [] };
  const intervals = members.map(toInterval).toSorted((x, y) => (x.first < y.first ? -1 : x.first > y.first ? 1 : 0));
  const bits = intervals[0]?.bits ?? 32;
  if (members.length === 1) return only.includes("/") ? prefixValue(only) : only;
  const merges = members.some((member) => member.includes("/"));
  const merged: Interval[] = [];
  for (const { first, last } of intervals) {
    const before = merged.at(-1);
    if (before !== undefined && (merges ? first <= before.last + 1n : first === before.first)) {
      if (last > before.last) before.last = last;
    } else merged.push({ first, last });
  }
  return { set: merged.map((interval) => intervalValue(interval, bits)) };
}
