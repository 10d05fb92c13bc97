/** Network devices, their addresses, and what bridges and tunnels know about them. */
import type { Ip, Prefix } from "./address.ts";
import type { Source } from "./source.ts";

/** An address on a link (`ip -j addr`, `addr_info`). */
export interface LinkAddress {
  ip: Ip;
  prefixLen: number;
  /** Far end of a point-to-point address, when it is not `ip` itself. */
  peer: Prefix | null;
  scope: "global" | "site" | "link" | "host" | "nowhere" | string;
  /** True for every address but the first of its subnet (IFA_F_SECONDARY): source selection skips it. */
  secondary: boolean;
  /** IPv6: not usable as yet, or no longer preferred. */
  tentative: boolean;
  deprecated: boolean;
  dadFailed: boolean;
  noPrefixRoute: boolean;
  label: string | null;
}

/** What only one kind of link has; `kind` is iproute2's `info_kind`. Every other kind is `other`. */
export type LinkKind =
  | { kind: "loopback" }
  | { kind: "ethernet" }
  | { kind: "veth" }
  | { kind: "dummy" }
  | { kind: "bridge"; vlanFiltering: boolean; defaultPvid: number; nfCallIptables: boolean; nfCallIp6tables: boolean }
  | {
      kind: "vxlan";
      /** VNI; null with collect metadata (`external`). */
      id: number | null;
      local: Ip | null;
      /** Default destination: a remote VTEP or a multicast group. */
      remote: Ip | null;
      /** Device that carries the tunnel, by name. */
      link: string | null;
      port: number;
      learning: boolean;
      l2miss: boolean;
      l3miss: boolean;
      proxy: boolean;
      external: boolean;
      ttl: number;
      df: string;
    }
  | {
      kind: "ipip" | "gre" | "gretap" | "sit" | "ip6tnl" | "ip6gre";
      local: Ip | null;
      remote: Ip | null;
      ttl: number;
      link: string | null;
      external: boolean;
      pmtudisc: boolean;
    }
  | { kind: "geneve"; id: number | null; remote: Ip | null; port: number; external: boolean; ttl: number }
  | { kind: "macvlan" | "macvtap"; mode: string }
  | { kind: "ipvlan"; mode: string; flags: string }
  | { kind: "vlan"; id: number; protocol: string }
  | { kind: "vrf"; table: number }
  | { kind: "bond"; mode: string }
  | { kind: "wireguard" }
  | { kind: "tun" }
  | { kind: "ifb" }
  | { kind: "other"; name: string };

/** State of a link as a port of a bridge (`bridge -j -d link`). */
export interface BridgePort {
  state: "disabled" | "listening" | "learning" | "forwarding" | "blocking" | string;
  hairpin: boolean;
  isolated: boolean;
  learning: boolean;
  flood: boolean;
  mcastFlood: boolean;
  bcastFlood: boolean;
  neighSuppress: boolean;
  locked: boolean;
  source: Source;
}

export interface VlanMembership {
  vid: number;
  pvid: boolean;
  untagged: boolean;
}

export interface Link {
  index: number;
  name: string;
  /** Flags as `ip` prints them: UP, LOWER_UP, NOARP, LOOPBACK, POINTOPOINT, BROADCAST, MULTICAST, NO-CARRIER … */
  flags: string[];
  up: boolean;
  /** Carrier: LOWER_UP. NO-CARRIER only tells that operstate has not followed as yet. */
  carrier: boolean;
  noarp: boolean;
  mtu: number;
  /** Lower-case `aa:bb:cc:dd:ee:ff`; null for links without one (tun, ipip). */
  mac: string | null;
  kind: LinkKind;
  /** `link_index`: the veth peer's ifindex, or the lower device's; null when there is none. */
  peerIndex: number | null;
  /** `link` by name when the lower device is in the same namespace. */
  lower: string | null;
  /** `link_netnsid`: the namespace of the peer, as this namespace numbers it; null for the same namespace. */
  peerNetnsId: number | null;
  /** Device group (`ip link set group`); null for a name that only the node's own tables explain. */
  group: number | null;
  /** Bridge, bond or VRF that this link is enslaved to, by name. */
  master: string | null;
  addresses: LinkAddress[];
  port: BridgePort | null;
  vlans: VlanMembership[];
  /** XDP program attached. */
  xdp: boolean;
  source: Source;
}

/** `bridge -j fdb`. */
export interface FdbEntry {
  mac: string;
  dev: string;
  /** Bridge that holds the entry; null for the link's own table (`self`). */
  master: string | null;
  self: boolean;
  /** VXLAN destination. */
  dst: Ip | null;
  port: number | null;
  vni: number | null;
  via: string | null;
  /** VXLAN: a group of fdb next hop objects takes the place of `dst`; each flow is hashed to one of them (vxlan_fdb_nh_path_select). */
  nhid?: number;
  vlan: number | null;
  /** "permanent" (a local address when on a bridge), "static", "" (learned) … */
  state: string;
  source: Source;
}

/** `ip -j neigh`, also proxy entries. */
export interface Neighbour {
  ip: Ip;
  dev: string | null;
  mac: string | null;
  /** PERMANENT, NOARP, REACHABLE, STALE, DELAY, PROBE, INCOMPLETE, FAILED, NONE; empty for proxy entries. */
  state: string;
  router: boolean;
  source: Source;
}
