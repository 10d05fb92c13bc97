/**
 * Sets with networks. A packet's address is looked up under every prefix length of the set, the longest first, and the first
 * element found decides: it may be a `nomatch` (mtype_test_cidrs of ip_set_hash_gen.h).
 */
import type { IpSet, IpSetEntry } from "../../../model/ipset.ts";
import { PrefixMap } from "../prefix-map.ts";
import { MAYBE, NO, YES } from "../program.ts";
import { addressOf, deviceOf, masked, protoPortOf } from "./fields.ts";
import { EXCLUDED } from "./lookup.ts";
import type { Lookup } from "./lookup.ts";
import type { Ip, Prefix } from "../../../model/address.ts";

const answer = (e: IpSetEntry): number => (e.nomatch ? EXCLUDED : YES);
const NOTHING: readonly IpSetEntry[] = [];
const protoPort = (e: IpSetEntry): number => (e.proto ?? 0) * 65536 + (e.port ?? 0);

function under<T>(map: PrefixMap<T>, prefix: Prefix, make: () => T): T {
  let value = map.at(prefix.ip, prefix.len);
  if (value === undefined) map.set(prefix, (value = make()));
  return value;
}

/** hash_net4_kadt, hash_net6_kadt. */
export function networks(set: IpSet): Lookup {
  const map = new PrefixMap<number>();
  for (const e of set.entries) if (e.net !== null) map.set(e.net, answer(e));
  return (s, dirs) => map.longest(addressOf(s.pkt, dirs, 0)) ?? NO;
}

/** hash_netport4_kadt, hash_netport6_kadt. */
export function networkPorts(set: IpSet): Lookup {
  const map = new PrefixMap<Map<number, number>>();
  for (const e of set.entries) {
    if (e.net !== null) under(map, e.net, () => new Map<number, number>()).set(protoPort(e), answer(e));
  }
  return (s, dirs) => {
    const ip = addressOf(s.pkt, dirs, 0);
    const port = protoPortOf(s.pkt, dirs, 1);
    const lengths = map.lengths(ip);
    for (let i = 0; i < lengths; i++) {
      const found = map.nth(ip, i)?.get(port);
      if (found !== undefined) return found;
    }
    return NO;
  };
}

/** hash_ipportnet4_kadt, hash_ipportnet6_kadt: only the last part is a network. */
export function addressPortNetworks(set: IpSet): Lookup {
  const map = new Map<Ip["key"], Map<number, PrefixMap<number>>>();
  for (const e of set.entries) {
    if (e.net === null || e.net2 === null) continue;
    let ports = map.get(e.net.ip.key);
    if (ports === undefined) map.set(e.net.ip.key, (ports = new Map()));
    let nets = ports.get(protoPort(e));
    if (nets === undefined) ports.set(protoPort(e), (nets = new PrefixMap()));
    nets.set(e.net2, answer(e));
  }
  return (s, dirs) =>
    map
      .get(addressOf(s.pkt, dirs, 0).key)
      ?.get(protoPortOf(s.pkt, dirs, 1))
      ?.longest(addressOf(s.pkt, dirs, 2)) ?? NO;
}

/** hash_netnet4_kadt, hash_netnet6_kadt: lengths of the first network outside, of the second inside. */
export function networkPairs(set: IpSet, mask: Ip | null): Lookup {
  const map = new PrefixMap<PrefixMap<number>>();
  for (const e of set.entries) {
    if (e.net !== null && e.net2 !== null) under(map, e.net, () => new PrefixMap<number>()).set(e.net2, answer(e));
  }
  return (s, dirs) => {
    const ip = masked(addressOf(s.pkt, dirs, 0), mask);
    const ip2 = masked(addressOf(s.pkt, dirs, 1), mask);
    const lengths = map.lengths(ip);
    for (let i = 0; i < lengths; i++) {
      const found = map.nth(ip, i)?.longest(ip2);
      if (found !== undefined) return found;
    }
    return NO;
  };
}

/** hash_netportnet4_kadt, hash_netportnet6_kadt. */
export function networkPortNetworks(set: IpSet): Lookup {
  const map = new PrefixMap<Map<number, PrefixMap<number>>>();
  for (const e of set.entries) {
    if (e.net === null || e.net2 === null) continue;
    const ports = under(map, e.net, () => new Map<number, PrefixMap<number>>());
    let nets = ports.get(protoPort(e));
    if (nets === undefined) ports.set(protoPort(e), (nets = new PrefixMap()));
    nets.set(e.net2, answer(e));
  }
  return (s, dirs) => {
    const ip = addressOf(s.pkt, dirs, 0);
    const ip2 = addressOf(s.pkt, dirs, 2);
    const port = protoPortOf(s.pkt, dirs, 1);
    const lengths = map.lengths(ip);
    for (let i = 0; i < lengths; i++) {
      const found = map.nth(ip, i)?.get(port)?.longest(ip2);
      if (found !== undefined) return found;
    }
    return NO;
  };
}

/**
 * hash_netiface4_kadt, hash_netiface6_kadt. Elements of one network share a hash bucket (IP_SET_HASH_WITH_MULTI): once a
 * network is found the walk over lengths ends there, whether or not one of its interfaces fits.
 */
export function networkInterfaces(set: IpSet): Lookup {
  const map = new PrefixMap<IpSetEntry[]>();
  const ports = new PrefixMap<true>();
  for (const e of set.entries) {
    if (e.net === null || e.iface === null) continue;
    // iptables never sets IPSET_FLAG_PHYSDEV: bridge ports are asked for by other callers only, and hash apart from these.
    if (e.physdev) ports.set(e.net, true);
    else under(map, e.net, () => []).push(e);
  }
  return (s, dirs) => {
    const name = deviceOf(s, dirs, 1);
    if (name === "") return NO;
    const ip = addressOf(s.pkt, dirs, 0);
    const found = map.longest(ip) ?? NOTHING;
    for (let i = 0; i < found.length; i++) {
      const e = found[i]!;
      if (e.wildcard ? name.startsWith(e.iface!) : name === e.iface) return answer(e);
    }
    if (ports.size > 0 && s.bridged && ports.longest(ip) !== undefined) {
      s.why = `bridge ports in the set ${set.name} are not modelled`;
      return MAYBE;
    }
    return NO;
  };
}
