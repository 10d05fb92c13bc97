/** One whole attempt to talk: the client's packet, what comes back, and what the calling program meets in the end. */
import { formatIp, ip4, ip6, sameIp, type Ip } from "../model/address.ts";
import type { ClientResult, Disposition } from "../model/walk.ts";
import type { Device } from "./device.ts";
import { textOf, type Because, type Fate, type FrameFate } from "./fate.ts";
import type { Ns } from "./ns.ts";
import { needsDevice, sendFrom, type Routed } from "./output.ts";
import { ACK, ICMP, IPV6_ICMP, Packet, PSH, SCTP, SYN, TCP, UDP } from "./packet.ts";
import {
  answerTo,
  endpointText,
  errnoOf,
  mayComplain,
  reflectedMark,
  resetTo,
  sendIcmpError,
  sendReset,
} from "./replies.ts";
import type { Run } from "./run.ts";
import { isIcmp, isIcmpError } from "./tuple.ts";

/** A question in the engine's terms. */
export interface Attempt {
  from: Ns;
  proto: number;
  to: Ip;
  port: number;
  sourcePort: number;
  /** The question named it. */
  exactPort: boolean;
  mark: number;
  ttl: number | null;
  /** Bytes of the IP packet, Don't Fragment set; null: small enough for any link. */
  size: number | null;
  tcpFlags: number;
}

export interface Result {
  client: ClientResult;
  disposition: Disposition;
  server: { at: string; address: Ip; port: number; clientAddress: Ip } | null;
  because: Because;
}

const SMALL: Record<number, number> = { [TCP]: 60, [UDP]: 36, [SCTP]: 68, [ICMP]: 84, [IPV6_ICMP]: 104 };

/** The unspecified address means this host itself (ip_route_output_key_hash_rcu; tcp_v6_connect: "BSD'ism"). */
function target(to: Ip): Ip {
  if (to.a !== 0 || to.b !== 0 || to.c !== 0 || to.d !== 0) return to;
  return to.v === 4 ? ip4(0x7f000001) : ip6(0, 0, 0, 1);
}

function request(a: Attempt): Packet {
  const to = target(a.to);
  const p = new Packet(to.v, to, to, a.proto);
  p.dport = isIcmp(a.proto) ? 0 : a.port;
  p.sport = isIcmp(a.proto) ? 0 : a.sourcePort;
  p.icmpId = isIcmp(a.proto) ? a.sourcePort : 0;
  p.icmpType = a.proto === ICMP ? 8 : a.proto === IPV6_ICMP ? 128 : 0;
  p.tcpFlags = a.proto === TCP ? a.tcpFlags : 0;
  p.mark = a.mark;
  p.socket = "program";
  p.ttl = a.ttl ?? 0;
  p.length = a.size !== null && a.proto !== TCP ? a.size : (SMALL[a.proto] ?? 60) + (a.to.v === 6 ? 20 : 0);
  p.df = a.proto === TCP || a.size !== null || a.to.v === 6;
  return p;
}

/** Only the forward path of one packet: what `connect` begins with. For measuring, and for checks that need no answer. */
export function sendRequest(run: Run, a: Attempt): FrameFate {
  return sendFrom(run, a.from, request(a));
}

/** Runs the attempt. Never throws. */
export function attempt(run: Run, a: Attempt): Result {
  run.exactPort = a.exactPort;
  run.addEnd(a.from);
  const who: Asked = { src: a.to, dst: a.to, sport: 0, dport: 0, icmpId: 0, routed: null };
  const fate = sendFrom(run, a.from, request(a), {
    // As ping(8), which does not connect: one lookup.
    once: isIcmp(a.proto),
    // The socket keeps what connect() settled, whatever OUTPUT makes of the packet.
    onRouted: (p, routed) =>
      Object.assign(who, {
        routed: p.v === 6 ? routed : null,
        src: p.src,
        dst: p.dst,
        sport: p.sport,
        dport: p.dport,
        icmpId: p.icmpId,
      }),
  });
  return settle(run, a, who, fate as Fate);
}

/** What the client's socket knows: who asked whom. */
interface Asked {
  src: Ip;
  dst: Ip;
  sport: number;
  dport: number;
  icmpId: number;
  /** IPv6: the route that connect() found, which the socket keeps (ip6_dst_store). */
  routed: Routed | null;
}

function ended(client: ClientResult, disposition: Disposition, because: Because): Result {
  return { client, disposition, server: null, because };
}

const SEND_ERRORS: Record<Extract<Fate, { t: "send-error" }>["error"], ClientResult> = {
  ENETUNREACH: "network-unreachable",
  EHOSTUNREACH: "host-unreachable",
  EACCES: "prohibited",
  EINVAL: "invalid",
  EPERM: "not-permitted",
  EMSGSIZE: "too-big",
  ENETDOWN: "network-unreachable",
};

/** Programs that send datagrams are told of their own host's drop at once (EPERM of nf_hook_slow); TCP and SCTP only ever retransmit. */
function tellsOfDrop(proto: number): boolean {
  return proto === UDP || isIcmp(proto);
}

function settle(run: Run, a: Attempt, who: Asked, fate: Fate): Result {
  switch (fate.t) {
    case "send-error":
      // tcp_connect ignores what ip_queue_xmit returns, and tries again until it times out.
      if (fate.rerouted === true && !tellsOfDrop(a.proto)) return ended("timeout", fate.disposition, fate.because);
      return ended(SEND_ERRORS[fate.error], fate.disposition, fate.because);
    case "lost":
      return ended(fate.local && tellsOfDrop(a.proto) ? "not-permitted" : "timeout", fate.disposition, fate.because);
    case "inconclusive":
      return ended("inconclusive", "inconclusive", fate.because);
    case "left":
      return ended("inconclusive", "left-the-cluster", fate.because);
    case "error":
      if (fate.local && tellsOfDrop(a.proto)) return ended("not-permitted", fate.disposition, fate.because);
      run.direction = "reply";
      return complain(run, a, who, fate);
    case "reset": {
      run.direction = "reply";
      if (a.proto !== TCP) return ended(fate.local ? "not-permitted" : "timeout", "rejected", fate.because);
      return judgeReset(a, who, sendReset(run, fate.ns, fate.pkt, fate.port) as Fate, "rejected", fate.because);
    }
    case "no-listener": {
      run.direction = "reply";
      if (fate.pkt.proto === TCP) {
        const r = resetTo(fate.pkt);
        // tcp_v4_send_reset sends by the kernel's socket, tcp_v6_send_response without one.
        r.socket = r.v === 4 ? "kernel" : null;
        r.mark = reflectedMark(fate.ns, fate.pkt);
        return judgeReset(
          a,
          who,
          sendFrom(run, fate.ns, r, {
            fixedSource: fate.pkt.dst,
            asked: needsDevice(r.dst) ? fate.pkt.cameBy : null,
          }) as Fate,
          "no-listener",
          fate.because,
        );
      }
      const proto = fate.pkt.proto === UDP || fate.pkt.proto === SCTP;
      // udp_rcv lets go of the connection before it complains; a missing protocol is complained of with it.
      if (fate.pkt.proto === UDP) fate.pkt.resetConnection();
      const icmp =
        fate.pkt.v === 4
          ? { type: 3, code: proto ? 3 : 2, mtu: null }
          : { type: proto ? 1 : 4, code: proto ? 4 : 1, mtu: null };
      return complain(run, a, who, {
        t: "error",
        disposition: "no-listener",
        ns: fate.ns,
        pkt: fate.pkt,
        icmp,
        because: fate.because,
        local: false,
      });
    }
    case "delivered":
      run.direction = "reply";
      return answered(run, a, who, fate);
  }
}

/** An ICMP error goes back; the client meets what becomes of it. */
function complain(run: Run, a: Attempt, who: Asked, fate: Extract<Fate, { t: "error" }>): Result {
  if (!mayComplain(fate.pkt)) return ended("timeout", fate.disposition, fate.because);
  run.traversals = 0;
  const back = sendIcmpError(run, fate.ns, fate.pkt, fate.icmp) as Fate;
  if (back.t === "inconclusive") return ended("inconclusive", "inconclusive", back.because);
  if (
    back.t !== "delivered" ||
    back.ns !== a.from ||
    !isIcmpError(back.pkt) ||
    !aboutUs(back.pkt.about, who, a.proto)
  ) {
    return ended("timeout", fate.disposition, fate.because);
  }
  const told = errnoOf(fate.pkt.v, fate.icmp.type, fate.icmp.code);
  if (told === null) return ended("timeout", fate.disposition, fate.because);
  // Soft errors only stop TCP while it connects (tcp_v4_err in SYN_SENT); UDP ignores them (__udp4_lib_err). ping reports any.
  if (!told.hard && a.proto === UDP)
    return ended(told.errno === "too-big" ? "too-big" : "timeout", fate.disposition, fate.because);
  if (told.errno === "too-big") return ended(a.proto === TCP ? "timeout" : "too-big", fate.disposition, fate.because);
  // ENOPROTOOPT and the like have no word of their own: the attempt is refused at once.
  if (told.errno === "other") return ended("refused", fate.disposition, fate.because);
  return ended(told.errno, fate.disposition, fate.because);
}

function aboutUs(inside: Packet | null, who: Asked, proto: number): boolean {
  return (
    inside !== null &&
    inside.proto === proto &&
    sameIp(inside.src, who.src) &&
    sameIp(inside.dst, who.dst) &&
    inside.sport === who.sport &&
    inside.dport === who.dport &&
    inside.icmpId === who.icmpId
  );
}

function isForUs(pkt: Packet, who: Asked): boolean {
  return (
    // ping takes a reply by its number, whoever sends it and wherever to (ping_lookup, rawv6_rcv).
    (isIcmp(pkt.proto) || (sameIp(pkt.src, who.dst) && sameIp(pkt.dst, who.src))) &&
    pkt.sport === who.dport &&
    pkt.dport === who.sport &&
    pkt.icmpId === who.icmpId
  );
}

function judgeReset(a: Attempt, who: Asked, back: Fate, disposition: Disposition, because: Because): Result {
  if (back.t === "inconclusive") return ended("inconclusive", "inconclusive", back.because);
  const arrives = back.t === "delivered" && back.ns === a.from && isForUs(back.pkt, who);
  return ended(arrives ? "refused" : "timeout", disposition, because);
}

const isLoopback6 = (ip: Ip): boolean => ip.v === 6 && (ip.a | ip.b | ip.c) === 0 && ip.d === 1;

/** inet_request_mark: with tcp_fwmark_accept a connection's socket takes the mark of its SYN, for both families. */
function acceptedMark(ns: Ns, syn: Packet): number {
  return syn.proto === TCP && (ns.sysctl("net.ipv4.tcp_fwmark_accept") ?? 0) !== 0 ? syn.mark : 0;
}

/** The server's answer, and for TCP the data after the handshake. */
function answered(run: Run, a: Attempt, who: Asked, fate: Extract<Fate, { t: "delivered" }>): Result {
  const { ns, pkt } = fate;
  if (!isIcmp(a.proto)) run.addEnd(ns);
  run.traversals = 0;
  const seen = pkt.clone();
  const server = { at: ns.place, address: pkt.dst, port: pkt.dport, clientAddress: pkt.src };
  if (a.proto === TCP && (a.tcpFlags & (SYN | ACK)) !== SYN)
    return {
      client: "inconclusive",
      disposition: "delivered",
      server: null,
      because: { text: "a packet in the middle of a connection: nothing can be said of an answer", source: null },
    };
  const reply = answerTo(pkt);
  // What answers is the socket that was reached: its device binds the answer, its owner is the answer's.
  const bound = fate.socket?.dev == null ? null : (ns.byName.get(fate.socket.dev) ?? null);
  reply.socket = fate.socket === undefined ? "kernel" : "program";
  reply.uid = fate.socket?.uid ?? null;
  reply.mark = isIcmp(a.proto) ? reflectedMark(ns, pkt) : acceptedMark(ns, pkt);
  if (a.proto === UDP) reply.exactLength = false;
  if (a.proto === UDP && a.size !== null) reply.length = SMALL[UDP]! + (pkt.v === 6 ? 20 : 0);
  if (a.proto === UDP && fate.ns.owner(pkt.dst) === null) {
    const text = `${formatIp(pkt.dst)} is no address of ${ns.place}: whether the program can answer from it is up to its socket's options`;
    return ended("inconclusive", "inconclusive", { text, source: fate.because.source });
  }
  if (fate.wildcard && a.proto === UDP) {
    const other = otherSource(ns, reply);
    if (other !== null) {
      const text = `whether the program in ${ns.place} answers from ${formatIp(pkt.dst)}, which was asked, or from ${formatIp(other)}, which routing chooses, is up to it`;
      if (!run.unknownOnce(`udp source ${ns.place}`, text, fate.because.source)) reply.src = other;
    }
  }
  // icmpv6_echo_reply: by rules for the device that the request came by.
  // What comes from ::1 can be answered by the loopback device alone, whatever device the address asked is on.
  const asked = a.proto !== IPV6_ICMP ? null : isLoopback6(pkt.src) ? ns.loopback : pkt.cameBy;
  const back = sendFrom(run, ns, reply, {
    fixedSource: reply.src,
    oif: bound,
    asked,
    anySource: pkt.tproxied !== null,
  }) as Fate;
  const failure = backAt(a, who, back);
  if (failure !== null) return failure;
  if (a.proto === TCP) {
    const broken = talk(run, a, who, ns, seen, bound, reply.uid);
    if (broken !== null) return broken;
  }
  return {
    client: "answered",
    disposition: a.proto === TCP || a.proto === UDP || a.proto === SCTP ? "delivered" : "answered",
    server,
    because: fate.because,
  };
}

/** Address that routing would give the answer of a program that does not care; null when it is the one that was asked. */
function otherSource(ns: Ns, reply: Packet): Ip | null {
  const r = ns.fib(reply.v).lookup({
    dst: reply.dst,
    src: null,
    iif: null,
    oif: null,
    mark: 0,
    tos: 0,
    proto: reply.proto,
    sport: reply.sport,
    dport: reply.dport,
    uid: 0,
  });
  if (r.error !== null || r.route === null || r.route.type !== "unicast") return null;
  const own = r.route.prefSrc;
  const names = new Set(r.route.nexthops.map((nh) => nh.dev));
  const addresses = ns.devices
    .filter((d) => names.has(d.name))
    .flatMap((d) => d.addresses.filter((x) => x.ip.v === reply.v && x.scope === "global"));
  if (own !== null) return sameIp(own, reply.src) ? null : own;
  if (addresses.length === 0 || addresses.some((x) => sameIp(x.ip, reply.src))) return null;
  return addresses[0]!.ip;
}

/** Null when the answer reaches the client's socket; else what the client meets instead. */
function backAt(a: Attempt, who: Asked, back: Fate): Result | null {
  switch (back.t) {
    case "delivered":
      if (back.ns === a.from && isForUs(back.pkt, who)) return null;
      if (back.ns === a.from) {
        const text = `the answer arrives from ${endpointText(back.pkt)} instead of ${who.dst.v === 6 ? `[${formatIp(who.dst)}]` : formatIp(who.dst)}:${who.dport}: its rewriting was not undone`;
        return ended("timeout", "dropped", { text, source: back.because.source });
      }
      return ended("timeout", "dropped", {
        text: `the answer ends at ${back.ns.place}, which did not ask`,
        source: back.because.source,
      });
    case "inconclusive":
      return ended("inconclusive", "inconclusive", back.because);
    case "left":
      return ended("inconclusive", "left-the-cluster", back.because);
    case "no-listener":
      return ended("timeout", "no-listener", {
        text: () => `the answer: ${textOf(back.because)}`,
        source: back.because.source,
      });
    case "lost":
    case "error":
    case "reset":
    case "send-error":
      return ended("timeout", dispositionOf(back), {
        text: () => `the answer: ${textOf(back.because)}`,
        source: back.because.source,
      });
  }
}

function dispositionOf(f: Extract<Fate, { t: "lost" | "error" | "reset" | "send-error" }>): Disposition {
  return f.t === "reset" ? "rejected" : f.disposition;
}

/** Data both ways after the handshake, on the connection that it made. Null when it passes. */
function talk(
  run: Run,
  a: Attempt,
  who: Asked,
  server: Ns,
  seen: Packet,
  bound: Device | null,
  uid: number | null,
): Result | null {
  return run.quietly(() => {
    const there = new Packet(who.dst.v, who.src, who.dst, TCP);
    Object.assign(there, {
      sport: who.sport,
      dport: who.dport,
      tcpFlags: ACK | PSH,
      mark: a.mark,
      answer: true,
      ttl: a.ttl ?? 0,
    });
    there.exactLength = false;
    if (a.size !== null) there.length = segment(a, server, seen);
    there.socket = "program";
    run.traversals = 0;
    const fate = sendFrom(run, a.from, there, {
      fixedSource: who.src,
      ...(who.routed === null ? {} : { routed: who.routed }),
    }) as Fate;
    const lost = passed(run, a, who, fate, server);
    if (lost !== null) return lost;
    const back = answerTo(seen);
    back.tcpFlags = ACK | PSH;
    back.socket = "program";
    back.uid = uid;
    back.mark = acceptedMark(server, seen);
    back.exactLength = false;
    if (a.size !== null) back.length = there.length;
    return backAt(
      a,
      who,
      sendFrom(run, server, back, { fixedSource: seen.dst, oif: bound, anySource: seen.tproxied !== null }) as Fate,
    );
  });
}

/** Bytes of a full data segment: both ends' MSS goes by the MTU of the device that they use. */
function segment(a: Attempt, server: Ns, seen: Packet): number {
  const mtus = [a.from, server].map((ns, i) =>
    Math.min(
      ...ns.devices
        .filter((d) => !d.isLoopback && d.addresses.some((x) => sameIp(x.ip, i === 0 ? seen.src : seen.dst)))
        .map((d) => d.mtu),
      65535,
    ),
  );
  return Math.min(a.size!, ...mtus);
}

function passed(run: Run, a: Attempt, who: Asked, fate: Fate, server: Ns): Result | null {
  const after = (b: Because): Because => ({ text: () => `after the handshake: ${textOf(b)}`, source: b.source });
  switch (fate.t) {
    case "delivered":
      return fate.ns === server
        ? null
        : ended("timeout", "dropped", {
            text: `after the handshake: data reaches ${fate.ns.place} instead`,
            source: fate.because.source,
          });
    case "inconclusive":
      return ended("inconclusive", "inconclusive", after(fate.because));
    case "error":
      // Path MTU discovery: the sender learns, if the error reaches it.
      if (fate.disposition === "too-big" && mayComplain(fate.pkt)) {
        const back = sendIcmpError(run, fate.ns, fate.pkt, fate.icmp) as Fate;
        if (back.t === "delivered" && back.ns === a.from && aboutUs(back.pkt.about, who, a.proto)) return null;
        return ended("timeout", "too-big", after(fate.because));
      }
      return ended("timeout", fate.disposition, after(fate.because));
    case "lost":
    case "send-error":
      return ended("timeout", fate.disposition, after(fate.because));
    case "reset":
      return ended("timeout", "rejected", after(fate.because));
    case "no-listener":
      return ended("timeout", "no-listener", after(fate.because));
    case "left":
      return ended("inconclusive", "left-the-cluster", after(fate.because));
  }
}
