/**
 * The CNI plugin host-local: addresses of a node's own ranges, given out round and round after the one given last
 * (containernetworking/plugins, plugins/ipam/host-local/backend/allocator). Never changed in place.
 */
import { compareIp, formatIp, inPrefix, type Ip, type Prefix } from "../../../model/address.ts";
import { addressOf, numberOf } from "./range.ts";

/** Consecutive addresses, both ends given out. */
export interface LocalRange {
  prefix: Prefix;
  first: Ip;
  last: Ip;
  /** Given to nobody. */
  gateway: Ip;
}

/** Ranges that stand in for each other: a pod gets one address of every set. */
export interface RangeSet {
  ranges: readonly LocalRange[];
  /** The address that was given out last (last_reserved_ip.N); null when none was. */
  last: Ip | null;
}

export interface LocalState {
  node: string;
  /** Name of the CNI network, which is that of the folder under /var/lib/cni/networks. */
  network: string;
  sets: readonly RangeSet[];
  /** Who holds each address that is given out: container and device as in its file. */
  taken: ReadonlyMap<string, { container: string; device: string | null }>;
}

const atLeast = (x: Ip, y: Ip): boolean => compareIp(x, y) >= 0;
const holds = (range: LocalRange, ip: Ip): boolean =>
  inPrefix(ip, range.prefix) && atLeast(ip, range.first) && atLeast(range.last, ip);

/** How many addresses the set can give out in all. */
export function localSize(set: RangeSet): bigint {
  return set.ranges.reduce((sum, range) => {
    const gateway = holds(range, range.gateway) ? 1n : 0n;
    return sum + numberOf(range.last) - numberOf(range.first) + 1n - gateway;
  }, 0n);
}

/** Whether the address is one of the set's. */
export function inSet(set: RangeSet, ip: Ip): boolean {
  return set.ranges.some((range) => holds(range, ip));
}

/** The addresses of the set in the order in which they are tried, each once, gateways left out. */
function* candidates(set: RangeSet): Generator<Ip> {
  const { ranges, last } = set;
  const found = last === null ? -1 : ranges.findIndex((range) => holds(range, last));
  let index = Math.max(found, 0);
  let current = found < 0 ? null : last;
  let start: Ip | null = null;
  for (;;) {
    let range = ranges[index];
    if (range === undefined) return;
    if (current === null) current = range.first;
    else if (compareIp(current, range.last) === 0) {
      index = (index + 1) % ranges.length;
      range = ranges[index]!;
      current = range.first;
    } else current = addressOf(numberOf(current) + 1n, current.v);
    if (start === null) start = current;
    else if (compareIp(current, start) === 0) return;
    if (compareIp(current, range.gateway) !== 0) yield current;
  }
}

/** The address of the set of this place that the next pod gets, and the state afterwards; null when every one is taken. */
export function nextLocal(state: LocalState, place: number): { address: string | null; state: LocalState } {
  const set = state.sets[place];
  if (set === undefined) return { address: null, state };
  for (const ip of candidates(set)) {
    const address = formatIp(ip);
    if (state.taken.has(address)) continue;
    const taken = new Map(state.taken).set(address, { container: "", device: null });
    const sets = state.sets.map((each, i) => (i === place ? { ...each, last: ip } : each));
    return { address, state: { ...state, taken, sets } };
  }
  return { address: null, state };
}

/** The state when the address is given back: it is free, and where the search goes on stays as it is. */
export function releaseLocal(state: LocalState, address: string): LocalState {
  const taken = new Map(state.taken);
  taken.delete(address);
  return { ...state, taken };
}
