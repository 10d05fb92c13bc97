/** Sockets of `ss -lntuwe`. */
import type { Ip } from "./address.ts";
import type { Source } from "./source.ts";

export interface Socket {
  proto: "tcp" | "udp" | "raw" | "icmp6" | string;
  state: string;
  /** 4: IPv4 only. 6: IPv6, and IPv4 too unless `v6only`. */
  family: 4 | 6;
  /** Null is the wildcard. */
  ip: Ip | null;
  port: number;
  /** Bound device (`%eth0`). */
  dev: string | null;
  v6only: boolean;
  /** Remote end of a connected UDP socket; null otherwise. */
  remote: { ip: Ip; port: number } | null;
  inode: number | null;
  uid: number;
  cgroup: string | null;
  source: Source;
}
