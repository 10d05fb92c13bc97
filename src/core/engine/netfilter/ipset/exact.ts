/** Sets whose elements are looked up whole: hash:ip, hash:ip,port, hash:ip,port,ip, hash:ip,mac, hash:ip,mark, hash:mac and the bitmaps. */
import type { Ip } from "../../../model/address.ts";
import type { IpSet, IpSetEntry } from "../../../model/ipset.ts";
import { TCP, UDP } from "../../packet.ts";
import { NO, YES } from "../program.ts";
import type { EvalState } from "../program.ts";
import { addressOf, macOf, masked, protoPortOf } from "./fields.ts";
import type { Directions } from "./fields.ts";
import type { Lookup } from "./lookup.ts";

type AddressKey = Ip["key"];

const found = (yes: boolean): number => (yes ? YES : NO);

/** Element by the key of its first address, then by a second part. */
function byAddress<T>(set: IpSet, mask: Ip | null, second: (e: IpSetEntry) => T | null): Map<AddressKey, Set<T>> {
  const map = new Map<AddressKey, Set<T>>();
  for (const e of set.entries) {
    const part = second(e);
    if (e.net === null || part === null) continue;
    const key = masked(e.net.ip, mask).key;
    let parts = map.get(key);
    if (parts === undefined) map.set(key, (parts = new Set()));
    parts.add(part);
  }
  return map;
}

const protoPort = (e: IpSetEntry): number | null =>
  e.proto === null || e.port === null ? null : e.proto * 65536 + e.port;

/** hash_ip4_kadt, hash_ip6_kadt, bitmap_ip_kadt. */
export function addresses(set: IpSet, mask: Ip | null): Lookup {
  const keys = new Set<AddressKey>();
  for (const e of set.entries) if (e.net !== null) keys.add(masked(e.net.ip, mask).key);
  return (s, dirs) => found(keys.has(masked(addressOf(s.pkt, dirs, 0), mask).key));
}

/** hash_ipport4_kadt, hash_ipport6_kadt. */
export function addressPorts(set: IpSet, mask: Ip | null): Lookup {
  const map = byAddress(set, mask, protoPort);
  return (s, dirs) => {
    const ports = map.get(masked(addressOf(s.pkt, dirs, 0), mask).key);
    return found(ports !== undefined && ports.has(protoPortOf(s.pkt, dirs, 1)));
  };
}

/** hash_ipportip4_kadt, hash_ipportip6_kadt. */
export function addressPortAddresses(set: IpSet): Lookup {
  const map = new Map<AddressKey, Map<number, Set<AddressKey>>>();
  for (const e of set.entries) {
    const port = protoPort(e);
    if (e.net === null || e.net2 === null || port === null) continue;
    let ports = map.get(e.net.ip.key);
    if (ports === undefined) map.set(e.net.ip.key, (ports = new Map()));
    let seconds = ports.get(port);
    if (seconds === undefined) ports.set(port, (seconds = new Set()));
    seconds.add(e.net2.ip.key);
  }
  return (s, dirs) => {
    const seconds = map.get(addressOf(s.pkt, dirs, 0).key)?.get(protoPortOf(s.pkt, dirs, 1));
    return found(seconds !== undefined && seconds.has(addressOf(s.pkt, dirs, 2).key));
  };
}

/** hash_ipmac4_kadt, hash_ipmac6_kadt. */
export function addressMacs(set: IpSet): Lookup {
  const map = byAddress(set, null, (e) => e.mac);
  return (s, dirs) => {
    const mac = macOf(s.pkt, dirs, 1);
    return found(mac !== null && map.get(addressOf(s.pkt, dirs, 0).key)?.has(mac) === true);
  };
}

/** bitmap_ipmac_kadt: an element without a MAC address takes that of the packet, and so matches (bitmap_ipmac_do_test: -EAGAIN). */
export function bitmapAddressMacs(set: IpSet): Lookup {
  const map = byAddress(set, null, (e) => e.mac ?? "");
  return (s: EvalState, dirs: Directions): number => {
    const mac = macOf(s.pkt, dirs, 1);
    const known = map.get(addressOf(s.pkt, dirs, 0).key);
    return found(mac !== null && known !== undefined && (known.has(mac) || known.has("")));
  };
}

/** hash_ipmark4_kadt, hash_ipmark6_kadt. */
export function addressMarks(set: IpSet): Lookup {
  const map = byAddress(set, null, (e) => e.mark);
  const markmask = set.markmask ?? 0xffffffff;
  return (s, dirs) => found(map.get(addressOf(s.pkt, dirs, 0).key)?.has((s.pkt.mark & markmask) >>> 0) === true);
}

/** hash_mac4_kadt. */
export function macs(set: IpSet): Lookup {
  const all = new Set<string>();
  for (const e of set.entries) if (e.mac !== null) all.add(e.mac);
  return (s, dirs) => {
    const mac = macOf(s.pkt, dirs, 0);
    return found(mac !== null && all.has(mac));
  };
}

/** bitmap_port_kadt: TCP and UDP alone (ip_set_get_ip_port of ip_set_bitmap_port.c). */
export function bitmapPorts(set: IpSet): Lookup {
  const ports = new Set<number>();
  for (const e of set.entries) if (e.port !== null) ports.add(e.port);
  return (s, dirs) => {
    const { pkt } = s;
    if ((pkt.proto !== TCP && pkt.proto !== UDP) || pkt.laterFragment) return NO;
    return found(ports.has((dirs & 1) !== 0 ? pkt.sport : pkt.dport));
  };
}
