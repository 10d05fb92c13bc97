/** Packets that start here: route, source address, OUTPUT, and out (ip_route_output, __ip_local_out; ip6_route_output). */
import { formatIp, ip4, type Ip } from "../model/address.ts";
import { addrType } from "./address-type.ts";
import type { Device } from "./device.ts";
import { UNWANTED, type Fate, type FrameFate, type SendError } from "./fate.ts";
import type { FibResult, Flow } from "./fib.ts";
import { finish, mtuOf } from "./forward.ts";
import { runHook } from "./hooks.ts";
import { tableName } from "./input.ts";
import { routeText, selectHop, type Hop } from "./next-hop.ts";
import type { Ns } from "./ns.ts";
import { TCP, type Packet } from "./packet.ts";
import { inetSelectAddr, ipv6SelectAddr, scopeNumber } from "./source-address.ts";
import type { Run } from "./run.ts";

export interface SendOptions {
  /** Device that the sender is bound to. */
  oif?: Device | null;
  /** Source that is settled already; null: routing chooses. */
  fixedSource?: Ip | null;
  /** Tunnel device that made the packet, which POSTROUTING sees as its incoming device. */
  skbDev?: Device | null;
  /** Called once the source is settled, before any rule has seen the packet. */
  onRouted?: (pkt: Packet) => void;
}

function flowFor(pkt: Packet, src: Ip | null, oif: Device | null): Flow {
  return {
    dst: pkt.dst,
    src,
    iif: null,
    oif,
    mark: pkt.mark,
    tos: pkt.tos,
    proto: pkt.proto,
    sport: pkt.sport,
    dport: pkt.dport,
    uid: pkt.uid,
  };
}

function sendError(ns: Ns, pkt: Packet, r: FibResult): Fate {
  const text =
    r.route !== null
      ? routeText(r.route)
      : r.rule !== null
        ? `rule ${r.rule.priority} ${r.rule.action}`
        : `${ns.place} has no route to ${formatIp(pkt.dst)}`;
  return {
    t: "send-error",
    disposition: "no-route",
    error: r.error as SendError,
    ns,
    pkt,
    because: { text, source: r.route?.source ?? r.rule?.source ?? null },
  };
}

function unknownRoutes(ns: Ns, why: string): Fate {
  return { t: "inconclusive", because: { text: `routes of ${ns.place} are not known: ${why}`, source: null } };
}

/** Where a local or unicast route leads: local ones by the loopback device. Null without a usable next hop. */
export function hopOf(run: Run, ns: Ns, r: FibResult, flow: Flow): Hop | null {
  const route = r.route!;
  if (route.type === "local" || route.type === "anycast") {
    const lo = ns.loopback;
    return lo === null
      ? null
      : {
          dev: lo,
          gateway: null,
          nextHop: { gateway: null, dev: lo.name, weight: 1, onlink: false, dead: false, linkdown: false, encap: null },
        };
  }
  return selectHop(run, ns, route, flow);
}

/** fib_result_prefsrc, or RFC 6724 for IPv6: the source that routing chooses; null when the namespace has none. */
function chooseSource(ns: Ns, r: FibResult, hop: Hop, dst: Ip): Ip | null {
  const route = r.route!;
  if (route.prefSrc !== null) return route.prefSrc;
  if (route.type === "local") return dst;
  return dst.v === 4
    ? inetSelectAddr(ns, hop.dev, hop.gateway, scopeNumber(route.scope))
    : ipv6SelectAddr(ns, hop.dev, dst);
}

interface Routed {
  r: FibResult;
  hop: Hop;
}

/** Looks the route up as connect() does: once to learn the source, once more with it. */
function routeOut(run: Run, ns: Ns, pkt: Packet, opts: SendOptions): Routed | Fate {
  const fib = ns.fib(pkt.v);
  const oif = opts.oif ?? null;
  const first = flowFor(pkt, opts.fixedSource ?? null, oif);
  let r = fib.lookup(first);
  if (r.unknown !== null) return unknownRoutes(ns, r.unknown);
  if (r.error !== null) return sendError(ns, pkt, r);
  const several = r.route!.nexthops.length > 1;
  let hop = hopOf(run, ns, r, first);
  if (hop === null) return sendError(ns, pkt, { ...r, error: "ENETUNREACH" });
  if (opts.fixedSource === undefined || opts.fixedSource === null) {
    const src = chooseSource(ns, r, hop, pkt.dst);
    if (src === null && pkt.v === 6) {
      return {
        t: "send-error",
        disposition: "no-route",
        error: "ENETUNREACH",
        ns,
        pkt,
        because: { text: `${ns.place} has no IPv6 address to send from`, source: r.route!.source },
      };
    }
    pkt.src = src ?? ip4(0);
    if (fib.customRules || several) {
      const second = flowFor(pkt, pkt.src, oif);
      r = fib.lookup(second);
      if (r.unknown !== null) return unknownRoutes(ns, r.unknown);
      if (r.error !== null) return sendError(ns, pkt, r);
      hop = hopOf(run, ns, r, second);
      if (hop === null) return sendError(ns, pkt, { ...r, error: "ENETUNREACH" });
    }
  }
  return { r, hop };
}

function show(run: Run, ns: Ns, pkt: Packet, r: FibResult): void {
  if (!run.recording) return;
  if (r.rule !== null)
    run.step(
      ns,
      pkt,
      "rule-lookup",
      `rule ${r.rule.priority}${r.rule.table === null ? ` ${r.rule.action}` : ` lookup ${tableName(r.rule.table)}`}`,
      r.rule.source,
    );
  if (r.route !== null) run.step(ns, pkt, "route", routeText(r.route), r.route.source);
}

/** Sends a packet from a namespace; `pkt.src` is set unless `fixedSource` gives it. */
export function sendFrom(run: Run, ns: Ns, pkt: Packet, opts: SendOptions = {}): FrameFate {
  if (opts.fixedSource !== undefined && opts.fixedSource !== null) pkt.src = opts.fixedSource;
  pkt.locallyMade = true;
  const missing = ns.missing("addr") ?? ns.missing("sysctl");
  if (missing !== null)
    return { t: "inconclusive", because: { text: `${ns.place} is not known well enough: ${missing}`, source: null } };
  if (pkt.v === 4 ? pkt.dst.a >>> 28 === 0xe : pkt.dst.a >>> 24 === 0xff)
    return { t: "inconclusive", because: { text: "multicast is not modelled", source: null } };
  const routed = routeOut(run, ns, pkt, opts);
  if ("t" in routed) return routed;
  const { r } = routed;
  let { hop } = routed;
  opts.onRouted?.(pkt);
  show(run, ns, pkt, r);
  if (r.route!.type === "broadcast") {
    // ip_route_connect's callers: TCP refuses broadcasts, datagram sockets need SO_BROADCAST.
    return {
      t: "send-error",
      disposition: "no-route",
      error: pkt.proto === TCP ? "ENETUNREACH" : "EACCES",
      ns,
      pkt,
      because: { text: `${formatIp(pkt.dst)} is a broadcast address`, source: r.route!.source },
    };
  }
  const mtu = mtuOf(hop.dev, r.route);
  if (pkt.length > mtu && pkt.df && !pkt.answer) {
    return {
      t: "send-error",
      disposition: "too-big",
      error: "EMSGSIZE",
      ns,
      pkt,
      because: {
        text: `${pkt.length} bytes do not fit ${hop.dev.name}, whose MTU is ${mtu}`,
        source: r.route!.mtu !== null ? r.route!.source : hop.dev.link.source,
      },
    };
  }
  pkt.nextHop = hop.gateway ?? pkt.dst;
  const fate = runHook(run, ns, "output", pkt, { iif: null, oif: hop.dev }, () => {
    const again = routeAgain(run, ns, pkt);
    if ("t" in again) return again;
    hop = again.hop;
    return null;
  });
  if (fate !== null) return fate;
  const out = finish(run, ns, opts.skbDev ?? null, pkt, hop);
  return out === UNWANTED
    ? {
        t: "lost",
        disposition: "dropped",
        ns,
        pkt,
        local: false,
        because: { text: `nobody takes the frame that leaves by ${hop.dev.name}`, source: hop.dev.link.source },
      }
    : out;
}

/** ip_route_me_harder: the source stays what it is; an error reaches the sender. */
function routeAgain(run: Run, ns: Ns, pkt: Packet): Routed | Fate {
  const type = pkt.v === 4 ? addrType(ns, pkt.src, null) : "local";
  if (type === "unknown") return unknownRoutes(ns, "local addresses");
  const flow = flowFor(pkt, type === "local" || type === "unicast" ? pkt.src : null, null);
  const r = ns.fib(pkt.v).lookup(flow);
  if (r.unknown !== null) return unknownRoutes(ns, r.unknown);
  if (r.error !== null) return { ...(sendError(ns, pkt, r) as Extract<Fate, { t: "send-error" }>), rerouted: true };
  const hop = hopOf(run, ns, r, flow);
  if (hop === null) return sendError(ns, pkt, { ...r, error: "ENETUNREACH" });
  pkt.nextHop = hop.gateway ?? pkt.dst;
  show(run, ns, pkt, r);
  return { r, hop };
}
