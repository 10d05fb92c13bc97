/** What a bridge's rules, its own and IP's by br_netfilter, make of a frame that crosses it (br_netfilter_hooks.c). */
import type { Crossing, Device } from "./device.ts";
import type { Fate } from "./fate.ts";
import { BridgePorts, runHook } from "./hooks.ts";
import { bridgeHook, deviceHook } from "./link-hooks.ts";
import type { Packet } from "./packet.ts";
import type { Run } from "./run.ts";

/** brnf_call_iptables: per bridge, else for the namespace; off where br_netfilter is not there. */
export function callsIp(bridge: Device, v: 4 | 6): boolean {
  return v === 4 ? (bridge.callsIp4 ??= isFiltered(bridge, 4)) : (bridge.callsIp6 ??= isFiltered(bridge, 6));
}

function isFiltered(bridge: Device, v: 4 | 6): boolean {
  const kind = bridge.link.kind;
  if (kind.kind === "bridge" && (v === 4 ? kind.nfCallIptables : kind.nfCallIp6tables)) return true;
  return (bridge.ns.sysctl(`net.bridge.bridge-nf-call-ip${v === 6 ? "6" : ""}tables`) ?? 0) !== 0;
}

/**
 * One hook of IP for a frame that crosses a bridge. To its rules the frame is for this host, whoever it is for (setup_pre_routing,
 * br_nf_forward_ip and br_nf_post_routing set PACKET_HOST, and what comes after the hook puts PACKET_OTHERHOST back).
 */
export function ipHook(
  run: Run,
  bridge: Device,
  hook: "prerouting" | "forward" | "postrouting",
  pkt: Packet,
  iif: Device | null,
  oif: Device | null,
  ports: BridgePorts,
): Fate | null {
  const others = pkt.type === "otherhost";
  if (others) pkt.type = "host";
  const fate = runHook(run, bridge.ns, hook, pkt, iif, oif, ports);
  if (others) pkt.type = "otherhost";
  return fate;
}

/** Runs the rules that a neighbour's request or answer meets on a bridge; null lets it pass. ARP meets none of IP's. */
export function cross(run: Run, { bridge, from, to }: Crossing, pkt: Packet): Fate | null {
  const { ns } = bridge;
  const ip = pkt.arp === null && from !== null && to !== null && callsIp(bridge, pkt.v);
  if (!ip && !ns.filtersBelowIp) return null;
  return (
    (from === null
      ? null
      : (deviceHook(run, from, "ingress", pkt) ?? bridgeHook(run, bridge, "prerouting", pkt, from, null))) ??
    (ip ? ipHook(run, bridge, "prerouting", pkt, bridge, null, new BridgePorts(from, null)) : null) ??
    (to === null
      ? bridgeHook(run, bridge, "input", pkt, from, null)
      : (betweenPorts(run, bridge, from, to, pkt, ip) ?? deviceHook(run, to, "egress", pkt)))
  );
}

/** Takes a message across all bridges of a way; null when all let it pass. */
export function crossAll(run: Run, way: readonly Crossing[], p: Packet): Fate | null {
  for (const crossing of way) {
    const stopped = cross(run, crossing, p);
    if (stopped !== null) return stopped;
  }
  return null;
}

/**
 * br_nf_forward and br_nf_post_routing: the rules between two ports, or between the bridge device itself (`from` null) and a port.
 * `filtered`: IP's rules see the frame, too. Null lets it pass.
 */
export function betweenPorts(
  run: Run,
  bridge: Device,
  from: Device | null,
  to: Device,
  pkt: Packet,
  filtered: boolean,
): Fate | null {
  const between = bridgeHook(run, bridge, from === null ? "output" : "forward", pkt, from, to);
  if (between !== null) return between;
  if (filtered && from !== null) {
    const ports = new BridgePorts(from, to);
    const forward = ipHook(run, bridge, "forward", pkt, bridge, bridge, ports);
    if (forward !== null) return forward;
    // NF_INET_POST_ROUTING sees no incoming device.
    const post = ipHook(run, bridge, "postrouting", pkt, null, bridge, ports);
    if (post !== null) return post;
  }
  return bridgeHook(run, bridge, "postrouting", pkt, null, to);
}

/** The same way back. */
export function reversed(way: readonly Crossing[]): Crossing[] {
  return way.map(({ bridge, from, to }) => ({ bridge, from: to, to: from })).toReversed();
}
