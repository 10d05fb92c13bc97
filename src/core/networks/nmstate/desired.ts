/** What somebody wants a machine's network to be, from whatever language it was written in, each wish with its line. */
import type { Source } from "../../model/source.ts";

/** A value and where it is asked for. */
export interface Wish<T> {
  value: T;
  source: Source;
}

/** Addresses of one family on a device. */
export interface DesiredFamily {
  /** Null: not said. False: no address of this family at all. */
  enabled: Wish<boolean> | null;
  /** DHCP or router advertisements add addresses to those named here. */
  dynamic: boolean;
  /** `192.0.2.1/24`. */
  addresses: Wish<string>[];
}

export interface DesiredLink {
  name: string;
  /** nmstate's words: ethernet, bond, linux-bridge, vlan, vxlan, dummy, veth …; null when it is not said. */
  type: Wish<string> | null;
  state: Wish<"up" | "down" | "absent">;
  mtu: Wish<number> | null;
  /** Lower case. */
  mac: Wish<string> | null;
  /** Bond, bridge or VRF that it belongs to; "" for none. */
  controller: Wish<string> | null;
  /** Ports that a bond or bridge should have. */
  ports: Wish<string>[];
  vlan: { base: string | null; id: number; source: Source } | null;
  /** active-backup, 802.3ad … */
  bondMode: Wish<string> | null;
  ipv4: DesiredFamily;
  ipv6: DesiredFamily;
  source: Source;
}

export interface DesiredRoute {
  /** `0.0.0.0/0` for the default route. */
  destination: string;
  via: string | null;
  dev: string | null;
  metric: number | null;
  /** 254 when it is not said. */
  table: number;
  absent: boolean;
  source: Source;
}

/**
 * Something that cannot be what it says. `impossible`: the program refuses it, or passes over it, and the rest of the file may not be
 * applied either. `doubtful`: the program takes it, and it will hardly do what was meant.
 */
export interface DesiredProblem {
  kind: "impossible" | "doubtful";
  text: string;
  source: Source;
}

export interface DesiredState {
  /** File or object that it comes from, for messages: `NodeNetworkConfigurationPolicy bond0`. */
  name: string;
  links: DesiredLink[];
  routes: DesiredRoute[];
  dns: { servers: Wish<string>[]; searches: Wish<string>[] };
  problems: DesiredProblem[];
}

/** A family of which nothing is said. */
export function noFamily(): DesiredFamily {
  return { enabled: null, dynamic: false, addresses: [] };
}

/** A device of which nothing is said but that it is up. */
export function plainLink(name: string, source: Source): DesiredLink {
  return {
    name,
    type: null,
    state: { value: "up", source },
    mtu: null,
    mac: null,
    controller: null,
    ports: [],
    vlan: null,
    bondMode: null,
    ipv4: noFamily(),
    ipv6: noFamily(),
    source,
  };
}
