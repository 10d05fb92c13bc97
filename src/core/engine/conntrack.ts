/** Connection tracking: which connection a packet belongs to, and when an entry stays (nf_conntrack_core.c). */
import { sameIp } from "../model/address.ts";
import type { CtEntry, CtTuple } from "../model/conntrack.ts";
import type { Connection } from "./connection.ts";
import type { Fate } from "./fate.ts";
import { tupleHash, type Ns } from "./ns.ts";
import { ACK, FIN, RST, SYN, TCP, UDP, type Packet } from "./packet.ts";
import type { Run } from "./run.ts";
import { invertIcmpType, invertTuple, isIcmp, isIcmpError, sameTuple, stepTuple, tupleOf } from "./tuple.ts";

interface Found {
  ct: Connection;
  reply: boolean;
}

const PROTO_NAMES: Record<number, string> = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp" };
export const protoName = (proto: number): string => PROTO_NAMES[proto] ?? String(proto);

function fromEntry(e: CtEntry): Connection {
  const inverse = invertTuple(e.proto, e.reply);
  const snat = !sameIp(inverse.src, e.orig.src) || inverse.sport !== e.orig.sport;
  const dnat = !sameIp(inverse.dst, e.orig.dst) || inverse.dport !== e.orig.dport;
  return {
    v: e.family,
    proto: e.proto,
    orig: e.orig,
    reply: e.reply,
    zone: e.zone !== 0 ? e.zone : e.zoneOrig !== 0 ? e.zoneOrig : e.zoneReply,
    zoneDir: e.zone !== 0 || (e.zoneOrig === 0 && e.zoneReply === 0) ? "both" : e.zoneOrig !== 0 ? "orig" : "reply",
    mark: e.mark,
    seenReply: !e.status.includes("UNREPLIED"),
    assured: e.status.includes("ASSURED"),
    confirmed: true,
    srcNat: snat,
    dstNat: dnat,
    srcNatDone: true,
    dstNatDone: true,
    expected: false,
    helper: e.helper,
    state: e.state,
    source: e.source,
    randomOrig: false,
    randomReply: false,
  };
}

/** A zone as packets and connections carry it. */
export type Zone = Pick<Connection, "zone" | "zoneDir">;

/** nf_ct_zone_id: the number that counts in one direction. */
export function zoneId(z: Zone, reply: boolean): number {
  return z.zoneDir === "both" || (z.zoneDir === "reply") === reply ? z.zone : 0;
}

/**
 * nf_conntrack_find_get: the connection that has this tuple in this zone, in either direction. Entries of the snapshot count.
 * `except` is not looked at. `hashed`: only where the tuple is hashed with this zone's number (hash_conntrack); null: wherever it is.
 */
export function findConnection(
  run: Run,
  ns: Ns,
  proto: number,
  tuple: CtTuple,
  zone: Zone,
  except: Connection | null = null,
  hashed: number | null = null,
): Found | null {
  const there = zoneId(zone, false);
  const back = zoneId(zone, true);
  const inOrig = hashed === null || there === hashed;
  const inReply = hashed === null || back === hashed;
  for (let t = run.tracked; t !== null; t = t.next) {
    const { ct } = t;
    if (t.ns !== ns || ct.proto !== proto || ct === except) continue;
    if (inOrig && zoneId(ct, false) === there && sameTuple(proto, ct.orig, tuple)) return { ct, reply: false };
    if (inReply && zoneId(ct, true) === back && sameTuple(proto, ct.reply, tuple)) return { ct, reply: true };
  }
  if (!ns.hasStored) return null;
  const icmp = isIcmp(proto);
  const hash = tupleHash(proto, tuple.src, tuple.dst, icmp ? tuple.icmpId : tuple.sport, icmp ? 0 : tuple.dport);
  for (const s of ns.stored(hash)) {
    if (s.entry.proto !== proto || !sameTuple(proto, s.tuple, tuple)) continue;
    const { zone: both, zoneOrig, zoneReply } = s.entry;
    if ((both !== 0 ? both : s.reply ? zoneReply : zoneOrig) !== (s.reply ? back : there)) continue;
    if (!(s.reply ? inReply : inOrig)) continue;
    // Taken over once in this run already, and gone since (a closed connection that was opened again).
    if (wasTaken(run, ns, s.entry) || run.isGone(s.entry)) return null;
    const ct = fromEntry(s.entry);
    run.addConnection(ns, ct);
    return { ct, reply: s.reply };
  }
  return null;
}

/** Whether this run has made an entry of the snapshot one of its own connections. */
function wasTaken(run: Run, ns: Ns, entry: CtEntry): boolean {
  for (let t = run.tracked; t !== null; t = t.next) if (t.ns === ns && t.ct.source === entry.source) return true;
  return false;
}

/** nf_ct_get_tuplepr and tcp_new, udp, icmp: whether this packet may begin a connection. */
function mayBegin(ns: Ns, pkt: Packet): boolean {
  if (pkt.proto === TCP) {
    const flags = pkt.tcpFlags & (SYN | ACK | RST | FIN);
    if (flags === SYN) return true;
    // tcp_conntracks[0][…][sNO]: SYN+ACK, RST and FIN begin nothing; a bare ACK does when nf_conntrack_tcp_loose is on.
    if ((flags & (SYN | RST | FIN)) !== 0 || (flags & ACK) === 0) return false;
    return (ns.sysctl("net.netfilter.nf_conntrack_tcp_loose") ?? 1) !== 0;
  }
  if (isIcmp(pkt.proto)) {
    // icmp_new: requests only (valid_new); IPv6 likewise.
    return pkt.proto === 1 ? [8, 13, 15, 17].includes(pkt.icmpType) : pkt.icmpType === 128 || pkt.icmpType === 139;
  }
  return true;
}

/** nf_conntrack_in. Leaves pkt.ct, ctInfo and ctReply set; records what it found. */
export function trackIn(run: Run, ns: Ns, pkt: Packet): void {
  if (pkt.ctInfo !== "none") return; // seen already (loopback, or attached to its connection), or untracked
  if (isIcmpError(pkt)) {
    trackError(run, ns, pkt);
    return;
  }
  // ICMPv6 other than echo and node information is left alone (nf_conntrack_icmpv6_error: valid_new and noct_valid_new).
  if (pkt.proto === 58 && pkt.icmpType >= 130 && pkt.icmpType <= 137) {
    pkt.ctInfo = "untracked";
    return;
  }
  const tuple = tupleOf(pkt);
  let found = findConnection(run, ns, pkt.proto, tuple, pkt);
  if (found !== null && reopens(found, pkt)) {
    run.dropConnection(ns, found.ct);
    if (found.ct.source !== null) run.markGone(found.ct.source);
    found = null;
  }
  if (found === null) {
    if (!mayBegin(ns, pkt) || (isIcmp(pkt.proto) && invertIcmpType(pkt.proto, pkt.icmpType) < 0)) {
      pkt.ctInfo = "invalid";
      run.step(ns, pkt, "conntrack", `conntrack: INVALID, ${protoName(pkt.proto)} that belongs to no connection`, null);
      return;
    }
    const lost = ns.missing(pkt.v === 4 ? "conntrack" : "conntrack6");
    // An entry could decide for exactly this tuple; with a port that nobody chose it is not worth a doubt.
    if (
      lost !== null &&
      run.exactPort &&
      !run.unknownOnce(`ct ${ns.place}`, `the connections of ${ns.place} are not known: ${lost}`, null)
    ) {
      pkt.ctInfo = "invalid";
      return;
    }
    pkt.ct = newConnection(pkt, tuple);
    pkt.ctInfo = "new";
    pkt.ctReply = false;
    return;
  }
  const { ct, reply } = found;
  if (ct.proto === TCP && !tcpValid(ct, pkt, reply)) {
    pkt.ctInfo = "invalid";
    return;
  }
  pkt.ct = ct;
  pkt.ctReply = reply;
  if (reply) {
    pkt.ctInfo = "established";
    // nf_conntrack_tcp_packet: a RST for an answer ends the connection at once; this packet still has it.
    if (ct.proto === TCP && (pkt.tcpFlags & RST) !== 0 && !ct.seenReply) run.dropConnection(ns, ct);
    ct.seenReply = true;
    if (ct.proto === UDP) ct.assured = true;
  } else pkt.ctInfo = ct.seenReply ? "established" : ct.expected ? "related" : "new";
  if (ct.source !== null) {
    const nat = ct.srcNat || ct.dstNat ? ", rewritten as it says" : "";
    run.step(
      ns,
      pkt,
      "conntrack",
      `conntrack: ${reply ? "reply of" : "in"} a connection that the table holds${nat}`,
      ct.source,
    );
  }
}

function newConnection(pkt: Packet, tuple: CtTuple): Connection {
  return {
    v: pkt.v,
    proto: pkt.proto,
    orig: tuple,
    reply: invertTuple(pkt.proto, tuple),
    zone: pkt.zone,
    zoneDir: pkt.zoneDir,
    mark: 0,
    seenReply: false,
    assured: false,
    confirmed: false,
    srcNat: false,
    dstNat: false,
    srcNatDone: false,
    dstNatDone: false,
    expected: false,
    helper: null,
    state: null,
    source: null,
    randomOrig: pkt.randomSport,
    randomReply: pkt.randomSport,
  };
}

/** nf_conntrack_tcp_packet: a SYN in a closed or closing connection deletes the entry and starts over (-NF_REPEAT). */
function reopens(found: Found, pkt: Packet): boolean {
  if (pkt.proto !== TCP || (pkt.tcpFlags & (SYN | ACK)) !== SYN || found.reply) return false;
  const s = found.ct.state;
  return s === "TIME_WAIT" || s === "CLOSE" || s === "LAST_ACK" || s === "CLOSE_WAIT";
}

/** The few tcp_conntracks entries that say sIV for the packets that a walk sends. */
function tcpValid(ct: Connection, pkt: Packet, reply: boolean): boolean {
  const syn = (pkt.tcpFlags & SYN) !== 0;
  const ack = (pkt.tcpFlags & ACK) !== 0;
  // A SYN+ACK in the original direction of a connection that never saw a reply.
  return !(syn && ack && !reply && !ct.seenReply);
}

/** nf_conntrack_inet_error: an ICMP error belongs to the connection of the packet inside, if that is really one of ours. */
function trackError(run: Run, ns: Ns, pkt: Packet): void {
  const inside = pkt.about;
  if (inside !== null) {
    const inverse = invertTuple(inside.proto, tupleOf(inside));
    const found = findConnection(run, ns, inside.proto, inverse, pkt);
    if (found !== null) {
      const tuple = found.reply ? found.ct.reply : found.ct.orig;
      if (sameIp(pkt.dst, tuple.dst)) {
        pkt.ct = found.ct;
        pkt.ctReply = found.reply;
        pkt.ctInfo = "related";
        return;
      }
    }
  }
  pkt.ctInfo = "invalid";
}

/**
 * __nf_conntrack_confirm: the connection that has either tuple already and so keeps this one out. Datagrams may share
 * one in the same direction (nf_ct_resolve_clash), not one that the other has for its other direction. Each
 * tuple is looked for where its own direction's zone puts it.
 */
function clashing(run: Run, ns: Ns, ct: Connection): Connection | null {
  const back = findConnection(run, ns, ct.proto, ct.reply, ct, ct, zoneId(ct, true));
  if (back !== null && (!back.reply || ct.proto === TCP)) return back.ct;
  const there = findConnection(run, ns, ct.proto, ct.orig, ct, ct, zoneId(ct, false));
  return there !== null && (there.reply || ct.proto === TCP) ? there.ct : null;
}

/** nf_conntrack_confirm: the entry enters the table when its first packet leaves or arrives. */
export function confirm(run: Run, ns: Ns, pkt: Packet): Fate | null {
  const ct = pkt.ct;
  if (ct === null || ct.confirmed || pkt.ctInfo === "related") return null;
  const clash = clashing(run, ns, ct);
  if (clash !== null) {
    const text = "conntrack: another connection has the same addresses and ports already";
    return { t: "lost", disposition: "dropped", ns, pkt, local: false, because: { text, source: clash.source } };
  }
  ct.confirmed = true;
  run.addConnection(ns, ct);
  if (!run.recording) return null;
  const nat = ct.srcNat || ct.dstNat;
  run.step(
    ns,
    pkt,
    "conntrack",
    `conntrack: new ${protoName(ct.proto)} connection${nat ? ", with its rewriting" : ""}`,
    null,
    {
      conntrack: {
        proto: protoName(ct.proto),
        original: stepTuple(ct.proto, ct.orig, { sport: ct.randomOrig }),
        reply: stepTuple(ct.proto, ct.reply, { dport: ct.randomReply }),
        ...(ct.zone !== 0 ? { zone: ct.zone } : {}),
      },
    },
  );
  return null;
}
