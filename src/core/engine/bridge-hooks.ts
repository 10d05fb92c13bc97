/** What a bridge's rules, its own and IP's by br_netfilter, make of a frame that crosses it (br_netfilter_hooks.c). */
import type { Crossing, Device } from "./device.ts";
import type { Fate } from "./fate.ts";
import { runHook } from "./hooks.ts";
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

/** Runs the rules that a neighbour's request or answer meets on a bridge; null lets it pass. ARP meets none of IP's. */
export function cross(run: Run, { bridge, from, to }: Crossing, pkt: Packet): Fate | null {
  const { ns } = bridge;
  const ip = pkt.arp === null && from !== null && to !== null && callsIp(bridge, pkt.v);
  if (!ip && !ns.filtersBelowIp) return null;
  const devices = { iif: bridge, oif: bridge, physIn: from, physOut: to, bridged: true };
  return (
    (from === null
      ? null
      : (deviceHook(run, from, "ingress", pkt) ?? bridgeHook(run, bridge, "prerouting", pkt, from, null))) ??
    (ip ? runHook(run, ns, "prerouting", pkt, { ...devices, oif: null, physOut: null }) : null) ??
    bridgeHook(run, bridge, from === null ? "output" : to === null ? "input" : "forward", pkt, from, to) ??
    (ip
      ? (runHook(run, ns, "forward", pkt, devices) ?? runHook(run, ns, "postrouting", pkt, { ...devices, iif: null }))
      : null) ??
    (to === null ? null : (bridgeHook(run, bridge, "postrouting", pkt, null, to) ?? deviceHook(run, to, "egress", pkt)))
  );
}

/** The same way back. */
export function reversed(way: readonly Crossing[]): Crossing[] {
  return way.map(({ bridge, from, to }) => ({ bridge, from: to, to: from })).toReversed();
}
