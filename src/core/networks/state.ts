/**
 * Kernel state as flat records, in the words that `ip`, `bridge`, `iptables-save` and `nft` print: what networks intend, what `diff`
 * compares, what `render` prints. A network leaves out what it does not decide; what it leaves out is not compared.
 */
import type { NftFamily, NftJson } from "../model/nftables.ts";

/** A network device. */
export interface LinkState {
  name: string;
  /** iproute2's info_kind: bridge, vxlan, veth, macvlan, ipvlan, ipip, dummy …; "loopback", "ethernet" for those without one. */
  type: string;
  mtu?: number;
  mac?: string;
  up?: boolean;
  /** Bridge, bond or VRF that the device is enslaved to; null for none. */
  master?: string | null;
  /** Other end of a veth pair: `NODE/pod/NAMESPACE/NAME eth0`. */
  peer?: string;
  /** Port of a bridge: whether a frame may leave by the port it came in by. */
  hairpin?: boolean;
  /** What only its kind has, by iproute2's names. VXLAN: id, local, remote, dev, port, learning, l2miss, l3miss, proxy, external. macvlan, ipvlan: mode, dev. */
  attributes?: Record<string, string | number | boolean | null>;
}

/** An address on a device, `10.244.0.1/24`. */
export interface AddressState {
  dev: string;
  address: string;
  scope?: string;
}

/** One way of a route. */
export interface WayState {
  via: string | null;
  dev: string | null;
  weight?: number;
  onlink?: boolean;
}

/** The table main, where most routes are. */
export const MAIN_TABLE = 254;

export interface RouteState {
  family: 4 | 6;
  /** MAIN_TABLE, 255 local. */
  table: number;
  /** `10.244.1.0/24`; the default route is `0.0.0.0/0` or `::/0`. */
  dst: string;
  /** unicast, local, broadcast, multicast, anycast, unreachable, blackhole, prohibit, throw. */
  type: string;
  /** IPv4: 0 when not said. IPv6: 1024. */
  metric: number;
  protocol?: string;
  scope?: string;
  src?: string | null;
  mtu?: number | null;
  /** None for blackhole and its like; several for ECMP. */
  ways: WayState[];
}

/** A policy rule of `ip rule`. */
export interface RuleLookupState {
  family: 4 | 6;
  priority: number;
  /** All of its selectors in `ip rule`'s words, `from 10.0.0.0/8 fwmark 0x200/0xf00`; "from all" for none. */
  selector: string;
  /** `lookup main`, `goto 100`, `unreachable` … Tables by number, but local, main and default. */
  action: string;
}

export interface NeighbourState {
  dev: string;
  ip: string;
  mac?: string | null;
  /** PERMANENT, NOARP, REACHABLE … */
  state?: string;
  /** An entry of `ip neigh show proxy`. */
  proxy?: boolean;
}

export interface FdbState {
  dev: string;
  mac: string;
  /** Where a tunnel sends it. */
  dst?: string | null;
  /** Bridge that holds the entry; null for the device's own table. */
  master?: string | null;
  /** "permanent", "static", "" (learned). */
  state?: string;
  vlan?: number | null;
}

export interface SysctlState {
  /** `net.ipv4.conf.eth0.forwarding`; a dot in a device's name is written `/`, as sysctl(8) does. */
  key: string;
  value: string;
}

export type XtFamily = "ip" | "ip6";

/** A chain of iptables (whichever backend) or nftables, without its rules. */
export type ChainState =
  | {
      backend: "iptables";
      family: XtFamily;
      table: string;
      chain: string;
      /** ACCEPT or DROP of a built-in chain. */ policy?: string | null;
    }
  | {
      backend: "nft";
      family: NftFamily;
      table: string;
      chain: string;
      /** Null for a regular chain. */
      base: { type: string; hook: string; priority: number; policy: "accept" | "drop" } | null;
    };

/** A rule of iptables as iptables-save prints it, without `-A CHAIN `; of nftables as libnftables-json(5) has it, counters left out. */
export type RuleState = string | { expr: NftJson[]; comment?: string | null };

/** A set of ipset, or a set or map of nftables. */
export type SetState =
  | {
      backend: "ipset";
      name: string;
      /** hash:ip, hash:net, hash:ip,port … */
      type: string;
      family: "inet" | "inet6" | null;
      /** As `ipset save` prints them after the set's name; order means nothing. */
      elements: string[];
    }
  | {
      backend: "nft";
      family: NftFamily;
      table: string;
      name: string;
      isMap: boolean;
      keyTypes: string[];
      valueType: string | null;
      flags?: string[];
      /** Seconds after which an element is gone. */
      timeout?: number;
      /** Elements in nft's JSON shape; order means nothing. */
      elements: NftJson[];
    };
