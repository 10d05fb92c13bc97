/** Solicitations and advertisements are packets (RFC 4861), and rules may stop, rewrite or misdirect them like any other. */
import { ip6, sameIp, type Ip } from "../model/address.ts";
import { crossAll, reversed } from "./bridge-hooks.ts";
import type { Crossing, Device } from "./device.ts";
import { UNWANTED, type Fate } from "./fate.ts";
import { finish } from "./forward.ts";
import { runHook } from "./hooks.ts";
import { deviceHook } from "./link-hooks.ts";
import type { Hop } from "./next-hop.ts";
import { needsDevice, routeAgain } from "./output.ts";
import { IPV6_ICMP, Packet } from "./packet.ts";
import type { Run } from "./run.ts";

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;

/**
 * What stops the question of `from` for `ip` or the answer of `to`, of which the machines and the bridges between have rules
 * (ndisc_send_skb, ip6_input, ndisc_rcv); null when both arrive.
 */
export function ndBlocked(
  run: Run,
  from: Device,
  to: Device,
  way: readonly Crossing[],
  ip: Ip,
  sender: Ip | null,
): Fate | null {
  if (sender === null || !(hasRules(from) || hasRules(to) || way.some((c) => hasRules(c.bridge)))) return null;
  return run.quietly(() => {
    const group = ip6(0xff020000, 0, 1, 0xff000000 | (ip.d & 0xffffff));
    const asked = deliver(run, from, to, way, nd(SOLICITATION, sender, group, from.mac, "multicast"));
    if ("t" in asked) return asked;
    // ndisc_recv_ns: the answer goes to whom the question names, at the link-layer address that is written in it.
    if (from.mac !== null) run.learn(to, asked.src, from.mac);
    const told = deliver(run, to, from, reversed(way), nd(ADVERTISEMENT, ip, asked.src, to.mac, "host"));
    return "t" in told ? told : null;
  });
}

/** Takes a message from one end to the other: as it arrived, or what became of it. */
function deliver(run: Run, a: Device, b: Device, way: readonly Crossing[], p: Packet): Packet | Fate {
  const { dst } = p;
  // icmp6_dst_alloc: its route is the device and nothing else, until a chain of type route has it routed again.
  let hop: Hop | null = null;
  const stopped = runHook(run, a.ns, "output", p, null, a, null, () => {
    const again = routeAgain(run, a.ns, p, needsDevice(p.dst) ? a : null);
    if ("t" in again) return again;
    if (!isMulticast(p.dst)) hop = again.hop;
    return null;
  });
  if (stopped !== null) return stopped;
  const arrived =
    hop === null && sameIp(dst, p.dst) ? onward(run, a, b, way, p) : elsewhere(run, a, b, p, hop ?? straight(a));
  if ("t" in arrived) return arrived;
  // ndisc_rcv: a hop limit of less than 255 looks like a message from another link.
  return arrived.ttl === 255
    ? arrived
    : lost(b, arrived, `rules changed its hop limit to ${arrived.ttl}, and ${b.ns.place} takes 255 alone`);
}

/** The usual way: by the device that the message is meant for, across the bridges, to the other end. */
function onward(run: Run, a: Device, b: Device, way: readonly Crossing[], p: Packet): Packet | Fate {
  const out = runHook(run, a.ns, "postrouting", p, null, a) ?? deviceHook(run, a, "egress", p);
  if (out !== null) return out;
  const arrived = nd(p.icmpType, p.src, p.dst, a.mac, p.type);
  arrived.socket = null;
  arrived.locallyMade = false;
  arrived.ttl = p.ttl;
  arrived.tos = p.tos;
  const stopped =
    crossAll(run, way, arrived) ??
    deviceHook(run, b, "ingress", arrived) ??
    runHook(run, b.ns, "prerouting", arrived, b, null);
  if (stopped !== null) return stopped;
  if (!isMulticast(arrived.dst)) {
    // Where it is not for this machine it is forwarded at best, and 255 no more.
    const r = b.ns.fib(6).lookup({ ...arrived, iif: b, oif: null, uid: null });
    if (r.unknown !== null)
      return {
        t: "inconclusive",
        because: { text: `routes of ${b.ns.place} are not known: ${r.unknown}`, source: null },
      };
    if (r.error !== null || (r.route!.type !== "local" && r.route!.type !== "anycast"))
      return lost(b, arrived, `rules sent it to another address than one of ${b.ns.place}`);
  }
  return runHook(run, b.ns, "input", arrived, b, null) ?? arrived;
}

/** A message that rules have sent another way: followed like any packet, and of use only where it still arrives by the right device. */
function elsewhere(run: Run, a: Device, b: Device, p: Packet, hop: Hop): Packet | Fate {
  if (isMulticast(p.dst)) return { t: "inconclusive", because: { text: "multicast is not modelled", source: null } };
  if (run.asking >= 2) return lost(a, p, "sending it takes asking for a neighbour in the same way again");
  run.asking++;
  try {
    const fate = finish(run, a.ns, null, p, hop);
    if (fate === UNWANTED) return lost(a, p, `nobody takes the frame that leaves by ${hop.dev.name}`);
    if (fate.t !== "delivered") return fate;
    return fate.ns === b.ns && fate.pkt.cameBy === b
      ? fate.pkt
      : lost(b, fate.pkt, `rules had it delivered to ${fate.ns.place} instead`);
  } finally {
    run.asking--;
  }
}

function straight(dev: Device): Hop {
  const nextHop = { gateway: null, dev: dev.name, weight: 1, onlink: false, dead: false, linkdown: false, encap: null };
  return { dev, gateway: null, nextHop };
}

function lost(at: Device, pkt: Packet, text: string): Fate {
  return { t: "lost", disposition: "dropped", ns: at.ns, pkt, local: false, because: { text, source: null } };
}

const isMulticast = (ip: Ip): boolean => ip.a >>> 24 === 0xff;

function hasRules(dev: Device): boolean {
  return (
    dev.ns.filtersBelowIp ||
    HOOKS.some((h) => dev.ns.netfilter.chains(6, h).length > 0) ||
    dev.ns.netfilter.unknown[6] !== null
  );
}

/** A neighbour discovery message (RFC 4861 §4.3, §4.4). */
function nd(type: number, src: Ip, dst: Ip, mac: string | null, to: Packet["type"]): Packet {
  const p = new Packet(6, src, dst, IPV6_ICMP);
  p.icmpType = type;
  p.ttl = 255;
  p.socket = "kernel";
  p.length = 72;
  p.type = to;
  p.macSrc = mac;
  return p;
}
