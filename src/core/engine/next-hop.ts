/** From a route to the device and next hop that it uses for one packet (fib_select_path, fib_select_multipath, rt6_multipath_hash). */
import { formatIp, formatPrefix, type Ip } from "../model/address.ts";
import type { NextHop, Route } from "../model/route.ts";
import type { Device } from "./device.ts";
import type { FibResult, Flow } from "./fib.ts";
import type { Ns } from "./ns.ts";
import { inetSelectAddr, scopeNumber } from "./source-address.ts";
import type { Packet } from "./packet.ts";
import type { Run } from "./run.ts";

export interface Hop {
  readonly dev: Device;
  /** Neighbour to send to; null: the destination itself. */
  readonly gateway: Ip | null;
  readonly nextHop: NextHop;
}

/** What a lookup for a packet goes by that came in by a device. */
export function receivedFlow(pkt: Packet, iif: Device): Flow {
  return {
    dst: pkt.dst,
    src: pkt.src,
    iif,
    oif: null,
    mark: pkt.mark,
    tos: pkt.tos,
    proto: pkt.proto,
    sport: pkt.sport,
    dport: pkt.dport,
    uid: null,
  };
}

/** What a route says, as `ip route` would print it. */
export function routeText(r: Route): string {
  const type = r.type === "unicast" ? "" : `${r.type} `;
  const dst =
    r.dst.len === 0
      ? "default"
      : r.dst.len === (r.dst.ip.v === 4 ? 32 : 128)
        ? formatIp(r.dst.ip)
        : formatPrefix(r.dst);
  const hops = r.nexthops.map((nh) => {
    const via = nh.gateway === null ? "" : ` via ${formatIp(nh.gateway)}`;
    const dev = nh.dev === null ? "" : ` dev ${nh.dev}`;
    return `${r.nexthops.length > 1 ? " nexthop" : ""}${via}${dev}${nh.onlink ? " onlink" : ""}`;
  });
  const src = r.prefSrc === null ? "" : ` src ${formatIp(r.prefSrc)}`;
  return `${type}${dst}${hops.join("")}${src}`;
}

/** Fields that the multipath hash looks at, by fib_multipath_hash_policy; null when the policy is one whose fields are not modelled. */
function hashKey(ns: Ns, route: Route, flow: Flow): string {
  const v6 = flow.dst.v === 6;
  const policy = ns.sysctl(v6 ? "net.ipv6.fib_multipath_hash_policy" : "net.ipv4.fib_multipath_hash_policy") ?? 0;
  const addresses = `${ns.place} ${route.source.line} ${formatPrefix(route.dst)} ${route.table} ${route.metric} ${flow.src?.key ?? 0} ${flow.dst.key}`;
  // 0: addresses (IPv6: next header too). 1 and 3: ports as well. 2: those of the inner packet of a tunnel.
  return policy === 0 ? addresses : `${addresses} ${flow.proto} ${flow.sport} ${flow.dport}`;
}

/** The next hop for this flow; each one of several is a branch. Null when its device was not recorded. */
export function selectHop(run: Run, ns: Ns, r: FibResult, flow: Flow): Hop | null {
  if (r.only !== null) return r.only;
  const nh = pick(run, ns, r.route!, flow);
  if (nh === null || nh.dev === null) return null;
  const dev = ns.byName.get(nh.dev);
  return dev === undefined ? null : { dev, gateway: nh.gateway, nextHop: nh };
}

function pick(run: Run, ns: Ns, route: Route, flow: Flow): NextHop | null {
  const hops = route.nexthops;
  if (hops.length === 1) return hops[0]!;
  const fib = ns.fib(flow.dst.v);
  const usable = hops.filter((nh) => fib.nextHopUsable(nh, flow.oif));
  if (usable.length <= 1) return usable[0] ?? null;
  // With an output device given, fib_table_lookup takes the first next hop on it, without a hash.
  if (flow.oif !== null) return usable[0]!;
  const weights = usable.map((nh) => nh.weight);
  if (flow.src !== null && flow.iif === null && flow.dst.v === 4) return pickFor(run, ns, route, flow, usable, weights);
  return usable[run.chooseHashed(hashKey(ns, route, flow), weights)]!;
}

/** fib_select_multipath of Linux 6.15 and later: among next hops, those whose own address is the packet's source come first. */
function pickFor(run: Run, ns: Ns, route: Route, flow: Flow, usable: NextHop[], weights: number[]): NextHop {
  const mine = usable.map((nh) => {
    const addr =
      route.prefSrc ??
      inetSelectAddr(
        ns,
        nh.dev === null ? null : (ns.byName.get(nh.dev) ?? null),
        nh.gateway,
        scopeNumber(route.scope),
      );
    return addr !== null && addr.key === flow.src!.key;
  });
  if (!mine.includes(true) || !mine.includes(false))
    return usable[run.chooseHashed(hashKey(ns, route, flow), weights)]!;
  // The hash falls into next hop i's interval; the first matching next hop from i on wins, else the first matching one.
  const landing = usable.map((_, i) => {
    for (let j = i; j < usable.length; j++) if (mine[j]) return j;
    return mine.indexOf(true);
  });
  const merged = usable.map((_, j) => landing.reduce((sum, to, i) => (to === j ? sum + weights[i]! : sum), 0));
  return usable[run.chooseHashed(hashKey(ns, route, flow), merged)]!;
}
