/** Anonymous sets of prefixes as nft keeps them: sorted, what overlaps or touches merged (nftables src/segtree.c, auto-merge). */
import { formatIp, parsePrefix } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import { addressOf, numberOf, sizeOf, width } from "../calico/ipam/range.ts";
import { prefixValue } from "./nft-exprs.ts";

interface Interval {
  first: bigint;
  last: bigint;
}

function toInterval(cidr: string): Interval & { family: 4 | 6 } {
  const prefix = parsePrefix(cidr);
  if (prefix === null) throw new Error(`${cidr} is no prefix`);
  const first = numberOf(prefix.ip);
  return { first, last: first + sizeOf(prefix) - 1n, family: prefix.ip.v };
}

/** An interval as an address, a prefix when it is just one, else a range. */
function intervalValue({ first, last }: Interval, family: 4 | 6): NftJson {
  const size = last - first + 1n;
  const text = (value: bigint): string => formatIp(addressOf(value, family));
  const addr = text(first);
  if ((size & (size - 1n)) !== 0n || (first & (size - 1n)) !== 0n) return { range: [addr, text(last)] };
  const len = width(family) - (size.toString(2).length - 1);
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
  const family = intervals[0]?.family ?? 4;
  if (members.length === 1) return only.includes("/") ? prefixValue(only) : only;
  const merges = members.some((member) => member.includes("/"));
  const merged: Interval[] = [];
  for (const { first, last } of intervals) {
    const before = merged.at(-1);
    if (before !== undefined && (merges ? first <= before.last + 1n : first === before.first)) {
      if (last > before.last) before.last = last;
    } else merged.push({ first, last });
  }
  return { set: merged.map((interval) => intervalValue(interval, family)) };
}
