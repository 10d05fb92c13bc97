/** Packets that answer another: ICMP errors, resets, and what a server sends back. */
import { formatIp, ip4, ip6, type Ip } from "../model/address.ts";
import { addrType } from "./address-type.ts";
import type { Device } from "./device.ts";
import type { FrameFate, IcmpError } from "./fate.ts";
import type { Ns } from "./ns.ts";
import { defaultTtl, routeAgain, sendFrom } from "./output.ts";
import { ACK, ICMP, IPV6_ICMP, Packet, RST, SYN, TCP } from "./packet.ts";
import type { Run } from "./run.ts";
import { ipv6SelectAddr } from "./source-address.ts";
import { transmit } from "./transmit.ts";
import { invertIcmpType, isIcmp, isIcmpError } from "./tuple.ts";

/** nf_conntrack_attach: what a packet causes belongs to its connection, in the other direction. */
function attach(reply: Packet, cause: Packet): void {
  if (cause.ct === null) {
    // IP_CT_UNTRACKED turns into IP_CT_RELATED without a connection: conntrack looks at the packet as at any other.
    if (cause.ctInfo === "untracked") reply.orphan = true;
    return;
  }
  reply.ct = cause.ct;
  reply.ctReply = !cause.ctReply;
  reply.ctInfo = "related";
}

/** fwmark_reflect: the mark of the kernel's own answer is that of what it answers, or none (IP4_REPLY_MARK, IP6_REPLY_MARK). */
export function reflectedMark(ns: Ns, cause: Packet): number {
  return (ns.sysctl(`net.ipv${cause.v}.fwmark_reflect`) ?? 0) !== 0 ? cause.mark : 0;
}

/** Whether an ICMP error may be sent about this packet at all (RFC 1122 §3.2.2, icmp_send). */
export function mayComplain(pkt: Packet): boolean {
  if (isIcmp(pkt.proto) && isIcmpError(pkt)) return false;
  return pkt.type !== "broadcast" && pkt.type !== "multicast" && !pkt.laterFragment;
}

/** icmp_send, icmp6_send: an error about `pkt` leaves `ns` for its source. */
export function sendIcmpError(run: Run, ns: Ns, pkt: Packet, error: IcmpError): FrameFate {
  // The packet's own destination is the source where it is an address of this machine, else routing chooses.
  // icmp_send asks the route, icmp6_send the devices (ipv6_chk_addr_and_flags, ipv6_chk_acast_addr_src).
  const local =
    pkt.v === 4
      ? addrType(ns, pkt.dst, null) === "local"
      : ns.owner(pkt.dst) !== null || addrType(ns, pkt.dst, null) === "anycast";
  const none = pkt.v === 4 ? ip4(0) : ip6(0, 0, 0, 0);
  const e = new Packet(pkt.v, local ? pkt.dst : none, pkt.src, pkt.v === 4 ? ICMP : IPV6_ICMP);
  e.icmpType = error.type;
  e.icmpCode = error.code;
  e.about = pkt.clone();
  e.about.ct = null;
  e.about.inner = null;
  e.answer = true;
  e.socket = "kernel";
  e.df = false;
  e.layer = pkt.layer;
  e.length = pkt.v === 4 ? Math.min(576, pkt.length + 28) : Math.min(1280, pkt.length + 48);
  e.exactLength = pkt.exactLength;
  e.mark = reflectedMark(ns, pkt);
  e.tos = pkt.v === 4 ? (pkt.tos & 0x1e) | 0xc0 : 0;
  attach(e, pkt);
  return sendFrom(run, ns, e, {
    fixedSource: local ? pkt.dst : pkt.v === 6 ? meaningfulSource(ns, pkt) : null,
    once: true,
  });
}

/** icmp6_send: the source of an error is an address of the device that the packet came by, but where the way back has a preferred one (icmpv6_rt_has_prefsrc). */
function meaningfulSource(ns: Ns, pkt: Packet): Ip | null {
  if (pkt.cameBy === null) return null;
  const back = ns.fib(6).lookup({
    dst: pkt.src,
    src: null,
    iif: null,
    oif: null,
    mark: reflectedMark(ns, pkt),
    tos: 0,
    proto: IPV6_ICMP,
    sport: 0,
    dport: 0,
    uid: 0,
  });
  return back.error === null && back.route?.prefSrc ? null : ipv6SelectAddr(ns, pkt.cameBy, pkt.src);
}

/**
 * nf_send_reset, nf_send_reset6: a RST in the name of the packet's destination. That of a bridged packet leaves at once by the port
 * that this came by, between the same two MACs: no rule sees it, and the route only has to be there.
 */
export function sendReset(run: Run, ns: Ns, pkt: Packet, port: Device | null): FrameFate {
  const r = resetTo(pkt);
  r.mark = reflectedMark(ns, pkt);
  attach(r, pkt);
  if (port === null) return sendFrom(run, ns, r, { fixedSource: pkt.dst, anySource: true });
  const routed = routeAgain(run, ns, r);
  if ("t" in routed) return routed;
  r.ttl = defaultTtl(ns, r.v, routed.hop.dev);
  r.macSrc = pkt.macDst;
  r.macDst = pkt.macSrc;
  return transmit(run, port, r);
}

/** The RST that a segment gets where nobody takes it. */
export function resetTo(pkt: Packet): Packet {
  const r = answerTo(pkt);
  r.tcpFlags = RST | ACK;
  r.length = BARE_TCP[pkt.v];
  return r;
}

/** Bytes of a segment without options or data: a RST's. */
const BARE_TCP = { 4: 40, 6: 60 } as const;

/**
 * A packet back to the sender of `pkt`, from where it was sent to: for TCP the second of a handshake, for others one of
 * the same length, which is what an echo reply has. Other flags and lengths are the caller's to set.
 */
export function answerTo(pkt: Packet): Packet {
  const r = new Packet(pkt.v, pkt.dst, pkt.src, pkt.proto);
  r.sport = pkt.dport;
  r.dport = pkt.sport;
  r.randomDport = pkt.randomSport;
  r.icmpId = pkt.icmpId;
  r.icmpType = isIcmp(pkt.proto) ? invertIcmpType(pkt.proto, pkt.icmpType) : 0;
  r.answer = true;
  r.tcpFlags = pkt.proto === TCP ? SYN | ACK : 0;
  r.length = pkt.proto === TCP ? BARE_TCP[pkt.v] + 20 : pkt.length;
  return r;
}

/** What errno an ICMP error becomes for the program whose packet it is about, and whether it ends a connected datagram socket's wait. */
export function errnoOf(
  v: 4 | 6,
  type: number,
  code: number,
): {
  errno: "refused" | "host-unreachable" | "network-unreachable" | "prohibited" | "too-big" | "other";
  hard: boolean;
} | null {
  if (v === 4) {
    if (type === 11) return { errno: "host-unreachable", hard: false }; // ICMP_TIME_EXCEEDED: EHOSTUNREACH
    if (type === 12) return { errno: "other", hard: true };
    if (type !== 3) return null;
    // icmp_err_convert of net/ipv4/icmp.c
    switch (code) {
      case 0:
        return { errno: "network-unreachable", hard: false };
      case 1:
        return { errno: "host-unreachable", hard: false };
      case 2:
        return { errno: "other", hard: true };
      case 3:
        return { errno: "refused", hard: true };
      case 4:
        return { errno: "too-big", hard: false };
      case 6:
      case 9:
        return { errno: "network-unreachable", hard: true };
      case 10:
      case 13:
      case 14:
      case 15:
        return { errno: "host-unreachable", hard: true };
      case 11:
        return { errno: "network-unreachable", hard: false };
      case 12:
        return { errno: "host-unreachable", hard: false };
      default:
        return { errno: "other", hard: true };
    }
  }
  // icmpv6_err_convert of net/ipv6/icmp.c
  if (type === 1) {
    switch (code) {
      case 0:
        return { errno: "network-unreachable", hard: false };
      case 1:
        return { errno: "prohibited", hard: true };
      case 2:
      case 3:
        return { errno: "host-unreachable", hard: false };
      case 4:
        return { errno: "refused", hard: true };
      case 5:
      case 6:
        return { errno: "prohibited", hard: true };
      default:
        return { errno: "other", hard: true };
    }
  }
  if (type === 2) return { errno: "too-big", hard: false };
  if (type === 3) return { errno: "host-unreachable", hard: false };
  return null;
}

export function endpointText(pkt: Packet): string {
  const ip = pkt.src.v === 6 ? `[${formatIp(pkt.src)}]` : formatIp(pkt.src);
  return pkt.sport > 0 ? `${ip}:${pkt.sport}` : ip;
}
