/** Bridges: which port a frame leaves by, and what br_netfilter shows of it to IP's rules (net/bridge/br_input.c, br_forward.c, br_netfilter_hooks.c). */
import type { FdbEntry } from "../model/link.ts";
import { isGroup, type Device } from "./device.ts";
import { betweenPorts, callsIp, ipHook } from "./bridge-hooks.ts";
import { bridgeHook } from "./link-hooks.ts";
import { UNWANTED, type FrameFate } from "./fate.ts";
import { BridgePorts } from "./hooks.ts";
import { ipReceive } from "./input.ts";
import { receivedFlow, selectHop } from "./next-hop.ts";
import { resolve } from "./neighbour.ts";
import type { Packet } from "./packet.ts";
import type { Run } from "./run.ts";
import { transmit } from "./transmit.ts";

function forwarding(port: Device): boolean {
  return port.up && (port.link.port === null || port.link.port.state === "forwarding");
}

/** What the forwarding table of a bridge has for a MAC. `to` is null where that device was not recorded. */
export interface BridgeEntry {
  /** For frames that come in by a port, whatever their VLAN; null when there is none. */
  readonly received: { readonly entry: FdbEntry; readonly to: Device | null } | null;
  /** For frames that the bridge device itself sends. */
  readonly sent: { readonly entry: FdbEntry; readonly to: Device | null } | null;
}

/** What the table has for `mac`: state only, found once for each. */
function entryFor(bridge: Device, mac: string): BridgeEntry {
  const known = (bridge.macs ??= new Map()).get(mac);
  if (known !== undefined) return known;
  const { byName } = bridge.ns;
  const entries = (bridge.fdb.get(mac) ?? []).map((entry) => ({ entry, to: byName.get(entry.dev) ?? null }));
  const found = {
    received: entries[0] ?? null,
    sent:
      entries.find(({ entry, to }) => entry.state !== "permanent" || (to?.mac !== mac && entry.dev !== bridge.name)) ??
      null,
  };
  bridge.macs.set(mac, found);
  return found;
}

/** The same for a frame that came in by a port: on a bridge that filters VLANs the entry must be of the frame's. */
function receivedEntry(bridge: Device, port: Device, pkt: Packet, mac: string): BridgeEntry["received"] {
  const vlan = vlanAt(bridge, port, pkt);
  if (vlan === 0) return entryFor(bridge, mac).received;
  const entry = bridge.fdb.get(mac)?.find((e) => e.vlan === null || e.vlan === vlan);
  return entry === undefined ? null : { entry, to: bridge.ns.byName.get(entry.dev) ?? null };
}

/** VLAN that a frame belongs to on this bridge: 0 without filtering; null when the port does not take it. */
function vlanAt(bridge: Device, port: Device, pkt: Packet): number | null {
  const kind = bridge.link.kind;
  if (kind.kind !== "bridge" || !kind.vlanFiltering) return 0;
  const vid = pkt.vlan ?? port.link.vlans.find((v) => v.pvid)?.vid ?? null;
  if (vid === null || !port.link.vlans.some((v) => v.vid === vid)) return null;
  return vid;
}

/** br_handle_frame: a frame comes in by a port. */
export function bridgeReceive(run: Run, port: Device, pkt: Packet): FrameFate {
  const bridge = port.master!;
  const { ns } = port;
  const missing = ns.missing("bridge-link") ?? ns.missing("fdb");
  if (missing !== null)
    return {
      t: "inconclusive",
      because: { text: `the ports of ${ns.place} ${bridge.name} are not known: ${missing}`, source: null },
    };
  if (!bridge.up && !bridge.link.up) return lost(run, port, pkt, `${bridge.name} is down`);
  if (!forwarding(port))
    return lost(run, port, pkt, `port ${port.name} of ${bridge.name} is ${port.link.port?.state ?? "down"}`);
  const vid = vlanAt(bridge, port, pkt);
  if (vid === null) return lost(run, port, pkt, `port ${port.name} of ${bridge.name} does not take the frame's VLAN`);
  if (pkt.macDst === bridge.mac) pkt.type = "host";
  const early = bridgeHook(run, bridge, "prerouting", pkt, port, null);
  if (early !== null) return early;
  const filtered = callsIp(bridge, pkt.v);
  if (filtered) {
    const dst = pkt.dst;
    pkt.port = port;
    const fate = ipHook(run, bridge, "prerouting", pkt, bridge, null, new BridgePorts(port, null));
    if (fate !== null) return fate;
    if (dst !== pkt.dst && dst.key !== pkt.dst.key) return afterDnat(run, port, bridge, pkt);
  }
  return forwardOrUp(run, port, bridge, pkt, filtered);
}

/** br_nf_pre_routing_finish once DNAT has changed the destination: stay on the bridge when the route does, else go up to be routed. */
function afterDnat(run: Run, port: Device, bridge: Device, pkt: Packet): FrameFate {
  const { ns } = port;
  const fib = ns.fib(pkt.v);
  const r = fib.byDestination(pkt.dst) ?? fib.lookup(receivedFlow(pkt, bridge));
  if (r.unknown !== null)
    return { t: "inconclusive", because: { text: `routes of ${ns.place} are not known: ${r.unknown}`, source: null } };
  if (r.error === null && r.route?.type === "unicast") {
    const hop = r.only ?? selectHop(run, ns, r, receivedFlow(pkt, bridge));
    if (hop?.dev === bridge) {
      const found = resolve(run, ns, bridge, hop.gateway ?? pkt.dst, pkt);
      if (found.t === "unknown") return { t: "inconclusive", because: { text: found.why, source: null } };
      if (found.t === "failed") return lost(run, port, pkt, found.why);
      pkt.macDst = found.mac;
      pkt.type = "otherhost";
      return forwardOrUp(run, port, bridge, pkt, true);
    }
  }
  pkt.macDst = bridge.mac;
  pkt.type = "host";
  return forwardOrUp(run, port, bridge, pkt, true);
}

/** br_handle_frame_finish. `filtered`: IP's PREROUTING has run already (ip_sabotage_in keeps it from running twice). */
function forwardOrUp(run: Run, port: Device, bridge: Device, pkt: Packet, filtered: boolean): FrameFate {
  const { ns } = port;
  const mac = pkt.macDst ?? "ff:ff:ff:ff:ff:ff";
  if (mac === bridge.mac || mac === port.mac || isGroup(mac)) return passUp(run, port, bridge, pkt, mac, filtered);
  const found = receivedEntry(bridge, port, pkt, mac);
  if (found !== null) {
    const { entry, to } = found;
    if (to !== null && to !== bridge && entry.state !== "permanent") {
      if (run.recording) run.step(ns, pkt, "fdb", `${mac} dev ${entry.dev} master ${bridge.name}`, entry.source);
      return bridgeForward(run, bridge, port, to, pkt, filtered);
    }
    if (to !== null && entry.state === "permanent" && to.mac !== mac && to !== bridge)
      return bridgeForward(run, bridge, port, to, pkt, filtered);
    if (entry.state === "permanent") return passUp(run, port, bridge, pkt, mac, filtered);
  }
  return flood(run, bridge, port, pkt, filtered);
}

/** br_pass_frame_up: the frame is for the bridge device itself. */
function passUp(run: Run, port: Device, bridge: Device, pkt: Packet, mac: string, filtered: boolean): FrameFate {
  const stopped = bridgeHook(run, bridge, "input", pkt, port, null);
  if (stopped !== null) return stopped;
  if (mac === bridge.mac || mac === port.mac) pkt.type = "host";
  return ipReceive(run, bridge, pkt, filtered);
}

/** br_flood: every port but the one that it came by; what nobody wants counts for nothing. */
function flood(run: Run, bridge: Device, from: Device | null, pkt: Packet, filtered: boolean): FrameFate {
  let taken: FrameFate = UNWANTED;
  const wanted: Device[] = [];
  for (const to of bridge.ports) {
    if (to.link.port !== null && !to.link.port.flood) continue;
    if (to === from && !(to.link.port?.hairpin ?? false)) continue;
    // Only where the frame's MAC is answered to, or where that can't be told beforehand, is it worth following.
    if (to.peer !== null && to.peer.master === null && to.peer.uppers.length === 0 && to.peer.mac !== pkt.macDst)
      continue;
    wanted.push(to);
  }
  for (const to of wanted) {
    const copy = wanted.length > 1 ? copyOf(pkt) : pkt;
    const mark = run.steps?.length ?? 0;
    const fate = bridgeForward(run, bridge, from, to, copy, filtered);
    if (fate === UNWANTED || (fate.t === "lost" && fate.disposition === "loop")) {
      if (run.steps !== null) run.steps.length = mark;
      continue;
    }
    if (taken === UNWANTED || taken.t === "lost") taken = fate;
  }
  return taken === UNWANTED
    ? lost(
        run,
        bridge,
        pkt,
        `${bridge.name} knows no port for ${pkt.macDst ?? "the frame"}, and nobody behind its ports has it`,
      )
    : taken;
}

function copyOf(pkt: Packet): Packet {
  const c = pkt.clone();
  if (pkt.ct !== null && !pkt.ct.confirmed) c.ct = { ...pkt.ct };
  return c;
}

/** should_deliver, then br_nf_forward and br_nf_post_routing, then out by the port. `from` is null for what the bridge device itself sends. */
function bridgeForward(
  run: Run,
  bridge: Device,
  from: Device | null,
  to: Device,
  pkt: Packet,
  filtered: boolean,
): FrameFate {
  const { ns } = bridge;
  if (to === from && !(to.link.port?.hairpin ?? false)) {
    return {
      t: "lost",
      disposition: "dropped",
      ns,
      pkt,
      local: false,
      because: {
        text: `${to.name} would have to send the frame back where it came from, and hairpin is off on it`,
        source: to.link.port?.source ?? to.link.source,
      },
    };
  }
  if (!forwarding(to))
    return lost(run, to, pkt, `port ${to.name} of ${bridge.name} is ${to.link.port?.state ?? "down"}`);
  if (from !== null && from.link.port?.isolated && to.link.port?.isolated)
    return lost(run, to, pkt, `ports ${from.name} and ${to.name} of ${bridge.name} are isolated from each other`);
  const kind = bridge.link.kind;
  if (kind.kind === "bridge" && kind.vlanFiltering && from !== null) {
    const vid = vlanAt(bridge, from, pkt);
    if (vid === null || !to.link.vlans.some((v) => v.vid === vid))
      return lost(run, to, pkt, `port ${to.name} of ${bridge.name} is not in VLAN ${vid ?? "?"}`);
  }
  const stopped = betweenPorts(run, bridge, from, to, pkt, filtered);
  if (stopped !== null) return stopped;
  if (run.recording)
    run.step(ns, pkt, "bridge", `${bridge.name}: out by port ${to.name}`, to.link.port?.source ?? to.link.source);
  return transmit(run, to, pkt);
}

/** br_dev_xmit: the namespace sends by the bridge device itself. */
export function bridgeTransmit(run: Run, bridge: Device, pkt: Packet): FrameFate {
  const { ns } = bridge;
  const missing = ns.missing("bridge-link") ?? ns.missing("fdb");
  if (missing !== null)
    return {
      t: "inconclusive",
      because: { text: `the ports of ${ns.place} ${bridge.name} are not known: ${missing}`, source: null },
    };
  const mac = pkt.macDst ?? "ff:ff:ff:ff:ff:ff";
  if (!isGroup(mac)) {
    const { sent } = entryFor(bridge, mac);
    if (sent !== null && sent.to !== null) {
      const { entry, to } = sent;
      if (run.recording) run.step(ns, pkt, "fdb", `${mac} dev ${entry.dev} master ${bridge.name}`, entry.source);
      return bridgeForward(run, bridge, null, to, pkt, false);
    }
  }
  return flood(run, bridge, null, pkt, false);
}

function lost(_run: Run, dev: Device, pkt: Packet, text: string): FrameFate {
  return {
    t: "lost",
    disposition: "dropped",
    ns: dev.ns,
    pkt,
    local: false,
    because: { text, source: dev.link.port?.source ?? dev.link.source },
  };
}
