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
  /** Port of TCP, UDP, UDP-Lite and SCTP; type × 256 + code of ICMP and ICMPv6; 0 of every other protocol. */
  port: number | null;
  /** `hash:net,iface`: the interface; with `wildcard` every name that begins so. A `+` is an ordinary character. */
  iface: string | null;
  wildcard: boolean;
  /** `physdev:` before the interface. */
  physdev: boolean;
  mac: string | null;
  mark: number | null;
  /** `list:set`: the member set's name. */
  set: string | null;
  nomatch: boolean;
  /** Seconds left; null without a time-out, 0 means never. */
  timeout: number | null;
  /** Options in order, for printing: [name, value] or [name]. A comment's value keeps its quotes. */
  options: readonly (readonly string[])[];
  line: number;
}

export interface IpSet {
  name: string;
  /** `hash:ip,port`, `bitmap:port`, `list:set` … */
  type: string;
  /** As printed; "inet" for bitmaps of addresses, which know no other; null where no address is stored. */
  family: "inet" | "inet6" | null;
  /** Options of `create` in order, for printing: [name, value] or [name]. */
  options: string[][];
  /**
   * `netmask` in bits; null otherwise. An address is masked before it is looked up; entries whose type has an address here
   * (not a network) have this as the length of `net`.
   */
  netmask: number | null;
  /** `bitmask`: an address is ANDed with it before it is looked up; null otherwise. */
  bitmask: Ip | null;
  /** `bitmap:*` range. */
  range: { from: Ip | number; to: Ip | number } | null;
  markmask: number | null;
  entries: IpSetEntry[];
  source: Source;
}
