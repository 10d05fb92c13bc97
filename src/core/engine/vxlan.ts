/** VXLAN devices (drivers/net/vxlan/vxlan_core.c). */
import { formatIp, type Ip } from "../model/address.ts";
import type { FdbEntry } from "../model/link.ts";
import type { Source } from "../model/source.ts";
import { isGroup, type Device } from "./device.ts";
import type { FrameFate } from "./fate.ts";
import type { Ns } from "./ns.ts";
import { forward } from "./forward.ts";
import { runHook } from "./hooks.ts";
import { sendFrom } from "./output.ts";
import { Packet, UDP } from "./packet.ts";
import type { Run } from "./run.ts";
import { receive } from "./transmit.ts";

/** Outer IP, UDP and VXLAN headers plus the inner Ethernet header. */
export const VXLAN_OVERHEAD_4 = 50;
const VXLAN_OVERHEAD_6 = 70;
const ZEROS = "00:00:00:00:00:00";

interface Remote {
  readonly ip: Ip;
  readonly port: number;
  readonly vni: number;
  readonly via: string | null;
  readonly source: Source | null;
}

function remotes(dev: Device, mac: string): Remote[] {
  const kind = dev.link.kind;
  if (kind.kind !== "vxlan") return [];
  const out: Remote[] = [];
  for (const e of dev.fdb.get(mac) ?? []) {
    if (e.dst !== null)
      out.push({ ip: e.dst, port: e.port ?? kind.port, vni: e.vni ?? kind.id ?? 0, via: e.via, source: e.source });
  }
  // The device's own `remote` is an all-zeros entry, which `bridge fdb` shows too; without fdb.json it is all there is.
  if (mac === ZEROS && out.length === 0 && kind.remote !== null)
    out.push({ ip: kind.remote, port: kind.port, vni: kind.id ?? 0, via: null, source: dev.link.source });
  return out;
}

/** What the forwarding table of a VXLAN device has for a MAC. */
export interface VxlanEntry {
  /** The entry that leads to a group of next hops; null when none does. */
  readonly group: FdbEntry | null;
  readonly remotes: readonly Remote[];
}

/** What the table has for `mac`: state only, found once for each. */
function entryFor(dev: Device, mac: string): VxlanEntry {
  const known = (dev.vteps ??= new Map()).get(mac);
  if (known !== undefined) return known;
  const group = dev.fdb.get(mac)?.find((e) => e.nhid !== undefined) ?? null;
  const entry = { group, remotes: remotes(dev, mac) };
  dev.vteps.set(mac, entry);
  return entry;
}

/** vxlan_xmit. */
export function vxlanTransmit(run: Run, dev: Device, pkt: Packet): FrameFate {
  const { ns } = dev;
  const kind = dev.link.kind;
  if (kind.kind !== "vxlan") throw new Error("not a VXLAN device");
  const source = dev.link.source;
  if (kind.external)
    return {
      t: "inconclusive",
      because: { text: `${dev.name} is external: a program gives each packet its tunnel`, source },
    };
  const missing = ns.missing("fdb");
  if (missing !== null)
    return {
      t: "inconclusive",
      because: { text: `the forwarding table of ${ns.place} ${dev.name} is not known: ${missing}`, source: null },
    };
  const mac = pkt.macDst ?? ZEROS;
  const entry = entryFor(dev, mac);
  const others = entryFor(dev, ZEROS);
  const group = entry.group ?? others.group;
  if (group !== null)
    return {
      t: "inconclusive",
      because: {
        text: `${mac} on ${dev.name} leads to next hop group ${group.nhid}, which is not modelled`,
        source: group.source,
      },
    };
  const learned = run.learnedVtep(dev, mac);
  let to =
    learned === null ? entry.remotes : [{ ip: learned, port: kind.port, vni: kind.id ?? 0, via: null, source: null }];
  if (to.length === 0) to = others.remotes;
  const remote = to[0];
  if (remote === undefined) {
    // The L2MISS message goes to a daemon; this packet is dropped either way.
    const miss = kind.l2miss ? " (an L2 miss is told to whoever listens)" : "";
    return {
      t: "lost",
      disposition: "dropped",
      ns,
      pkt,
      local: false,
      because: { text: `${dev.name} has no forwarding entry for ${mac}${miss}`, source },
    };
  }
  if (to.length > 1)
    return {
      t: "inconclusive",
      because: {
        text: `${dev.name} sends copies for ${mac} to ${to.map((r) => formatIp(r.ip)).join(", ")}`,
        source: remote.source,
      },
    };
  if (run.recording) run.step(ns, pkt, "fdb", `${mac} dev ${dev.name} dst ${formatIp(remote.ip)}`, remote.source);
  const straight = bypass(run, dev, pkt, remote);
  if (straight !== null) return straight;
  const outer = new Packet(remote.ip.v, kind.local ?? remote.ip, remote.ip, UDP);
  outer.layer = pkt.layer + 1;
  outer.sport = carrierPort(ns, pkt);
  outer.randomSport = true;
  outer.dport = remote.port;
  outer.ttl = kind.ttl;
  // iptunnel_xmit leaves skb->sk and skb->mark as they are.
  outer.socket = pkt.socket;
  outer.uid = pkt.uid;
  outer.gid = pkt.gid;
  outer.mark = pkt.mark;
  outer.length = pkt.length + (remote.ip.v === 4 ? VXLAN_OVERHEAD_4 : VXLAN_OVERHEAD_6);
  outer.exactLength = pkt.exactLength;
  outer.df = kind.df === "set" || (kind.df === "inherit" && pkt.df);
  outer.inner = pkt;
  outer.vni = remote.vni;
  const via = remote.via === null ? null : (ns.byName.get(remote.via) ?? null);
  if (run.recording) run.step(ns, outer, "tunnel", `${dev.name}: into VXLAN ${remote.vni}`, source);
  const fate = sendFrom(run, ns, outer, { oif: via, fixedSource: kind.local, skbDev: dev });
  return tunnelFate(fate, pkt);
}

/** udp_flow_src_port: a hash of the flow with a secret. This number stands for it, and is none that a recorded connection has. */
function carrierPort(ns: Ns, pkt: Packet): number {
  const used = ns.world.usedPorts();
  let port = 49152 + ((pkt.sport * 31 + pkt.dport) & 0x3fff);
  while (used.has(port) && port < 65535) port++;
  return port;
}

/**
 * vxlan_encap_bypass: a remote that is an address of this very namespace. The frame goes straight to the device of that VNI and
 * comes in there, still with its connection and its route, and is forwarded by that again, until its TTL runs out; only what starts
 * here and is IPv4 is discarded (dst_discard). Null when the remote is elsewhere.
 */
function bypass(run: Run, dev: Device, pkt: Packet, remote: Remote): FrameFate | null {
  const { ns } = dev;
  if (ns.owner(remote.ip) === null) return null;
  const to = ns.devices.find(
    (d) =>
      d.link.kind.kind === "vxlan" && d.link.kind.id === remote.vni && d.link.kind.port === remote.port && d.link.up,
  );
  const text = `${dev.name}: the remote ${formatIp(remote.ip)} is ${ns.place} itself`;
  const lost: FrameFate = {
    t: "lost",
    disposition: "dropped",
    ns,
    pkt,
    local: false,
    because: { text, source: remote.source },
  };
  if (to === undefined) return lost;
  if (run.recording) run.step(ns, pkt, "tunnel", text, remote.source);
  pkt.type = "host";
  const route = pkt.forwardedBy;
  const fate = runHook(run, ns, "prerouting", pkt, to, null);
  if (fate !== null) return fate;
  // ip6_forward: nothing where the machine does not forward at all.
  if (pkt.v === 6 && ns.sysctl("net.ipv6.conf.all.forwarding") !== 1) return lost;
  return route === null ? lost : forward(run, ns, to, pkt, route.hop, route.route);
}

/** What becomes of the carrier becomes of what it carries: errors about the carrier reach only the tunnel's own namespace. */
export function tunnelFate(fate: FrameFate, inner: Packet): FrameFate {
  if (typeof fate === "symbol") return fate;
  // The fate is the inner packet's own once it was taken out of the tunnel.
  if (fate.t === "inconclusive" || fate.pkt.layer <= inner.layer) return fate;
  switch (fate.t) {
    case "lost":
      return { ...fate, local: false };
    case "error":
    case "reset":
      return {
        t: "lost",
        disposition: fate.t === "reset" ? "rejected" : fate.disposition,
        ns: fate.ns,
        pkt: inner,
        because: fate.because,
        local: false,
      };
    case "send-error":
      return { t: "lost", disposition: fate.disposition, ns: fate.ns, pkt: inner, because: fate.because, local: false };
    case "delivered":
    case "no-listener":
    case "left":
      return { t: "lost", disposition: "dropped", ns: fate.ns, pkt: inner, because: fate.because, local: false };
  }
}

/** Whether a VXLAN device listens where this packet goes: a socket of its addresses' family, of both when it is external (__vxlan_sock_add). */
function takes(dev: Device, pkt: Packet): boolean {
  const kind = dev.link.kind;
  if (kind.kind !== "vxlan" || kind.port !== pkt.dport || !dev.link.up) return false;
  return kind.external || ((kind.local ?? kind.remote)?.v ?? 4) === pkt.v;
}

/** vxlan_rcv: the device of this VNI and port that takes what the packet carries; null when the namespace has none. */
export function vxlanDevice(ns: Ns, pkt: Packet): Device | null {
  if (pkt.proto !== UDP) return null;
  for (const dev of ns.vxlans) {
    const kind = dev.link.kind;
    if (kind.kind === "vxlan" && takes(dev, pkt) && (kind.id === pkt.vni || kind.external)) return dev;
  }
  return null;
}

/** Whether the kernel itself listens on this UDP port for some VXLAN device. */
export function isVxlanPort(ns: Ns, pkt: Packet): boolean {
  if (pkt.proto !== UDP) return false;
  for (const dev of ns.vxlans) if (takes(dev, pkt)) return true;
  return false;
}

/**
 * vxlan_snoop: a device that learns remembers behind which remote a MAC is, so that the answer goes there, whatever its entry
 * for unknown MACs. Returns the entry that forbids the frame: one that does not age, with another remote.
 */
function snoop(run: Run, dev: Device, mac: string, remote: Ip): FdbEntry | null {
  const kind = dev.link.kind;
  if (kind.kind !== "vxlan" || !kind.learning || isGroup(mac)) return null;
  const known = dev.fdb.get(mac)?.find((e) => e.dst !== null);
  if (known?.dst?.key === remote.key && run.learnedVtep(dev, mac) === null) return null;
  if (known !== undefined && (known.state === "permanent" || known.state === "static") && known.dst?.key !== remote.key)
    return known;
  run.learnVtep(dev, mac, remote);
  return null;
}

/** Takes the inner packet out and receives it on the VXLAN device. */
export function vxlanReceive(run: Run, ns: Ns, pkt: Packet): FrameFate {
  const inner = pkt.inner;
  const dev = vxlanDevice(ns, pkt);
  const at = (text: string, source: Source | null): FrameFate => ({
    t: "lost",
    disposition: "dropped",
    ns,
    pkt,
    local: false,
    because: { text, source },
  });
  if (inner === null)
    return at(`port ${pkt.dport} is VXLAN's, and this is no VXLAN packet`, ns.vxlans[0]?.link.source ?? null);
  if (dev === null) return at(`no VXLAN device with VNI ${pkt.vni ?? 0} and port ${pkt.dport}`, null);
  // vxlan_set_mac: what comes from the device's own MAC has gone in a circle.
  if (inner.macSrc !== null && inner.macSrc === dev.mac)
    return at(`the frame comes from ${dev.name}'s own MAC`, dev.link.source);
  const strange = inner.macSrc === null ? null : snoop(run, dev, inner.macSrc, pkt.src);
  if (strange !== null)
    return at(
      `${inner.macSrc} comes from ${formatIp(pkt.src)}, and ${dev.name} has a fixed entry that has it elsewhere`,
      strange.source,
    );
  if (run.recording) run.step(ns, inner, "tunnel", `${dev.name}: out of VXLAN ${pkt.vni ?? 0}`, dev.link.source);
  inner.mark = pkt.mark;
  return receive(run, dev, inner);
}
