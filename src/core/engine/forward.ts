/** Packets that go on to another machine: TTL, MTU, FORWARD, then out (ip_forward, ip6_forward, ip_output). */
import { formatIp } from "../model/address.ts";
import type { Route } from "../model/route.ts";
import type { Device } from "./device.ts";
import type { Source } from "../model/source.ts";
import type { Because, Fate, FrameFate } from "./fate.ts";
import { runHook } from "./hooks.ts";
import { resolve } from "./neighbour.ts";
import type { Hop } from "./next-hop.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";
import { mayComplain, sendIcmpError } from "./replies.ts";
import type { Run } from "./run.ts";
import { transmit } from "./transmit.ts";

/** ip_dst_mtu_maybe_forward: the route's own MTU, else the device's. */
export function mtuOf(dev: Device, route: Route | null): number {
  return route?.mtu ?? dev.mtu;
}

/** Whether a packet that may not be cut up does not fit; a program's answer is taken to fit. */
export function tooBig(pkt: Packet, dev: Device, route: Route): boolean {
  return pkt.length > mtuOf(dev, route) && pkt.df && !pkt.answer;
}

export function tooBigFor(pkt: Packet, dev: Device, route: Route): Because {
  return {
    text: `${pkt.length} bytes do not fit ${dev.name}, whose MTU is ${mtuOf(dev, route)}`,
    source: route.mtu !== null ? route.source : dev.link.source,
  };
}

/** What a packet comes to whose TTL or hop limit allows no further hop (ip_forward, ip6_forward). `source`: what would have led on. */
export function ttlExceeded(ns: Ns, pkt: Packet, source: Source | null): Fate {
  return {
    t: "error",
    disposition: "ttl-exceeded",
    ns,
    pkt,
    local: false,
    icmp: pkt.v === 4 ? { type: 11, code: 0, mtu: null } : { type: 3, code: 0, mtu: null },
    because: { text: `TTL runs out at ${ns.place}`, source },
  };
}

export function forward(run: Run, ns: Ns, from: Device, pkt: Packet, hop: Hop, route: Route): FrameFate {
  if (pkt.type !== "host")
    return {
      t: "lost",
      disposition: "dropped",
      ns,
      pkt,
      local: false,
      because: { text: "was not addressed to this machine at the link layer", source: from.link.source },
    };
  if (pkt.ttl <= 1) {
    return ttlExceeded(ns, pkt, route.source);
  }
  if (pkt.v === 6 && pkt.src.a >>> 22 === 0x3fa) {
    return {
      t: "error",
      disposition: "no-route",
      ns,
      pkt,
      local: false,
      icmp: { type: 1, code: 2, mtu: null },
      because: { text: `${formatIp(pkt.src)} is link-local and can't be forwarded`, source: route.source },
    };
  }
  const mtu = mtuOf(hop.dev, route);
  if (pkt.length > mtu && pkt.df) {
    return {
      t: "error",
      disposition: "too-big",
      ns,
      pkt,
      local: false,
      icmp: pkt.v === 4 ? { type: 3, code: 4, mtu } : { type: 2, code: 0, mtu },
      because: tooBigFor(pkt, hop.dev, route),
    };
  }
  pkt.ttl--;
  pkt.forwardedBy = { hop, route };
  pkt.nextHop = hop.gateway ?? pkt.dst;
  const fate = runHook(run, ns, "forward", pkt, from, hop.dev);
  return fate ?? finish(run, ns, from, pkt, hop);
}

/** ip_output and ip_finish_output2: POSTROUTING, the neighbour, the device. `skbDev`: device that the packet came by, which POSTROUTING still sees. `rerouted`: the route that rules chose for what a program sent, of which the MTU has not been seen to. */
export function finish(
  run: Run,
  ns: Ns,
  skbDev: Device | null,
  pkt: Packet,
  hop: Hop,
  rerouted: Route | null = null,
): FrameFate {
  pkt.nextHop = hop.gateway ?? pkt.dst;
  const fate = runHook(run, ns, "postrouting", pkt, skbDev, hop.dev);
  if (fate !== null) return fate;
  // ip_finish_output, ip6_finish_output: after POSTROUTING, and the sender is told.
  if (rerouted !== null && tooBig(pkt, hop.dev, rerouted)) {
    const because = tooBigFor(pkt, hop.dev, rerouted);
    // ip_fragment, ip6_fragment: beside the error of the call an ICMP error goes its way to the sender, and rules change the connection by it.
    if (mayComplain(pkt)) {
      const mtu = mtuOf(hop.dev, rerouted);
      sendIcmpError(run, ns, pkt, pkt.v === 4 ? { type: 3, code: 4, mtu } : { type: 2, code: 0, mtu });
    }
    return { t: "send-error", disposition: "too-big", error: "EMSGSIZE", ns, pkt, because, rerouted: true };
  }
  if (hop.nextHop.encap !== null) {
    return {
      t: "inconclusive",
      because: { text: `route encapsulation ${hop.nextHop.encap.type} is not modelled`, source: null },
    };
  }
  const dev = hop.dev;
  pkt.macSrc = dev.mac;
  if (dev.noarp) {
    // arp_constructor: without ARP the device's own address stands in for the neighbour's; devices of layer 3 have none.
    pkt.macDst = dev.mac;
    return transmit(run, dev, pkt);
  }
  const ip = hop.gateway ?? pkt.dst;
  if (dev.segment?.implicit) return transmit(run, dev, pkt);
  const found = resolve(run, ns, dev, ip, pkt);
  switch (found.t) {
    case "mac":
      pkt.macDst = found.mac;
      return transmit(run, dev, pkt);
    case "unknown":
      return { t: "inconclusive", because: { text: found.why, source: null } };
    case "failed":
      if (run.asking === 0) run.giveUpOn(dev, ip);
      // arp_error_report, ndisc_error_report: host unreachable goes to the sender.
      return {
        t: "error",
        disposition: "neighbour-unreachable",
        ns,
        pkt,
        local: false,
        icmp: pkt.v === 4 ? { type: 3, code: 1, mtu: null } : { type: 1, code: 3, mtu: null },
        because: { text: found.why, source: found.source ?? dev.link.source },
      };
  }
}
