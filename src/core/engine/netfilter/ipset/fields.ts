/** What a set asks of a packet: addresses, ports, devices and MAC addresses by dimension (`--match-set NAME src,dst`). */
import { ip4, ip6 } from "../../../model/address.ts";
import type { Ip } from "../../../model/address.ts";
import type { SetDir } from "../../../model/xtables.ts";
import { ICMP, IPV6_ICMP, SCTP, TCP, UDP } from "../../packet.ts";
import type { Packet } from "../../packet.ts";
import type { EvalState } from "../program.ts";

const UDPLITE = 136;

/** How a rule asks a set: bit i of the low byte set where direction i+1 is `src` (IPSET_DIM_ONE_SRC …), the number of directions above, then options. */
export type Directions = number;

/** `--return-nomatch`: an element marked `nomatch` matches, others do not. */
export const RETURN_NOMATCH = 1 << 16;

/** The directions of a rule's `--match-set NAME src,dst`. */
export function directions(dirs: readonly SetDir[], returnNomatch: boolean): Directions {
  let bits = dirs.length << 8;
  dirs.forEach((dir, i) => {
    if (dir === "src") bits |= 1 << i;
  });
  return returnNomatch ? bits | RETURN_NOMATCH : bits;
}

/** How many directions the rule gives. */
export function directionCount(dirs: Directions): number {
  return (dirs >>> 8) & 0xff;
}

/** `ip4addr`, `ip6addr` (ip_set.h): the address of dimension `i`, from 0. */
export function addressOf(pkt: Packet, dirs: Directions, i: number): Ip {
  return (dirs & (1 << i)) !== 0 ? pkt.src : pkt.dst;
}

/**
 * Protocol and port as one number, protocol × 65536 + port: ip_set_get_ip4_port and ip_set_get_ip6_port (ip_set_getport.c).
 * ICMP's port is type × 256 + code, that of protocols without ports 0. -1 when there is none (later fragments).
 */
export function protoPortOf(pkt: Packet, dirs: Directions, i: number): number {
  const proto = pkt.proto;
  switch (proto) {
    case TCP:
    case UDP:
    case SCTP:
    case UDPLITE:
      if (pkt.laterFragment) return -1;
      return proto * 65536 + ((dirs & (1 << i)) !== 0 ? pkt.sport : pkt.dport);
    case ICMP:
    case IPV6_ICMP:
      if (pkt.laterFragment) return -1;
      return proto * 65536 + pkt.icmpType * 256 + pkt.icmpCode;
    default:
      return proto * 65536;
  }
}

/** The frame's MAC address of dimension `i`; null before it has a frame. All zeros count as none (hash_mac4_kadt). */
export function macOf(pkt: Packet, dirs: Directions, i: number): string | null {
  const mac = (dirs & (1 << i)) !== 0 ? pkt.macSrc : pkt.macDst;
  return mac === null || mac === "00:00:00:00:00:00" ? null : mac.toLowerCase();
}

/** Name of the device of dimension `i` (hash_netiface4_kadt): incoming for src, outgoing for dst; empty when there is none. */
export function deviceOf(s: EvalState, dirs: Directions, i: number): string {
  return ((dirs & (1 << i)) !== 0 ? s.iif?.name : s.oif?.name) ?? "";
}

/** The address with every bit outside `mask` cleared; `ip` itself without a mask. */
export function masked(ip: Ip, mask: Ip | null): Ip {
  if (mask === null) return ip;
  return ip.v === 4 ? ip4(ip.a & mask.a) : ip6(ip.a & mask.a, ip.b & mask.b, ip.c & mask.c, ip.d & mask.d);
}
