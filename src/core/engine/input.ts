/** IP packets that come in: PREROUTING, the routing decision, then here or onwards (ip_rcv, ip_route_input_slow; ip6_rcv, ip6_route_input). */
import { formatIp, sameIp, type Ip } from "../model/address.ts";
import { sysctlConf } from "../model/sysctl.ts";
import type { Source } from "../model/source.ts";
import type { Disposition } from "../model/walk.ts";
import type { Device } from "./device.ts";
import { UNWANTED, type Fate, type FrameFate, type IcmpError } from "./fate.ts";
import type { FibResult } from "./fib.ts";
import { forward } from "./forward.ts";
import { runHook } from "./hooks.ts";
import { deliver } from "./local-in.ts";
import { receivedFlow, routeText, selectHop } from "./next-hop.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";
import { validateSource } from "./reverse-path.ts";
import type { Run } from "./run.ts";

/**
 * `skipPrerouting`: a bridge has shown it to PREROUTING already. `looped`: it comes back by the loopback device and keeps
 * the route that it was sent with, unless NAT changes its destination (skb_dst_drop in nf_nat_ipv4_pre_routing).
 */
export function ipReceive(run: Run, dev: Device, pkt: Packet, skipPrerouting: boolean, looped = false): FrameFate {
  const { ns } = dev;
  if (pkt.type === "otherhost") return UNWANTED;
  const missing = ns.missing("sysctl") ?? ns.missing("addr");
  if (missing !== null)
    return {
      t: "inconclusive",
      because: { text: `the settings of ${ns.place} are not known: ${missing}`, source: null },
    };
  if (pkt.v === 6 && dev.conf.disableIpv6)
    return drop(
      ns,
      pkt,
      "dropped",
      `IPv6 is off on ${dev.name}`,
      ns.sysctlSource(sysctlConf("ipv6", dev.name, "disable_ipv6")),
    );
  // ip6_rcv_core, inet_iif: what comes back by the loopback device counts as come in by the device of its local route.
  pkt.cameBy = dev.isLoopback ? (ns.owner(pkt.dst) ?? dev) : dev;
  const { dst } = pkt;
  if (!skipPrerouting) {
    const fate = runHook(run, ns, "prerouting", pkt, dev.vrf ?? dev, null);
    if (fate !== null) return fate;
  }
  if (looped && sameIp(dst, pkt.dst)) return deliver(run, ns, dev, pkt);
  return pkt.v === 4 ? route4(run, ns, dev, pkt) : route6(run, ns, dev, pkt);
}

function drop(ns: Ns, pkt: Packet, disposition: Disposition, text: string, source: Source | null): Fate {
  return { t: "lost", disposition, ns, pkt, local: false, because: { text, source } };
}

function icmp(
  ns: Ns,
  pkt: Packet,
  disposition: Disposition,
  error: IcmpError,
  text: string,
  source: Source | null,
): Fate {
  return { t: "error", disposition, ns, pkt, icmp: error, because: { text, source }, local: false };
}

const top = (ip: Ip): number => ip.a >>> 24;

/** Addresses that no packet on a wire may have (the martian checks of ip_route_input_slow). */
function martian(pkt: Packet, dev: Device): string | null {
  const { src, dst } = pkt;
  if (src.a >>> 28 === 0xe || src.a === -1) return `${formatIp(src)} can be no source`;
  if (dst.a === -1 || (src.a === 0 && dst.a === 0)) return null;
  if (top(src) === 0) return `source ${formatIp(src)} is of network 0`;
  if (top(dst) === 0) return `destination ${formatIp(dst)} is of network 0`;
  if (!dev.conf.routeLocalnet) {
    if (top(dst) === 127) return `destination ${formatIp(dst)} came in by ${dev.name}, and route_localnet is off`;
    if (top(src) === 127) return `source ${formatIp(src)} came in by ${dev.name}, and route_localnet is off`;
  }
  return null;
}

function showRoute(run: Run, ns: Ns, pkt: Packet, r: FibResult): void {
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

export function tableName(table: number): string {
  return table === 255 ? "local" : table === 254 ? "main" : table === 253 ? "default" : String(table);
}

function route4(run: Run, ns: Ns, dev: Device, pkt: Packet): FrameFate {
  const bad = martian(pkt, dev);
  if (bad !== null) return drop(ns, pkt, "martian", bad, dev.link.source);
  if (pkt.dst.a === -1) return drop(ns, pkt, "dropped", "broadcasts are not answered", dev.link.source);
  if (pkt.dst.a >>> 28 === 0xe)
    return { t: "inconclusive", because: { text: "multicast is not modelled", source: null } };
  const fib = ns.fib(4);
  const r = fib.byDestination(pkt.dst) ?? fib.lookup(receivedFlow(pkt, dev));
  if (r.unknown !== null)
    return { t: "inconclusive", because: { text: `routes of ${ns.place} are not known: ${r.unknown}`, source: null } };
  showRoute(run, ns, pkt, r);
  const forwards = dev.conf.forwarding4;
  const type = r.error === null ? r.route!.type : null;
  if (type === "broadcast") {
    const check = checkSource(ns, pkt, dev, null);
    if (check !== null) return check;
    // INPUT sees it; of what refuses it there nobody is told (RTCF_BROADCAST in icmp_send and nf_send_reset).
    const fate = runHook(run, ns, "input", pkt, dev, null);
    if (fate !== null && (fate.t === "inconclusive" || fate.t === "lost")) return fate;
    const text = `${formatIp(pkt.dst)} is a broadcast address, which is not answered`;
    return drop(ns, pkt, "dropped", text, r.route!.source);
  }
  if (type === "local") {
    const check = checkSource(ns, pkt, dev, null);
    return check ?? deliver(run, ns, dev, pkt);
  }
  if (forwards === null)
    return {
      t: "inconclusive",
      because: { text: `whether ${ns.place} forwards what comes in by ${dev.name} was not recorded`, source: null },
    };
  if (!forwards) {
    // ip_error stays silent where the device does not forward.
    const key = sysctlConf("ipv4", dev.name, "forwarding");
    const at = ns.sysctlSource(key);
    run.step(ns, pkt, "sysctl", `${key} = 0`, at);
    return drop(ns, pkt, "dropped", `forwarding is off on ${dev.name}: ${key} = 0`, at);
  }
  if (r.error !== null) return noRoute4(ns, pkt, r);
  if (type !== "unicast")
    return drop(ns, pkt, "martian", `${formatIp(pkt.dst)} is ${type ?? "no destination"}`, r.route!.source);
  const hop = r.only ?? selectHop(run, ns, r, receivedFlow(pkt, dev));
  if (hop === null)
    return drop(ns, pkt, "no-route", `${routeText(r.route!)} has no next hop that is up`, r.route!.source);
  const check = checkSource(ns, pkt, dev, hop.dev);
  if (check !== null) return check;
  return forward(run, ns, dev, pkt, hop, r.route!);
}

/** Source validation, in words; null when it passes. */
function checkSource(ns: Ns, pkt: Packet, dev: Device, oif: Device | null): Fate | null {
  const check = validateSource(ns, pkt.src, pkt, dev, oif);
  if (check === "ok") return null;
  if (typeof check === "object") return { t: "inconclusive", because: { text: check.unknown, source: null } };
  if (check === "local-source")
    return drop(
      ns,
      pkt,
      "martian",
      `source ${formatIp(pkt.src)} is an address of ${ns.place} itself`,
      ns.owner(pkt.src)?.link.source ?? null,
    );
  const key =
    (ns.sysctl(sysctlConf("ipv4", dev.name, "rp_filter")) ?? 0) !== 0
      ? sysctlConf("ipv4", dev.name, "rp_filter")
      : sysctlConf("ipv4", "all", "rp_filter");
  return drop(
    ns,
    pkt,
    "rp-filter",
    `rp_filter: ${formatIp(pkt.src)} came in by ${dev.name}, and the route back leads elsewhere (${key} = ${ns.sysctl(key) ?? "?"})`,
    ns.sysctlSource(key),
  );
}

/** ip_error. */
function noRoute4(ns: Ns, pkt: Packet, r: FibResult): Fate {
  const source = r.route?.source ?? r.rule?.source ?? null;
  const text =
    r.route !== null
      ? routeText(r.route)
      : r.rule !== null
        ? `rule ${r.rule.priority} ${r.rule.action}`
        : `${ns.place} has no route to ${formatIp(pkt.dst)}`;
  switch (r.error) {
    case "ENETUNREACH":
      return icmp(ns, pkt, "no-route", { type: 3, code: 0, mtu: null }, text, source);
    case "EHOSTUNREACH":
      return icmp(ns, pkt, "no-route", { type: 3, code: 1, mtu: null }, text, source);
    case "EACCES":
      return icmp(ns, pkt, "no-route", { type: 3, code: 13, mtu: null }, text, source);
    default:
      return drop(ns, pkt, "dropped", text, source);
  }
}

function route6(run: Run, ns: Ns, dev: Device, pkt: Packet): FrameFate {
  if (top(pkt.src) === 0xff) return drop(ns, pkt, "martian", `${formatIp(pkt.src)} can be no source`, dev.link.source);
  if (top(pkt.dst) === 0xff) return { t: "inconclusive", because: { text: "multicast is not modelled", source: null } };
  // ip6_rcv_core: the loopback address never comes from a wire.
  for (const ip of [pkt.src, pkt.dst]) {
    if (ip.a === 0 && ip.b === 0 && ip.c === 0 && ip.d === 1)
      return drop(ns, pkt, "martian", `${formatIp(ip)} came in by ${dev.name}`, dev.link.source);
  }
  const flow = receivedFlow(pkt, dev);
  // ip6_pol_route_input: link-local destinations are looked up on the incoming device only.
  if (pkt.dst.a >>> 22 === 0x3fa) flow.oif = dev;
  const r = ns.fib(6).lookup(flow);
  if (r.unknown !== null)
    return { t: "inconclusive", because: { text: `routes of ${ns.place} are not known: ${r.unknown}`, source: null } };
  showRoute(run, ns, pkt, r);
  if (r.error === null && (r.route!.type === "local" || r.route!.type === "anycast")) return deliver(run, ns, dev, pkt);
  if (r.error !== null) {
    const source = r.route?.source ?? r.rule?.source ?? null;
    const text =
      r.route !== null
        ? routeText(r.route)
        : r.rule !== null
          ? `rule ${r.rule.priority} ${r.rule.action}`
          : `${ns.place} has no route to ${formatIp(pkt.dst)}`;
    // ip6_pkt_discard and ip6_pkt_prohibit answer whether or not the device forwards; blackholes stay silent.
    if (r.error === "EINVAL") return drop(ns, pkt, "dropped", text, source);
    if (r.error === "EACCES") return icmp(ns, pkt, "no-route", { type: 1, code: 1, mtu: null }, text, source);
    return icmp(ns, pkt, "no-route", { type: 1, code: 0, mtu: null }, text, source);
  }
  const all = ns.sysctl("net.ipv6.conf.all.forwarding");
  if (all === null)
    return { t: "inconclusive", because: { text: `whether ${ns.place} forwards IPv6 was not recorded`, source: null } };
  const force = ns.sysctl(sysctlConf("ipv6", dev.name, "force_forwarding")) ?? 0;
  if (all === 0 && force === 0) {
    const at = ns.sysctlSource("net.ipv6.conf.all.forwarding");
    run.step(ns, pkt, "sysctl", "net.ipv6.conf.all.forwarding = 0", at);
    return drop(ns, pkt, "dropped", "forwarding is off: net.ipv6.conf.all.forwarding = 0", at);
  }
  const hop = selectHop(run, ns, r, flow);
  if (hop === null)
    return drop(ns, pkt, "no-route", `${routeText(r.route!)} has no next hop that is up`, r.route!.source);
  return forward(run, ns, dev, pkt, hop, r.route!);
}
