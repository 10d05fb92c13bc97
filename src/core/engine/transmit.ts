/** Devices: what leaves by one, and where it comes in. */
import { formatIp } from "../model/address.ts";
import { bridgeReceive, bridgeTransmit } from "./bridge.ts";
import { isGroup, type Device } from "./device.ts";
import { UNWANTED, type Fate, type FrameFate } from "./fate.ts";
import { ipReceive } from "./input.ts";
import { deviceHook } from "./link-hooks.ts";
import { ipTunnelTransmit } from "./ip-tunnel.ts";
import type { Packet } from "./packet.ts";
import { MAX_TRAVERSALS, type Run } from "./run.ts";
import { vxlanTransmit } from "./vxlan.ts";
import type { SegmentState } from "./world.ts";

export const BROADCAST = "ff:ff:ff:ff:ff:ff";

function lost(dev: Device, pkt: Packet, text: string): FrameFate {
  return {
    t: "lost",
    disposition: "dropped",
    ns: dev.ns,
    pkt,
    local: false,
    because: { text, source: dev.link.source },
  };
}

function unknown(dev: Device, text: string): FrameFate {
  return { t: "inconclusive", because: { text, source: dev.link.source } };
}

/** Programs on a device that kubewalk does not read: XDP, tc. */
function programOn(dev: Device): string | null {
  return dev.program === undefined ? (dev.program = findProgram(dev)) : dev.program;
}

function findProgram(dev: Device): string | null {
  if (dev.link.xdp) return `an XDP program runs on ${dev.ns.place} ${dev.name}`;
  const tc = dev.ns.model.tc.find((t) => t.dev === dev.name);
  return tc === undefined
    ? null
    : `tc ${tc.kind} on ${dev.ns.place} ${dev.name} may run programs that are not modelled`;
}

/** dev_queue_xmit: a frame with its MACs set (or a bare packet on devices without any) leaves by `dev`. */
export function transmit(run: Run, dev: Device, pkt: Packet): FrameFate {
  if (++run.traversals > MAX_TRAVERSALS) {
    return {
      t: "lost",
      disposition: "loop",
      ns: dev.ns,
      pkt,
      local: false,
      because: { text: `goes in circles at ${dev.ns.place} ${dev.name}`, source: dev.link.source },
    };
  }
  if (!dev.up) return lost(dev, pkt, dev.link.up ? `${dev.name} has no carrier` : `${dev.name} is down`);
  const program = programOn(dev);
  if (program !== null && !run.unknownOnce(program, program, dev.link.source)) return unknown(dev, program);
  pkt.locallyMade = false;
  const filtered = deviceHook(run, dev, "egress", pkt);
  if (filtered !== null) return filtered;
  if (dev.segment !== null) return toSegment(run, dev, dev.segment, pkt);
  switch (dev.kind) {
    case "loopback":
      pkt.type = "host";
      // Nothing of conntrack hangs on a packet that belongs to no connection: PREROUTING looks for one again.
      if (pkt.ctInfo === "invalid") pkt.resetConnection();
      return ipReceive(run, dev, pkt, false, true);
    case "veth":
      return dev.peer === null
        ? unknown(dev, `the other end of ${dev.ns.place} ${dev.name} was not recorded`)
        : cross(run, dev, dev.peer, pkt);
    case "bridge":
      return bridgeTransmit(run, dev, pkt);
    case "vxlan":
      return vxlanTransmit(run, dev, pkt);
    case "ipip":
    case "sit":
    case "gre":
    case "ip6tnl":
    case "ip6gre":
      return ipTunnelTransmit(run, dev, pkt);
    case "macvlan":
    case "macvtap":
      return macvlanTransmit(run, dev, pkt);
    case "vlan":
      if (dev.lower === null) return unknown(dev, `the device below ${dev.name} was not recorded`);
      if (dev.link.kind.kind === "vlan") pkt.vlan = dev.link.kind.id;
      return transmit(run, dev.lower, pkt);
    case "ipvlan":
      return ipvlanTransmit(run, dev, pkt);
    case "dummy":
      return lost(dev, pkt, `${dev.name} is a dummy device, which throws away what is sent to it`);
    case "tun":
      return unknown(dev, `a program reads what ${dev.name} is given`);
    default:
      return unknown(dev, `${dev.name} is a ${dev.kindName} device, which is not modelled`);
  }
}

/** veth_forward_skb, and skb_scrub_packet when it changes namespace. */
function cross(run: Run, from: Device, to: Device, pkt: Packet): FrameFate {
  if (!to.link.up) return lost(to, pkt, `${to.name} is down`);
  // is_skb_forwardable: the receiving end's MTU counts, with room for a VLAN tag.
  if (pkt.length > to.mtu + 4)
    return {
      ...(lost(to, pkt, `${pkt.length} bytes do not fit ${to.ns.place} ${to.name}, whose MTU is ${to.mtu}`) as Fate),
      disposition: "too-big",
    } as Fate;
  if (from.ns !== to.ns) pkt.mark = 0;
  return receive(run, to, pkt);
}

/** netif_receive_skb: a frame comes in by `dev`. */
export function receive(run: Run, dev: Device, pkt: Packet): FrameFate {
  const program = programOn(dev);
  if (program !== null && !run.unknownOnce(program, program, dev.link.source)) return unknown(dev, program);
  // nf_reset_ct, skb_dst_drop: nothing of the sender's namespace stays on it.
  pkt.resetConnection();
  pkt.nextHop = null;
  pkt.port = null;
  pkt.socket = null;
  pkt.forwardedBy = null;
  pkt.ipvs = false;
  pkt.tproxied = null;
  pkt.locallyMade = false;
  pkt.uid = null;
  pkt.gid = null;
  // ARP that a tunnel carried: that it came out is all that is asked (neighbour.ts).
  if (pkt.arp !== null)
    return { t: "delivered", ns: dev.ns, pkt, wildcard: false, because: { text: "ARP arrives", source: null } };
  const filtered = deviceHook(run, dev, "ingress", pkt);
  if (filtered !== null) return filtered;
  const mac = pkt.macDst;
  if (pkt.vlan !== null && (dev.master === null || dev.master.kind !== "bridge")) {
    const vlan = dev.uppers.find((u) => u.link.kind.kind === "vlan" && u.link.kind.id === pkt.vlan);
    if (vlan === undefined) return UNWANTED;
    pkt.vlan = null;
    return receive(run, vlan, pkt);
  }
  for (const up of dev.uppers) {
    const { kind } = up;
    if ((kind === "macvlan" || kind === "macvtap") && up.mac === mac)
      return up.up ? receive(run, up, pkt) : lost(up, pkt, `${up.name} is down`);
    if (kind === "ipvlan" && up.addresses.some((a) => a.ip.key === pkt.dst.key)) {
      pkt.type = "host";
      return ipReceive(run, up, pkt, false);
    }
  }
  if (dev.master?.kind === "bridge") return bridgeReceive(run, dev, classify(dev, pkt));
  if (dev.master?.kind === "bond") return receive(run, dev.master, pkt);
  classify(dev, pkt);
  if (pkt.type === "otherhost") return UNWANTED;
  return ipReceive(run, dev, pkt, false);
}

/** eth_type_trans. */
function classify(dev: Device, pkt: Packet): Packet {
  const mac = pkt.macDst;
  if (mac === null || mac === dev.mac) pkt.type = "host";
  else if (mac === BROADCAST) pkt.type = "broadcast";
  else pkt.type = isGroup(mac) ? "multicast" : "otherhost";
  return pkt;
}

/** The stretch between machines: a frame reaches whoever has its MAC. */
function toSegment(run: Run, dev: Device, segment: SegmentState, pkt: Packet): FrameFate {
  if (segment.implicit) return toUnknownFabric(run, dev, pkt);
  pkt.mark = 0;
  const mac = pkt.macDst;
  let takers = segment.takers.get(mac);
  if (takers === undefined) segment.takers.set(mac, (takers = segment.devices.filter((d) => takesFrame(d, mac))));
  if (takers.includes(dev)) takers = takers.filter((d) => d !== dev);
  for (const to of takers) {
    if (!to.link.up) continue;
    if (run.recording)
      run.step(dev.ns, pkt, "fabric", `segment ${segment.name}: to ${to.ns.place} ${to.name}`, segment.source);
    const fate = receive(run, to, takers.length > 1 ? pkt.clone() : pkt);
    if (fate !== UNWANTED) return fate;
  }
  if (segment.absent.length > 0)
    return unknown(
      dev,
      `${segment.absent.join(", ")} on segment ${segment.name} was not recorded, and may be who has ${mac ?? "the frame's MAC"}`,
    );
  return {
    t: "lost",
    disposition: "dropped",
    ns: dev.ns,
    pkt,
    local: false,
    because: { text: `nobody on segment ${segment.name} has ${mac ?? "the frame's MAC"}`, source: segment.source },
  };
}

/** Whether a frame that reaches a device may be for it, for one on top of it, or for its bridge. */
function takesFrame(d: Device, mac: string | null): boolean {
  if (mac === BROADCAST || d.mac === mac || d.master?.kind === "bridge") return true;
  return d.uppers.length > 0 && d.uppers.some((u) => u.mac === mac);
}

/** A fabric of which nothing is known delivers a node's address to that node. What it does with a pod's, nobody knows. */
function toUnknownFabric(run: Run, dev: Device, pkt: Packet): FrameFate {
  const world = run.world;
  const owner = world.nodeOwner(pkt.nextHop ?? pkt.dst) ?? world.nodeOwner(pkt.dst);
  pkt.mark = 0;
  if (owner !== null && owner !== dev) {
    run.step(
      dev.ns,
      pkt,
      "fabric",
      `fabric: ${formatIp(pkt.nextHop ?? pkt.dst)} is at ${owner.ns.place} ${owner.name}`,
      owner.link.source,
    );
    pkt.macDst = owner.mac;
    return receive(run, owner, pkt);
  }
  const [dst, hop] = [formatIp(pkt.dst), pkt.nextHop === null ? null : formatIp(pkt.nextHop)];
  const { nodes, pods } = world.snapshot.cluster;
  const node = nodes.find((each) => each.addresses.some(({ address }) => address === hop || address === dst));
  if (node !== undefined) {
    const at = node.addresses.some(({ address }) => address === hop) ? hop : dst;
    return unknown(dev, `${at} is node ${node.name}, of which no device with this address was recorded`);
  }
  if (pods.some((p) => p.ips.includes(dst)))
    return unknown(
      dev,
      `what lies between the nodes was not recorded (there is no fabric.json): whether ${hop === null || hop === dst ? "it" : `${hop}, the next hop,`} knows a way to ${dst}, a pod, is not known`,
    );
  return {
    t: "left",
    ns: dev.ns,
    pkt,
    because: {
      text: `leaves the cluster by ${dev.ns.place} ${dev.name}; what is beyond was not recorded`,
      source: dev.link.source,
    },
  };
}

/** macvlan_queue_xmit: siblings in bridge mode directly, everything else by the device below, which the host itself never sees. */
function macvlanTransmit(run: Run, dev: Device, pkt: Packet): FrameFate {
  const kind = dev.link.kind;
  const lower = dev.lower;
  if (lower === null) return unknown(dev, `the device below ${dev.name} was not recorded`);
  if (dev.ns !== lower.ns) pkt.mark = 0;
  if (kind.kind === "macvlan" && kind.mode === "bridge" && pkt.macDst !== null) {
    const sibling = lower.uppers.find(
      (u) => u !== dev && u.mac === pkt.macDst && u.link.kind.kind === "macvlan" && u.link.kind.mode === "bridge",
    );
    if (sibling !== undefined)
      return sibling.up ? receive(run, sibling, pkt) : lost(sibling, pkt, `${sibling.name} is down`);
  }
  return transmit(run, lower, pkt);
}

/** ipvlan_queue_xmit (L2 and L3): a sibling that has the address, else the wire. */
function ipvlanTransmit(run: Run, dev: Device, pkt: Packet): FrameFate {
  const lower = dev.lower;
  if (lower === null) return unknown(dev, `the device below ${dev.name} was not recorded`);
  if (dev.ns !== lower.ns) pkt.mark = 0;
  const sibling = lower.uppers.find(
    (u) => u !== dev && u.link.kind.kind === "ipvlan" && u.addresses.some((a) => a.ip.key === pkt.dst.key),
  );
  if (sibling !== undefined) {
    pkt.type = "host";
    return receive(run, sibling, Object.assign(pkt, { macDst: sibling.mac }));
  }
  return dev.link.kind.kind === "ipvlan" && dev.link.kind.mode !== "l2"
    ? unknown(dev, `ipvlan in mode ${dev.link.kind.mode} routes in its parent's namespace, which is not modelled`)
    : transmit(run, lower, pkt);
}
