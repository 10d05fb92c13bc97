/** Sets of `ipset save`. */
import type { Prefix, Ip } from "./address.ts";
import type { Source } from "./source.ts";

/** One element; which fields are there follows from the set's type. */
export interface IpSetEntry {
  /** First dimension: an address or a network. */
  net: Prefix | null;
  /** `hash:ip,port,ip`, `hash:ip,port,net`, `hash:net,net`, `hash:net,port,net`: the last address. */
  net2: Prefix | null;
  /** Protocol number of a port; null when the type has none. `bitmap:port` has no protocol. */
  proto: number | null;
  port: number | null;
  /** ICMP type and code, where the port is one. */
  iface: string | null;
  /** `physdev:` before the interface. */
  physdev: boolean;
  mac: string | null;
  mark: number | null;
  /** `list:set`: the member set's name. */
  set: string | null;
  nomatch: boolean;
  /** Seconds left; null without a time-out, 0 means never. */
  timeout: number | null;
  line: number;
}

export interface IpSet {
  name: string;
  /** `hash:ip,port`, `bitmap:port`, `list:set` … */
  type: string;
  family: "inet" | "inet6" | null;
  /** Options of `create` in order, for printing: [name, value] or [name]. */
  options: string[][];
  /** `bitmap:ip` with `netmask`, `hash:ip` with `netmask`: bits; null otherwise. */
  netmask: number | null;
  /** `bitmap:*` range. */
  range: { from: Ip | number; to: Ip | number } | null;
  markmask: number | null;
  entries: IpSetEntry[];
  source: Source;
}
