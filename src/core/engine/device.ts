/** A link at work: the model's link joined to its peer, master, ports and settings. */
import type { Ip } from "../model/address.ts";
import type { FdbEntry, Link, LinkAddress, Neighbour } from "../model/link.ts";
import { sysctlConf } from "../model/sysctl.ts";
import type { RuleDevice } from "./netfilter/context.ts";
import type { BridgeEntry } from "./bridge.ts";
import type { Ns } from "./ns.ts";
import type { VxlanEntry } from "./vxlan.ts";
import type { SegmentState } from "./world.ts";

/** Per-interface settings as the kernel combines them with `all`; null where sysctl.txt does not tell. */
export interface DeviceConf {
  /** IN_DEV_FORWARD: the device's own value (IPv4). */
  forwarding4: boolean | null;
  /** conf.DEV.forwarding of IPv6 (idev->cnf.forwarding). */
  forwarding6: boolean | null;
  /** IN_DEV_RPFILTER: max(all, dev). */
  rpFilter: number | null;
  /** IN_DEV_ORCONF and IN_DEV_ANDCONF settings. */
  acceptLocal: boolean;
  routeLocalnet: boolean;
  proxyArp: boolean;
  srcValidMark: boolean;
  sendRedirects: boolean;
  arpIgnore: number;
  arpFilter: boolean;
  arpAnnounce: number;
  proxyNdp: boolean;
  ignoreLinkdown: boolean;
  disableIpv6: boolean;
}

/** Whether a MAC is of a group: the lowest bit of its first byte, whose second hex digit is even or odd with its code, letters the other way round. */
export function isGroup(mac: string): boolean {
  const digit = mac.charCodeAt(1);
  return (digit & 1) === (digit > 57 ? 0 : 1);
}

/** A bridge on the way of a frame. No port in: the bridge device itself sends; no port out: it is for the bridge device. */
export interface Crossing {
  readonly bridge: Device;
  readonly from: Device | null;
  readonly to: Device | null;
}

/** A device that answers a request, or may: `unknown` tells why that can't be said. */
export interface Answerer {
  to: Device;
  /** The bridges on the way there. */
  way: readonly Crossing[];
  unknown: string | null;
}

/** Where a broadcast that leaves a device arrives. */
export interface BroadcastDomain {
  /** Devices whose IP stack sees it, each with the bridges on the way there. */
  reached: ReadonlyMap<Device, readonly Crossing[]>;
  /** Them by MAC. */
  owners: ReadonlyMap<string | null, readonly Device[]>;
  /** What could not be followed; null when all could. */
  gap: string | null;
}

export class Device implements RuleDevice {
  readonly ns: Ns;
  readonly link: Link;
  readonly index: number;
  readonly name: string;
  readonly kindName: string;
  /** What it is: `link.kind.kind`. */
  readonly kind: Link["kind"]["kind"];
  readonly mac: string | null;
  /** -1 when the group's number is not known. */
  readonly group: number;
  readonly mtu: number;
  /** UP and carrier. */
  readonly up: boolean;
  readonly isLoopback: boolean;
  /** No link-layer addresses to resolve: loopback, NOARP, tunnels of layer 3. */
  readonly noarp: boolean;
  /** Other end of a veth pair, wherever it is; null when it was not recorded. */
  peer: Device | null = null;
  master: Device | null = null;
  /** Ports of a bridge. */
  ports: Device[] = [];
  /** Device below: of macvlan, ipvlan, vlan, vxlan. */
  lower: Device | null = null;
  /** macvlan, ipvlan and vlan devices on top of it, in any namespace. */
  uppers: Device[] = [];
  /** Stretch of fabric that it is attached to. */
  segment: SegmentState | null = null;
  /** Own forwarding table: MAC → entries (several remotes for all zeros). Of a bridge: those learned or set on its ports. */
  readonly fdb = new Map<string, FdbEntry[]>();
  /** Neighbours by address key. */
  readonly neigh4 = new Map<number | string, Neighbour>();
  readonly neigh6 = new Map<number | string, Neighbour>();
  /** Whom a broadcast from here reaches (broadcast-domain.ts); null until first asked. */
  domain: BroadcastDomain | null = null;
  /** Whether a neighbour entry of the device leads nowhere any more, as far as anyone asked (neighbour.ts). */
  leftovers: Map<Neighbour, boolean> | null = null;
  /** The neighbours whose entries surely lead to their MAC, by address key, as far as anyone asked; null for the others (neighbour.ts). */
  sure: Map<Ip["key"], { readonly t: "mac"; readonly mac: string } | null> | null = null;
  /** Where a bridge sends frames, by their MAC, as far as anyone asked (bridge.ts). */
  macs: Map<string, BridgeEntry> | null = null;
  /** Where a VXLAN device sends frames, by their MAC, as far as anyone asked (vxlan.ts). */
  vteps: Map<string, VxlanEntry> | null = null;
  /** Who answers requests that leave by the device, by the keys of address and sender, as far as anyone asked. */
  answerers: Map<Ip["key"], Map<Ip["key"], readonly Answerer[]>> | null = null;
  /** Why what passes the device is not known: a program runs there. Undefined until it was asked. */
  program: string | null | undefined = undefined;
  /** Of a bridge: its frames pass IP's rules (br_netfilter). Null until it was asked. */
  callsIp4: boolean | null = null;
  callsIp6: boolean | null = null;
  private confCache: DeviceConf | null = null;

  constructor(ns: Ns, link: Link) {
    this.ns = ns;
    this.link = link;
    this.index = link.index;
    this.name = link.name;
    this.kind = link.kind.kind;
    this.kindName = link.kind.kind === "other" ? link.kind.name : link.kind.kind;
    this.mac = link.mac;
    this.group = link.group ?? -1;
    this.mtu = link.mtu;
    this.up = link.up && link.carrier;
    this.isLoopback = link.kind.kind === "loopback";
    this.noarp = link.noarp || this.isLoopback || link.mac === null;
  }

  /** The VRF that it belongs to; null when it belongs to none. */
  get vrf(): Device | null {
    const { master } = this;
    return master !== null && master.kind === "vrf" ? master : null;
  }

  get masterName(): string | null {
    return this.link.master;
  }

  get addresses(): readonly LinkAddress[] {
    return this.link.addresses;
  }

  get conf(): DeviceConf {
    return (this.confCache ??= this.readConf());
  }

  /** IPv6 link-local address of the device; null when it has none. */
  linkLocal(): Ip | null {
    for (const a of this.link.addresses) if (a.ip.v === 6 && a.ip.a >>> 22 === 0x3fa) return a.ip;
    return null;
  }

  private readConf(): DeviceConf {
    const { ns, name } = this;
    const get = (family: "ipv4" | "ipv6", dev: string, key: string): number | null =>
      ns.sysctl(sysctlConf(family, dev, key));
    const dev4 = (key: string): number | null => get("ipv4", name, key);
    const or4 = (key: string): boolean => (get("ipv4", "all", key) ?? 0) !== 0 || (dev4(key) ?? 0) !== 0;
    const bool = (n: number | null): boolean | null => (n === null ? null : n !== 0);
    const rp = [get("ipv4", "all", "rp_filter"), dev4("rp_filter")];
    return {
      forwarding4: bool(dev4("forwarding")),
      forwarding6: bool(get("ipv6", name, "forwarding")),
      rpFilter: rp[0] == null || rp[1] == null ? null : Math.max(rp[0], rp[1]),
      acceptLocal: or4("accept_local"),
      routeLocalnet: or4("route_localnet"),
      proxyArp: or4("proxy_arp"),
      srcValidMark: or4("src_valid_mark"),
      // Off only when both are off: IN_DEV_TX_REDIRECTS is an ORCONF.
      sendRedirects: or4("send_redirects"),
      arpIgnore: Math.max(get("ipv4", "all", "arp_ignore") ?? 0, dev4("arp_ignore") ?? 0),
      arpFilter: or4("arp_filter"),
      arpAnnounce: Math.max(get("ipv4", "all", "arp_announce") ?? 0, dev4("arp_announce") ?? 0),
      proxyNdp: (get("ipv6", "all", "proxy_ndp") ?? 0) !== 0 || (get("ipv6", name, "proxy_ndp") ?? 0) !== 0,
      ignoreLinkdown:
        (get("ipv4", "all", "ignore_routes_with_linkdown") ?? 0) !== 0 ||
        (dev4("ignore_routes_with_linkdown") ?? 0) !== 0,
      disableIpv6: (get("ipv6", name, "disable_ipv6") ?? 0) !== 0,
    };
  }
}
