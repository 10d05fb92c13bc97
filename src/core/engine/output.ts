/** Packets that start here: route, source address, OUTPUT, and out (ip_route_output, __ip_local_out; ip6_route_output). */
import { formatIp, ip4, type Ip } from "../model/address.ts";
import type { Route } from "../model/route.ts";
import { sysctlConf } from "../model/sysctl.ts";
import { addrType } from "./address-type.ts";
import type { Device } from "./device.ts";
import { UNWANTED, type Fate, type FrameFate, type SendError } from "./fate.ts";
import type { FibResult, Flow } from "./fib.ts";
import { finish, tooBig, tooBigFor } from "./forward.ts";
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
  /** IPv6 answers of the kernel: device of the question, which rules see (flowi6_oif), and which binds what goes to an address of one link. */
  asked?: Device | null;
  /** Source that is settled already; null: routing chooses. */
  fixedSource?: Ip | null;
  /** Tunnel device that made the packet, which POSTROUTING sees as its incoming device. */
  skbDev?: Device | null;
  /** The source may be anybody's: transparent sockets, and RSTs in another's name. */
  anySource?: boolean;
  /** Called once the source is settled, before any rule has seen the packet. */
  onRouted?: (pkt: Packet, routed: Routed) => void;
  /** One lookup, however the source comes about: the kernel's own packets (icmp_route_lookup), and sockets that are not connected. */
  once?: boolean;
  /** Route that the sender's socket has kept. */
  routed?: Routed;
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
    uid: pkt.socket === "program" ? pkt.uid : 0,
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

/** Where a local or unicast route leads: local ones by the loopback device. Null without a usable next hop. `flow` may be left out where the answer has its only hop. */
export function hopOf(run: Run, ns: Ns, r: FibResult, flow: Flow | null): Hop | null {
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
  return r.only ?? selectHop(run, ns, r, flow!);
}

/** __mkroute_output: the loopback network's addresses do not leave by other devices, but with route_localnet. */
function strayLoopback(src: Ip, dev: Device): boolean {
  return src.v === 4 && src.a >>> 24 === 127 && !dev.isLoopback && !dev.conf.routeLocalnet;
}

/** fib_result_prefsrc, or RFC 6724 for IPv6: the source that routing chooses; null when the namespace has none. */
function chooseSource(ns: Ns, r: FibResult, hop: Hop, dst: Ip): Ip | null {
  const route = r.route!;
  if (route.prefSrc !== null) return route.prefSrc;
  if (route.type === "local" && dst.v === 4) return dst;
  return dst.v === 4
    ? inetSelectAddr(ns, hop.dev, hop.gateway, scopeNumber(route.scope))
    : ipv6SelectAddr(ns, routeDevice(ns, route) ?? hop.dev, dst);
}

/** Device that a route names; of a local one the device that has the address. */
function routeDevice(ns: Ns, route: FibResult["route"]): Device | null {
  const name = route!.type === "local" ? (route!.nexthops[0]?.dev ?? null) : null;
  return name === null ? null : (ns.byName.get(name) ?? null);
}

/** ip4_dst_hoplimit and ip6_dst_hoplimit, without a route's own hoplimit. */
export function defaultTtl(ns: Ns, v: 4 | 6, dev: Device): number {
  if (v === 4) return ns.defaultTtl;
  const own = ns.sysctl(sysctlConf("ipv6", dev.name, "hop_limit")) ?? ns.sysctl("net.ipv6.conf.all.hop_limit");
  return own !== null && own > 0 ? own : 64;
}

/** A route, and the next hop of it that was chosen. */
export interface Routed {
  r: FibResult;
  hop: Hop;
}

/** rt6_need_strict: multicast, link-local and loopback addresses mean something on one device only. */
export function needsDevice(ip: Ip): boolean {
  return (
    ip.v === 6 && (ip.a >>> 24 === 0xff || ip.a >>> 22 === 0xfe80 >>> 6 || ((ip.a | ip.b | ip.c) === 0 && ip.d === 1))
  );
}

/** ip_route_output_key_hash_rcu, "apparently, routing tables are wrong": by a device that the sender named, what has no route is taken to be on it. */
function onLink(dev: Device, dst: Ip): Routed {
  const nextHop = { gateway: null, dev: dev.name, weight: 1, onlink: true, dead: false, linkdown: false, encap: null };
  const route: Route = {
    dst: { ip: dst, len: 32 },
    type: "unicast",
    table: 0,
    protocol: "kernel",
    scope: "link",
    metric: 0,
    tos: 0,
    prefSrc: null,
    mtu: null,
    mtuLock: false,
    from: null,
    nexthops: [nextHop],
    nhid: null,
    pref: null,
    source: dev.link.source,
  };
  const hop: Hop = { dev, gateway: null, nextHop };
  return { r: { error: null, route, rule: null, unknown: null, only: hop }, hop };
}

function isForeign(ns: Ns, ip: Ip): boolean {
  const fib = ns.fib(4);
  return fib.unknown === null && ns.owner(ip) === null && fib.inLocalTable(ip)?.type !== "local";
}

/** Looks the route up as connect() does: once to learn the source, once more with it. */
function routeOut(run: Run, ns: Ns, pkt: Packet, opts: SendOptions): Routed | Fate {
  const fib = ns.fib(pkt.v);
  const asked = opts.asked ?? null;
  const oif = opts.oif ?? (asked !== null && needsDevice(pkt.dst) ? asked : null);
  const fixed = opts.fixedSource ?? null;
  // ip_route_output_key_hash_rcu: a source is an address of this machine (__ip_dev_find), but with FLOWI_FLAG_ANYSRC.
  if (pkt.v === 4 && fixed !== null && opts.anySource !== true && isForeign(ns, fixed)) {
    const because = {
      text: `${formatIp(fixed)}, which it would come from, is no address of ${ns.place}`,
      source: null,
    };
    return { t: "send-error", disposition: "no-route", error: "EINVAL", ns, pkt, because };
  }
  const first = look(run, ns, pkt, fixed, oif, asked);
  if (fixed !== null || ("t" in first && first.t === "inconclusive")) return first;
  if (pkt.v === 6) {
    // ip6_dst_lookup_tail: a failed lookup without a source is tried again with one; a good one stands.
    const src = "t" in first ? ipv6SelectAddr(ns, null, pkt.dst) : chooseSource(ns, first.r, first.hop, pkt.dst);
    // ip6_route_get_saddr comes before what the route says: EADDRNOTAVAIL, as for a namespace that has no route either.
    if (src === null)
      return "t" in first && first.t === "send-error" && first.error === "ENETUNREACH" ? first : noSource(ns, pkt);
    pkt.src = src;
    return "t" in first ? look(run, ns, pkt, src, oif, asked) : first;
  }
  if ("t" in first) return first;
  pkt.src = chooseSource(ns, first.r, first.hop, pkt.dst) ?? ip4(0);
  // ip_route_connect: once more with the source; it can only differ where rules or several next hops look at it.
  const again = opts.once !== true && (fib.customRules || first.r.route!.nexthops.length > 1);
  return again ? look(run, ns, pkt, pkt.src, oif, asked) : first;
}

/** One lookup for a packet with this source, null for one that routing has yet to choose. */
function look(run: Run, ns: Ns, pkt: Packet, src: Ip | null, oif: Device | null, asked: Device | null): Routed | Fate {
  const fib = ns.fib(pkt.v);
  const plain = oif === null ? fib.byDestination(pkt.dst) : null;
  const flow = plain !== null && plain.only !== null ? null : flowFor(pkt, src, oif);
  if (asked !== null && flow !== null) flow.ruleOif = asked;
  const r = plain ?? fib.lookup(flow!);
  if (r.unknown !== null) return unknownRoutes(ns, r.unknown);
  if (r.error !== null && pkt.v === 4 && oif !== null) return onLink(oif, pkt.dst);
  const hop = r.error === null ? hopOf(run, ns, r, flow) : null;
  if (hop !== null && src !== null && strayLoopback(src, hop.dev)) return sendError(ns, pkt, { ...r, error: "EINVAL" });
  return hop === null ? sendError(ns, pkt, r.error === null ? { ...r, error: "ENETUNREACH" } : r) : { r, hop };
}

function noSource(ns: Ns, pkt: Packet): Fate {
  return {
    t: "send-error",
    disposition: "no-route",
    error: "ENETUNREACH",
    ns,
    pkt,
    because: { text: `${ns.place} has no IPv6 address to send from`, source: null },
  };
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
  pkt.forwardedBy = null;
  // ip_route_output_key_hash_rcu: no destination is this host itself.
  if (pkt.v === 4 && pkt.dst.a === 0) pkt.dst = pkt.src.a === 0 || pkt.src.a === pkt.dst.a ? ip4(0x7f000001) : pkt.src;
  const missing = ns.missing("addr") ?? ns.missing("sysctl");
  if (missing !== null)
    return { t: "inconclusive", because: { text: `${ns.place} is not known well enough: ${missing}`, source: null } };
  if (pkt.v === 4 ? pkt.dst.a >>> 28 === 0xe : pkt.dst.a >>> 24 === 0xff)
    return { t: "inconclusive", because: { text: "multicast is not modelled", source: null } };
  const routed = opts.routed ?? routeOut(run, ns, pkt, opts);
  if ("t" in routed) return routed;
  const { r } = routed;
  const { hop } = routed;
  opts.onRouted?.(pkt, routed);
  if (pkt.ttl === 0) pkt.ttl = defaultTtl(ns, pkt.v, hop.dev);
  if (hop.dev === opts.skbDev) {
    // udp_tunnel_dst_lookup, ip_tunnel_xmit: a carrier that would leave by its own tunnel is dropped (-ELOOP).
    return {
      t: "lost",
      disposition: "loop",
      ns,
      pkt,
      local: false,
      because: { text: `${hop.dev.name} would have to carry itself: ${routeText(r.route!)}`, source: r.route!.source },
    };
  }
  show(run, ns, pkt, r);
  if (r.route!.type === "broadcast" || (pkt.v === 4 && pkt.dst.a === -1)) {
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
  if (tooBig(pkt, hop.dev, r.route!))
    return {
      t: "send-error",
      disposition: "too-big",
      error: "EMSGSIZE",
      ns,
      pkt,
      because: tooBigFor(pkt, hop.dev, r.route!),
    };
  pkt.nextHop = hop.gateway ?? pkt.dst;
  // Rules may have something else sent meanwhile.
  const others = run.rerouted;
  run.rerouted = null;
  const fate = runHook(run, ns, "output", pkt, null, hop.dev, null, reroute);
  const last = run.rerouted ?? routed;
  run.rerouted = others;
  if (fate !== null) return fate;
  // ip6_rt_init_dst: IPv6's routes forward whatever they are asked for; those of IPv4 that are for output discard what comes in by them.
  const route = last.r.route!;
  if (pkt.v === 6 && route.type === "unicast") pkt.forwardedBy = { hop: last.hop, route };
  const out = finish(run, ns, opts.skbDev ?? null, pkt, last.hop, last === routed ? null : route);
  return out === UNWANTED
    ? {
        t: "lost",
        disposition: "dropped",
        ns,
        pkt,
        local: false,
        because: {
          text: `nobody takes the frame that leaves by ${last.hop.dev.name}`,
          source: last.hop.dev.link.source,
        },
      }
    : out;
}

/** Routes again within OUTPUT, and leaves what it found in `run.rerouted`. */
function reroute(run: Run, ns: Ns, pkt: Packet): Fate | null {
  const again = routeAgain(run, ns, pkt);
  if ("t" in again) return again;
  run.rerouted = again;
  return null;
}

/**
 * ip_route_me_harder, ip6_route_me_harder: the source stays what it is; an error reaches the sender. `oif`: the device that
 * addresses of one link are looked up on.
 */
export function routeAgain(run: Run, ns: Ns, pkt: Packet, oif: Device | null = null): Routed | Fate {
  const type = pkt.v === 4 ? addrType(ns, pkt.src, null) : "local";
  if (type === "unknown") return unknownRoutes(ns, "local addresses");
  const flow = flowFor(pkt, type === "local" || type === "unicast" ? pkt.src : null, oif);
  const r = ns.fib(pkt.v).lookup(flow);
  if (r.unknown !== null) return unknownRoutes(ns, r.unknown);
  if (r.error !== null) return { ...(sendError(ns, pkt, r) as Extract<Fate, { t: "send-error" }>), rerouted: true };
  const hop = hopOf(run, ns, r, flow);
  if (hop === null) return sendError(ns, pkt, { ...r, error: "ENETUNREACH" });
  if (strayLoopback(pkt.src, hop.dev))
    return { ...(sendError(ns, pkt, { ...r, error: "EINVAL" }) as Extract<Fate, { t: "send-error" }>), rerouted: true };
  pkt.nextHop = hop.gateway ?? pkt.dst;
  show(run, ns, pkt, r);
  return { r, hop };
}
