/** What kind of address the routing tables make of an address (inet_addr_type, ipv6_addr_type with a route lookup). */
import type { Ip } from "../model/address.ts";
import type { Device } from "./device.ts";
import type { AddrType } from "./netfilter/context.ts";
import type { Ns } from "./ns.ts";

/** `dev`: only what is local on that device counts as local (inet_dev_addr_type). `"unknown"` where routes were not recorded. */
export function addrType(ns: Ns, ip: Ip, dev: Device | null): AddrType | "unknown" {
  if (ip.v === 4) {
    const w = ip.a >>> 0;
    // __inet_dev_addr_type: broadcast for zeronet and the limited broadcast, multicast by its prefix.
    if (w === 0xffffffff || w >>> 24 === 0) return "broadcast";
    if (w >>> 28 === 0xe) return "multicast";
    return inTable(ns, ip, dev);
  }
  if (ip.a >>> 24 === 0xff) return "multicast";
  if (ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 0) return "unspec";
  const r = ns
    .fib(6)
    .lookup({ dst: ip, src: null, iif: null, oif: null, mark: 0, tos: 0, proto: 0, sport: 0, dport: 0, uid: null });
  if (r.unknown !== null) return "unknown";
  if (r.error !== null) return "unreachable";
  const type = r.route!.type;
  if (type === "local" && dev !== null && ns.owner(ip) !== null && !dev.addresses.some((a) => a.ip.key === ip.key))
    return "unicast";
  return type;
}

/** The local table alone decides: whatever is not in it is unicast. */
function inTable(ns: Ns, ip: Ip, dev: Device | null): AddrType | "unknown" {
  const fib = ns.fib(4);
  if (fib.unknown !== null) return "unknown";
  const route = fib.inLocalTable(ip);
  if (route === null) return "unicast";
  if (dev === null || route.nexthops.some((nh) => nh.dev === dev.name)) return route.type;
  return "unicast";
}
