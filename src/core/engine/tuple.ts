/** Conntrack tuples: made from packets, turned round, compared. */
import { formatIp, sameIp } from "../model/address.ts";
import type { CtTuple } from "../model/conntrack.ts";
import type { StepTuple } from "../model/walk.ts";
import { ICMP, IPV6_ICMP, SCTP, TCP, UDP, type Packet } from "./packet.ts";

/** Protocols whose tuples have ports (nf_ct_get_tuple). UDP-Lite and DCCP too. */
export function hasPorts(proto: number): boolean {
  return proto === TCP || proto === UDP || proto === SCTP || proto === 33 || proto === 136;
}

export function isIcmp(proto: number): boolean {
  return proto === ICMP || proto === IPV6_ICMP;
}

/** ICMP types that come in pairs (icmp_invmap of nf_conntrack_proto_icmp.c and its IPv6 twin); -1 for those that do not. */
export function invertIcmpType(proto: number, type: number): number {
  if (proto === IPV6_ICMP)
    return type === 128 ? 129 : type === 129 ? 128 : type === 139 ? 140 : type === 140 ? 139 : -1;
  switch (type) {
    case 8:
      return 0;
    case 0:
      return 8;
    case 13:
      return 14;
    case 14:
      return 13;
    case 15:
      return 16;
    case 16:
      return 15;
    case 17:
      return 18;
    case 18:
      return 17;
    default:
      return -1;
  }
}

/** Whether an ICMP message is an error, which carries the packet that it complains of. */
export function isIcmpError(pkt: Packet): boolean {
  if (pkt.proto === ICMP)
    return pkt.icmpType === 3 || pkt.icmpType === 4 || pkt.icmpType === 5 || pkt.icmpType === 11 || pkt.icmpType === 12;
  return pkt.proto === IPV6_ICMP && pkt.icmpType < 128;
}

export function tupleOf(pkt: Packet): CtTuple {
  return {
    src: pkt.src,
    dst: pkt.dst,
    sport: pkt.sport,
    dport: pkt.dport,
    icmpType: pkt.icmpType,
    icmpCode: pkt.icmpCode,
    icmpId: pkt.icmpId,
  };
}

export function invertTuple(proto: number, t: CtTuple): CtTuple {
  return {
    src: t.dst,
    dst: t.src,
    sport: t.dport,
    dport: t.sport,
    icmpType: isIcmp(proto) ? invertIcmpType(proto, t.icmpType) : t.icmpType,
    icmpCode: t.icmpCode,
    icmpId: t.icmpId,
  };
}

export function sameTuple(proto: number, x: CtTuple, y: CtTuple): boolean {
  if (!sameIp(x.src, y.src) || !sameIp(x.dst, y.dst)) return false;
  if (isIcmp(proto)) return x.icmpType === y.icmpType && x.icmpCode === y.icmpCode && x.icmpId === y.icmpId;
  return x.sport === y.sport && x.dport === y.dport;
}

/** As a step shows it. `randomPort`: the destination port of the reply is the kernel's choice and left out. */
export function stepTuple(proto: number, t: CtTuple, without: { sport?: boolean; dport?: boolean } = {}): StepTuple {
  const out: StepTuple = { src: formatIp(t.src), dst: formatIp(t.dst) };
  if (isIcmp(proto)) return { ...out, icmpType: t.icmpType, icmpCode: t.icmpCode, icmpId: t.icmpId };
  if (hasPorts(proto)) {
    if (!without.sport) out.sport = t.sport;
    if (!without.dport) out.dport = t.dport;
  }
  return out;
}
