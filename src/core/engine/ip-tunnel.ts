/** IPIP, GRE, SIT and IPv6 tunnels: IP packets inside IP packets (net/ipv4/ip_tunnel.c). */
import { formatIp, sameIp, type Ip } from "../model/address.ts";
import type { Device } from "./device.ts";
import type { FrameFate } from "./fate.ts";
import type { Ns } from "./ns.ts";
import { sendFrom } from "./output.ts";
import { Packet } from "./packet.ts";
import type { Run } from "./run.ts";
import { receive } from "./transmit.ts";
import { tunnelFate } from "./vxlan.ts";

interface TunnelLink {
  local: Ip | null;
  remote: Ip | null;
  ttl: number;
  link: string | null;
  external: boolean;
  proto: number;
  overhead: number;
}

/** IP protocol and header bytes of each kind; null for devices that are no such tunnel. */
function tunnelOf(dev: Device, inner: Packet): TunnelLink | null {
  const k = dev.link.kind;
  switch (k.kind) {
    case "ipip":
      return { ...k, proto: 4, overhead: 20 };
    case "sit":
      return { ...k, proto: inner.v === 6 ? 41 : 4, overhead: 20 };
    case "gre":
      return { ...k, proto: 47, overhead: 24 };
    case "ip6tnl":
      return { ...k, proto: inner.v === 6 ? 41 : 4, overhead: 40 };
    case "ip6gre":
      return { ...k, proto: 47, overhead: 44 };
    default:
      return null;
  }
}

/** ip_tunnel_xmit: without a remote the next hop of the inner packet's route is the tunnel's destination. */
export function ipTunnelTransmit(run: Run, dev: Device, pkt: Packet): FrameFate {
  const { ns } = dev;
  const t = tunnelOf(dev, pkt);
  const source = dev.link.source;
  if (t === null || t.external)
    return { t: "inconclusive", because: { text: `${dev.name}: a program gives each packet its tunnel`, source } };
  const to = t.remote ?? pkt.nextHop;
  if (to === null || (dev.link.kind.kind === "ipip" && to.v !== 4)) {
    return {
      t: "lost",
      disposition: "dropped",
      ns,
      pkt,
      local: false,
      because: { text: `${dev.name} has no remote, and the route no next hop`, source },
    };
  }
  const outer = new Packet(to.v, t.local ?? to, to, t.proto);
  outer.layer = pkt.layer + 1;
  // ip_tunnel_xmit: TTL of the device, else that of the inner packet.
  outer.ttl = t.ttl > 0 ? t.ttl : pkt.ttl;
  outer.socket = pkt.socket;
  outer.uid = pkt.uid;
  outer.gid = pkt.gid;
  outer.mark = pkt.mark;
  outer.length = pkt.length + t.overhead;
  outer.exactLength = pkt.exactLength;
  outer.df = pkt.df;
  outer.inner = pkt;
  run.step(ns, outer, "tunnel", `${dev.name}: into ${dev.kindName}`, source);
  const via = t.link === null ? null : (ns.byName.get(t.link) ?? null);
  return tunnelFate(sendFrom(run, ns, outer, { oif: via, fixedSource: t.local, skbDev: dev }), pkt);
}

/** ip_tunnel_lookup: the device that takes what this packet carries: remote and local, remote, local, then the one with neither. */
function receiver(ns: Ns, pkt: Packet): Device | null {
  let best: Device | null = null;
  let bestScore = -1;
  for (const dev of ns.devices) {
    const t = pkt.inner === null ? null : tunnelOf(dev, pkt.inner);
    if (t === null || t.proto !== pkt.proto || !dev.link.up) continue;
    if (t.remote !== null && !sameIp(t.remote, pkt.src)) continue;
    if (t.local !== null && !sameIp(t.local, pkt.dst)) continue;
    const score = (t.remote !== null ? 2 : 0) + (t.local !== null ? 1 : 0);
    if (score > bestScore) {
      best = dev;
      bestScore = score;
    }
  }
  return best;
}

export function ipTunnelReceive(run: Run, ns: Ns, pkt: Packet): FrameFate {
  const { inner } = pkt;
  const dev = receiver(ns, pkt);
  if (inner === null || dev === null) {
    return {
      t: "no-listener",
      ns,
      pkt,
      because: {
        text: `no tunnel device in ${ns.place} takes packets from ${formatIp(pkt.src)} to ${formatIp(pkt.dst)}`,
        source: null,
      },
    };
  }
  run.step(ns, inner, "tunnel", `${dev.name}: out of ${dev.kindName}`, dev.link.source);
  inner.mark = pkt.mark;
  inner.macDst = null;
  return receive(run, dev, inner);
}
