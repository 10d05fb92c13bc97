/** From a next hop's address to the MAC that frames for it carry: the neighbour table, else who would answer a request. */
import { formatIp, inPrefix, ip4, type Ip } from "../model/address.ts";
import type { Neighbour } from "../model/link.ts";
import type { Source } from "../model/source.ts";
import { addrType } from "./address-type.ts";
import { domainOf } from "./broadcast-domain.ts";
import type { Answerer, Crossing, Device } from "./device.ts";
import { answers } from "./neighbour-answers.ts";
import { inetSelectAddr } from "./source-address.ts";
import type { Ns } from "./ns.ts";
import { textOf, UNWANTED, type Fate } from "./fate.ts";
import { BROADCAST, transmit } from "./transmit.ts";
import { crossAll, reversed } from "./bridge-hooks.ts";
import { arpHook, deviceHook } from "./link-hooks.ts";
import { ndBlocked } from "./neighbour-discovery.ts";
import { Packet } from "./packet.ts";
import type { Run } from "./run.ts";

export type Resolution =
  | { t: "mac"; mac: string }
  /** Nobody answers. */
  | { t: "failed"; why: string; source: Source | null }
  | { t: "unknown"; why: string };

/** States whose link-layer address the kernel uses (NUD_VALID). */
const VALID = new Set(["PERMANENT", "NOARP", "REACHABLE", "STALE", "DELAY", "PROBE"]);

const MULTICAST4 = (ip: Ip): string => {
  const b = [(ip.a >>> 16) & 127, (ip.a >>> 8) & 255, ip.a & 255];
  return `01:00:5e:${b.map((x) => x.toString(16).padStart(2, "0")).join(":")}`;
};

const MULTICAST6 = (ip: Ip): string =>
  `33:33:${[(ip.d >>> 24) & 255, (ip.d >>> 16) & 255, (ip.d >>> 8) & 255, ip.d & 255].map((x) => x.toString(16).padStart(2, "0")).join(":")}`;

/** neigh_resolve_output: the MAC for `ip` on `dev`. Records what decided. */
export function resolve(run: Run, ns: Ns, dev: Device, ip: Ip, pkt: Packet): Resolution {
  const missing = ns.missing("neigh");
  if (missing !== null) return { t: "unknown", why: `the neighbours of ${ns.place} are not known: ${missing}` };
  if (ip.v === 4 && ip.a >>> 28 === 0xe) return { t: "mac", mac: MULTICAST4(ip) };
  if (ip.v === 6 && ip.a >>> 24 === 0xff) return { t: "mac", mac: MULTICAST6(ip) };
  if (!run.recording && run.learnedMac(dev, ip) === null) {
    const sure = sureOf(dev, ip);
    if (sure !== null) return sure;
  }
  const entry = entryOf(dev, ip);
  const fixed = entry !== undefined && (entry.state === "PERMANENT" || entry.state === "NOARP");
  const learned = fixed ? null : run.learnedMac(dev, ip);
  if (learned !== null) {
    if (run.recording)
      run.step(ns, pkt, "neighbour", `${formatIp(ip)} lladdr ${learned} (learned from its own request)`, null);
    return { t: "mac", mac: learned };
  }
  if (entry !== undefined && VALID.has(entry.state) && entry.mac !== null && isThere(run, dev, ip, entry)) {
    if (run.recording)
      run.step(
        ns,
        pkt,
        "neighbour",
        `${formatIp(ip)} dev ${dev.name} lladdr ${entry.mac} ${entry.state}`,
        entry.source,
      );
    return { t: "mac", mac: entry.mac };
  }
  return ask(run, ns, dev, ip, pkt, entry);
}

const entryOf = (dev: Device, ip: Ip): Neighbour | undefined => (ip.v === 4 ? dev.neigh4 : dev.neigh6).get(ip.key);

/** The MAC of a neighbour whose entry is valid and no leftover; null where it is not, or there is none. State only: found once for each address. */
function sureOf(dev: Device, ip: Ip): Extract<Resolution, { t: "mac" }> | null {
  const known = (dev.sure ??= new Map());
  let sure = known.get(ip.key);
  if (sure === undefined) {
    const entry = entryOf(dev, ip);
    const leads = entry !== undefined && VALID.has(entry.state) && entry.mac !== null && !isLeftover(dev, entry);
    sure = leads ? { t: "mac", mac: entry.mac! } : null;
    known.set(ip.key, sure);
  }
  return sure;
}

/**
 * Whether a learned entry is one that nobody would answer for any more when the kernel asks again, as far as can be told: nobody
 * has the MAC, or who has it does not answer. State only: found once for each entry, since a node of a large cluster has many and uses few.
 */
function isLeftover(dev: Device, entry: Neighbour): boolean {
  const known = (dev.leftovers ??= new Map());
  let leftover = known.get(entry);
  if (leftover === undefined) known.set(entry, (leftover = isGone(dev, entry)));
  return leftover;
}

function isGone(dev: Device, entry: Neighbour): boolean {
  if (entry.state === "PERMANENT" || entry.state === "NOARP") return false;
  // A program is asked for what the device does not know, and may answer for anyone (neigh_app_ns; flannel up to v0.8).
  if ((dev.ns.sysctl(`net.ipv4.neigh.${dev.name.replaceAll(".", "/")}.app_solicit`) ?? 0) > 0) return false;
  const { owners, gap } = domainOf(dev);
  if (gap !== null) return false;
  const owned = owners.get(entry.mac);
  if (owned === undefined) return true;
  // One that was confirmed within the last half minute serves as long as anyone waits.
  if (entry.state === "REACHABLE") return false;
  const sender = entry.ip.v === 4 ? inetSelectAddr(dev.ns, dev, entry.ip, 253) : dev.linkLocal();
  return owned.every((d) => answers(d, entry.ip, sender) === false);
}

/**
 * Whether a neighbour entry still leads somewhere. Entries that the kernel learned are checked when used (NUD_DELAY, NUD_PROBE):
 * one that is a leftover loses the packets of the first seconds and has failed from then on, so either can be met.
 */
function isThere(run: Run, dev: Device, ip: Ip, entry: Neighbour): boolean {
  if (!isLeftover(dev, entry)) return true;
  const why = `the entry of ${formatIp(ip)} on ${dev.ns.place} ${dev.name} is a leftover (${entry.state}): ${entry.mac} does not answer for it any more, and the kernel finds out some seconds after the next packet`;
  return !run.unknownOnce(`leftover ${dev.ns.place} ${dev.name} ${ip.key}`, why, entry.source);
}

/**
 * Who answers a request for `ip` that leaves by `dev`, in the order in which it reaches them; those who do not are left out.
 * State only, whatever the packet: found once for each sender's address.
 */
function answerersOf(dev: Device, ip: Ip, sender: Ip | null): readonly Answerer[] {
  let known = (dev.answerers ??= new Map()).get(ip.key);
  if (known === undefined) dev.answerers.set(ip.key, (known = new Map()));
  const key = sender === null ? "" : sender.key;
  let found = known.get(key);
  if (found === undefined) {
    found = [...domainOf(dev).reached].flatMap(([to, way]) => {
      const a = answers(to, ip, sender);
      return a === false ? [] : [{ to, way, unknown: a === true ? null : a.unknown }];
    });
    known.set(key, found);
  }
  return found;
}

/** What an ARP request or neighbour solicitation would bring; who asks back meanwhile is known from then on, answer or not. */
function ask(run: Run, ns: Ns, dev: Device, ip: Ip, pkt: Packet, entry: Neighbour | undefined): Resolution {
  if (run.gaveUpOn(dev, ip))
    return { t: "failed", why: `${formatIp(ip)} on ${dev.name} has just not answered`, source: entry?.source ?? null };
  const found = answerOf(run, ns, dev, ip, pkt, entry);
  const learned = found.t === "failed" ? run.learnedMac(dev, ip) : null;
  return learned === null ? found : { t: "mac", mac: learned };
}

function answerOf(run: Run, ns: Ns, dev: Device, ip: Ip, pkt: Packet, entry: Neighbour | undefined): Resolution {
  // arp_constructor: for a broadcast address nobody is asked.
  if (ip.v === 4 && addrType(ns, ip, null) === "broadcast") return { t: "mac", mac: BROADCAST };
  const vxlan = dev.link.kind;
  if (vxlan.kind === "vxlan" && vxlan.proxy)
    return {
      t: "failed",
      why: `no neighbour entry for ${formatIp(ip)} on ${dev.name}, which answers requests itself`,
      source: entry?.source ?? null,
    };
  const { gap } = domainOf(dev);
  const sender = senderOf(ns, dev, ip, pkt);
  const macs = new Map<string, Device>();
  let stopped: Fate | null = null;
  for (const { to, way, unknown } of answerersOf(dev, ip, sender)) {
    if (unknown !== null) return { t: "unknown", why: unknown };
    const blocked = ip.v === 4 ? arpBlocked(run, dev, to, way, ip, sender) : ndBlocked(run, dev, to, way, ip, sender);
    if (blocked !== null && blocked.t === "inconclusive") return { t: "unknown", why: textOf(blocked.because) };
    if (blocked !== null && stopped === null) stopped = blocked;
    const mac = blocked === null ? to.mac : null;
    if (mac !== null && !macs.has(mac)) macs.set(mac, to);
  }
  const first = [...macs];
  if (first.length === 0) {
    if (gap !== null) return { t: "unknown", why: gap };
    if (stopped !== null)
      return {
        t: "failed",
        why: `${ip.v === 4 ? "ARP" : "neighbour discovery"} for ${formatIp(ip)} on ${dev.name} is filtered: ${textOf(stopped.because)}`,
        source: stopped.because.source,
      };
    const before = entry === undefined ? "" : ` (${entry.state})`;
    return {
      t: "failed",
      why: `nobody answers for ${formatIp(ip)} on ${dev.name}${before}`,
      source: entry?.source ?? null,
    };
  }
  let n = 0;
  if (first.length > 1) {
    const names = first.map(([mac, d]) => `${mac} (${d.ns.place} ${d.name})`).join(" and ");
    n = run.unknownOnce(
      `arp ${ns.place} ${dev.name} ${ip.key}`,
      `${names} all answer for ${formatIp(ip)}: which comes first nobody can tell`,
      entry?.source ?? null,
    )
      ? 1
      : 0;
  }
  const [mac, by] = first[n]!;
  if (dev.link.kind.kind === "vxlan") {
    const lost = carried(run, dev, by, ip, sender);
    if (lost !== null) return lost;
  }
  heard(run, by, sender, dev);
  if (run.recording)
    run.step(ns, pkt, "neighbour", `${formatIp(ip)} lladdr ${mac} (${by.ns.place} ${by.name} answers)`, by.link.source);
  return { t: "mac", mac };
}

/** The request's and the reply's ways through the arp chains of both ends (NF_ARP_IN, NF_ARP_OUT) and the bridges between; null when both pass. */
function arpBlocked(
  run: Run,
  from: Device,
  to: Device,
  way: readonly Crossing[],
  ip: Ip,
  sender: Ip | null,
): Fate | null {
  if (!from.ns.filtersBelowIp && !to.ns.filtersBelowIp && !way.some((c) => c.bridge.ns.filtersBelowIp)) return null;
  return run.quietly(() => {
    for (const [operation, a, b, there] of [
      ["request", from, to, way],
      ["reply", to, from, reversed(way)],
    ] as const) {
      const p = arpMessage(operation, from, to, ip, sender);
      const stopped =
        arpHook(run, a, "output", p) ??
        deviceHook(run, a, "egress", p) ??
        crossAll(run, there, p) ??
        deviceHook(run, b, "ingress", p) ??
        arpHook(run, b, "input", p);
      if (stopped !== null) return stopped;
      if (a === from && a.link.kind.kind !== "vxlan") heard(run, to, sender, from);
    }
    return null;
  });
}

/** Whether request and reply get through the tunnel that a VXLAN device is; null when they do. */
function carried(run: Run, from: Device, to: Device, ip: Ip, sender: Ip | null): Resolution | null {
  if (to.link.kind.kind !== "vxlan") return null;
  if (run.asking >= 2)
    return {
      t: "failed",
      why: `asking for ${formatIp(ip)} through ${from.name} takes asking through it again`,
      source: from.link.source,
    };
  run.asking++;
  try {
    return run.quietly(() => {
      for (const [a, b] of [
        [from, to],
        [to, from],
      ] as const) {
        const fate = transmit(run, a, arpMessage(a === from ? "request" : "reply", from, to, ip, sender));
        if (fate === UNWANTED) continue;
        if (fate.t === "inconclusive") return { t: "unknown", why: textOf(fate.because) };
        if (fate.t !== "delivered" || fate.ns !== b.ns)
          return {
            t: "failed",
            why: `${ip.v === 4 ? "ARP" : "neighbour discovery"} for ${formatIp(ip)} does not get through ${from.name}: ${textOf(fate.because)}`,
            source: fate.because.source,
          };
        if (a === from) heard(run, to, sender, from);
      }
      return null;
    });
  } finally {
    run.asking--;
  }
}

/** neigh_event_ns in arp_process, ndisc_recv_ns: who answers a request learns who asked, PERMANENT entries apart. */
function heard(run: Run, by: Device, sender: Ip | null, from: Device): void {
  if (sender !== null && from.mac !== null) run.learn(by, sender, from.mac);
}

/** Bytes that a device carries: an ARP message for Ethernet and IPv4; IPv6 header and a solicitation or advertisement with one option. */
const MESSAGE = { 4: 28, 6: 72 } as const;

function arpMessage(operation: "request" | "reply", from: Device, to: Device, ip: Ip, sender: Ip | null): Packet {
  const none = ip4(0);
  const p = new Packet(4, sender ?? none, ip, 0);
  p.length = MESSAGE[ip.v];
  // ndisc_alloc_skb: the kernel's own socket sends these; ARP has none (arp_create).
  if (ip.v === 6) p.socket = "kernel";
  p.arp =
    operation === "request"
      ? { operation, senderMac: from.mac, senderIp: sender ?? none, targetMac: null, targetIp: ip }
      : { operation, senderMac: to.mac, senderIp: ip, targetMac: from.mac, targetIp: sender ?? none };
  p.macSrc = operation === "request" ? from.mac : to.mac;
  p.macDst = operation === "request" ? "ff:ff:ff:ff:ff:ff" : from.mac;
  return p;
}

/** arp_solicit: the packet's own source where it is local (arp_announce 0), else an address of the device. */
function senderOf(ns: Ns, dev: Device, ip: Ip, pkt: Packet): Ip | null {
  // ndisc_solicit: the packet's own source where it is an address of the device.
  if (ip.v === 6) return dev.addresses.some((a) => a.ip.key === pkt.src.key) ? pkt.src : dev.linkLocal();
  const own = pkt.v === 4 && ns.owner(pkt.src) !== null;
  // arp_announce 1: only where the target is of the same subnet; 2: never the packet's own.
  const announce = dev.conf.arpAnnounce;
  const sameNet = (): boolean =>
    dev.addresses.some(
      (a) => inPrefix(pkt.src, { ip: a.ip, len: a.prefixLen }) && inPrefix(ip, { ip: a.ip, len: a.prefixLen }),
    );
  if (own && (announce === 0 || (announce === 1 && sameNet()))) return pkt.src;
  return inetSelectAddr(ns, dev, ip, 253);
}
