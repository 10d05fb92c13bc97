/** Address and port rewriting of connections (nf_nat_core.c). */
import { compareIp, ip4, ip6, maskWord, sameIp, type Ip } from "../model/address.ts";
import type { CtTuple } from "../model/conntrack.ts";
import type { Connection } from "./connection.ts";
import { findConnection, zoneId } from "./conntrack.ts";
import { jhash2, reciprocalScale } from "./jhash.ts";
import type { NatRequest } from "./netfilter/context.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";
import type { Run } from "./run.ts";
import { hasPorts, invertTuple, isIcmp } from "./tuple.ts";

export type Manip = "src" | "dst";

/** A word of an address as the kernel's little-endian machine reads the big-endian bytes. */
const raw = (w: number): number => ((w & 0xff) << 24) | ((w & 0xff00) << 8) | ((w >>> 8) & 0xff00) | (w >>> 24);

const words = (ip: Ip): number[] => (ip.v === 4 ? [ip.a, 0, 0, 0] : [ip.a, ip.b, ip.c, ip.d]);

/** find_best_ips_proto: the address of a range that this flow gets, by a hash without a secret. */
function pickAddress(tuple: CtTuple, min: Ip, max: Ip, persistent: boolean, zone: number): Ip {
  if (sameIp(min, max)) return min;
  const dst = words(tuple.dst).map(raw);
  const last = min.v === 4 ? 0 : 3;
  let j = jhash2(words(tuple.src).map(raw), persistent ? 0 : dst[last]! ^ zone);
  const lo = words(min);
  const hi = words(max);
  const out = [0, 0, 0, 0];
  let full = false;
  for (let i = 0; i <= last; i++) {
    const from = full ? 0 : lo[i]! >>> 0;
    const dist = full ? 0xffffffff : ((hi[i]! >>> 0) - from + 1) >>> 0;
    out[i] = (from + reciprocalScale(j, dist)) | 0;
    if (out[i] !== (hi[i]! | 0)) full = true;
    if (!persistent) j ^= dst[i]!;
  }
  return min.v === 4 ? ip4(out[0]!) : ip6(out[0]!, out[1]!, out[2]!, out[3]!);
}

/** xt_NETMAP and nft's prefix form: the network's bits from the target, the host's bits kept. */
function netmap(ip: Ip, to: { ip: Ip; len: number }): Ip {
  const mix = (w: number, t: number, i: number): number => (t & maskWord(to.len, i)) | (w & ~maskWord(to.len, i));
  return ip.v === 4
    ? ip4(mix(ip.a, to.ip.a, 0))
    : ip6(mix(ip.a, to.ip.a, 0), mix(ip.b, to.ip.b, 1), mix(ip.c, to.ip.c, 2), mix(ip.d, to.ip.d, 3));
}

/**
 * nf_nat_setup_info and get_unique_tuple: fixes how the connection is rewritten in one direction.
 * Returns false when no free tuple can be had for sure (then the kernel drops).
 */
export function setupNat(run: Run, ns: Ns, ct: Connection, req: NatRequest): boolean {
  if (req.min === null && req.netmap === null && req.minPort === null) return keepTuple(run, ns, ct, req);
  if (toOnePlace(ct, req)) return true;
  const current = invertTuple(ct.proto, ct.reply);
  const next = invertTuple(ct.proto, ct.reply);
  const src = req.manip === "src";
  if (req.netmap !== null) {
    if (src) next.src = netmap(current.src, req.netmap);
    else next.dst = netmap(current.dst, req.netmap);
  } else if (req.min !== null && req.max !== null) {
    const keep = src && !req.random && !req.randomFully && inRange(current.src, req.min, req.max);
    const ip = keep ? current.src : pickAddress(current, req.min, req.max, req.persistent, ct.zone);
    if (src) next.src = ip;
    else next.dst = ip;
  }
  // A port drawn at random is another one, although here the old number stands for it.
  const redrawn = (hasPorts(ct.proto) || isIcmp(ct.proto)) && choosePort(run, ns, ct, next, req);
  if (
    !sameIp(next.src, current.src) ||
    !sameIp(next.dst, current.dst) ||
    next.sport !== current.sport ||
    next.dport !== current.dport ||
    next.icmpId !== current.icmpId ||
    redrawn
  ) {
    ct.reply = invertTuple(ct.proto, next);
    if (src) ct.srcNat = true;
    else ct.dstNat = true;
  }
  if (src) ct.srcNatDone = true;
  else ct.dstNatDone = true;
  return true;
}

/** setupNat where one address and one port are asked for, as a new destination, of a protocol with ports: no choice is left. False where it is otherwise. */
function toOnePlace(ct: Connection, req: NatRequest): boolean {
  const { min, minPort } = req;
  if (req.manip !== "dst" || min === null || minPort === null || req.max !== min || req.maxPort !== minPort)
    return false;
  if (req.basePort !== null || req.netmap !== null || !hasPorts(ct.proto)) return false;
  const { reply } = ct;
  if (!sameIp(reply.src, min) || reply.sport !== minPort) {
    const { dst, dport, icmpType, icmpCode, icmpId } = reply;
    ct.reply = { src: min, dst, sport: minPort, dport, icmpType, icmpCode, icmpId };
    ct.dstNat = true;
  }
  ct.dstNatDone = true;
  return true;
}

/** setupNat where neither address nor port is asked for: the tuple stays, unless its source port must be another. */
function keepTuple(run: Run, ns: Ns, ct: Connection, req: NatRequest): boolean {
  const src = req.manip === "src";
  if (src) ct.srcNatDone = true;
  else ct.dstNatDone = true;
  if (!src && !isIcmp(ct.proto)) return true;
  if ((hasPorts(ct.proto) || isIcmp(ct.proto)) && (req.random || req.randomFully || taken(run, ns, ct, ct.reply))) {
    const next = invertTuple(ct.proto, ct.reply);
    draw(run, ns, ct, next);
    ct.reply = invertTuple(ct.proto, next);
    if (src) ct.srcNat = true;
    else ct.dstNat = true;
  }
  return true;
}

function inRange(ip: Ip, min: Ip, max: Ip): boolean {
  return ip.v === min.v && compareIp(ip, min) >= 0 && compareIp(ip, max) <= 0;
}

/** Whether another connection already answers to this reply (nf_conntrack_tuple_taken: as the zone of replies has it hashed). */
function taken(run: Run, ns: Ns, ct: Connection, reply: CtTuple): boolean {
  return findConnection(run, ns, ct.proto, reply, ct, ct, zoneId(ct, true)) !== null;
}

/** nf_nat_l4proto_unique_tuple as far as it can be told: true when the kernel draws a source port at random, which is then marked so. */
function choosePort(run: Run, ns: Ns, ct: Connection, next: CtTuple, req: NatRequest): boolean {
  const src = req.manip === "src";
  const icmp = isIcmp(ct.proto);
  if (!src && !icmp && req.minPort !== null && req.minPort === req.maxPort && req.basePort === null) {
    next.dport = req.minPort;
    return false;
  }
  const port = (): number => (icmp ? next.icmpId : src ? next.sport : next.dport);
  const set = (p: number): void => {
    if (icmp) next.icmpId = p;
    else if (src) next.sport = p;
    else next.dport = p;
  };
  const { minPort, maxPort } = req;
  if (minPort === null || maxPort === null) {
    // Without a range a destination port stays; a source port moves when asked to, or when its tuple is taken, and so does ICMP's id, which is both.
    if (!src && !icmp) return false;
    const clash = taken(run, ns, ct, invertTuple(ct.proto, next));
    if (!clash && !req.random && !req.randomFully) return false;
    draw(run, ns, ct, next);
    return true;
  }
  if (req.basePort !== null) {
    // NF_NAT_RANGE_PROTO_OFFSET: the distance from the base port is kept.
    set((minPort + ((port() - req.basePort) % (maxPort - minPort + 1))) & 0xffff);
    return false;
  }
  const inside = port() >= minPort && port() <= maxPort;
  if (
    !req.random &&
    !req.randomFully &&
    inside &&
    (minPort === maxPort || !taken(run, ns, ct, invertTuple(ct.proto, next)))
  )
    return false;
  if (minPort === maxPort) {
    if (src) ct.randomReply = false;
    set(minPort);
    return false;
  }
  if (!src) {
    set(
      minPort +
        run.chooseHashed(
          `${ns.place} dnat ports ${minPort}-${maxPort} ${next.dst.key}`,
          Array.from({ length: maxPort - minPort + 1 }, () => 1),
        ),
    );
    return false;
  }
  ct.randomReply = true;
  set(inside ? minPort + ((port() - minPort + 1) % (maxPort - minPort + 1)) : minPort);
  return true;
}

/** Puts a source port in that stands for one that the kernel draws: neither the packet's own nor one that is in use. */
function draw(run: Run, ns: Ns, ct: Connection, next: CtTuple): void {
  const icmp = isIcmp(ct.proto);
  let port = icmp ? next.icmpId : next.sport;
  for (let tries = 0; tries < 64; tries++) {
    port = port >= 65535 ? 1024 : port + 1;
    if (icmp) next.icmpId = port;
    else next.sport = port;
    if (!taken(run, ns, ct, invertTuple(ct.proto, next))) break;
  }
  ct.randomReply = true;
}

/** HOOK2MANIP: what a nat hook rewrites. */
export function manipOf(hook: "prerouting" | "input" | "output" | "postrouting"): Manip {
  return hook === "prerouting" || hook === "output" ? "dst" : "src";
}

/** Whether this packet is to be rewritten at a hook of this manip (nf_nat_packet). */
function applies(ct: Connection, manip: Manip, reply: boolean): boolean {
  return (manip === "src") !== reply ? ct.srcNat : ct.dstNat;
}

/** nf_nat_packet: rewrites the packet as its connection says. */
export function natPacket(pkt: Packet, manip: Manip): void {
  const ct = pkt.ct!;
  if (!applies(ct, manip, pkt.ctReply)) return;
  // What comes back to it is what it goes out as, turned round.
  const back = pkt.ctReply ? ct.orig : ct.reply;
  const icmp = isIcmp(pkt.proto);
  if (manip === "src") {
    pkt.src = back.dst;
    if (!icmp) pkt.sport = back.dport;
    if (!pkt.ctReply) pkt.randomSport = ct.randomReply;
  } else {
    pkt.dst = back.src;
    if (!icmp) pkt.dport = back.sport;
    if (pkt.ctReply) pkt.randomDport = ct.randomOrig;
  }
  if (icmp) pkt.icmpId = back.icmpId;
}

/** nf_nat_icmp_reply_translation: an ICMP error is rewritten outside as a reply would be, inside the other way round. */
export function natIcmpError(pkt: Packet, manip: Manip): void {
  const ct = pkt.ct!;
  if (!applies(ct, manip, pkt.ctReply)) return;
  const other = pkt.ctReply ? ct.orig : ct.reply;
  const inside = pkt.about!;
  // Inside: the opposite manip with the other direction's own tuple.
  if (manip === "src") {
    inside.dst = other.dst;
    if (hasPorts(inside.proto)) inside.dport = other.dport;
  } else {
    inside.src = other.src;
    if (hasPorts(inside.proto)) inside.sport = other.sport;
  }
  if (isIcmp(inside.proto)) inside.icmpId = other.icmpId;
  const target = invertTuple(ct.proto, other);
  if (manip === "src") pkt.src = target.src;
  else pkt.dst = target.dst;
}
