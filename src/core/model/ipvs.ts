/** `ipvsadm -S -n`. */
import type { Ip } from "./address.ts";
import type { Source } from "./source.ts";

export interface IpvsReal {
  ip: Ip;
  port: number;
  /** masq (NAT), gatewaying (direct routing) or ipip. */
  method: "masq" | "gatewaying" | "ipip";
  weight: number;
  /** `ipip` only: what carries it (`--tun-type`: ipip, gue or gre) and gue's UDP port; null for plain IPIP. */
  tunnel: { type: string; port: number | null } | null;
  source: Source;
}

export interface IpvsService {
  /** Protocol number, or null for a firewall-mark service. */
  proto: number | null;
  ip: Ip | null;
  port: number;
  fwmark: number | null;
  scheduler: string;
  /** Persistence time-out in seconds; null when not persistent. */
  persistent: number | null;
  /** What else was set, as printed: `-o`, `-6`, `-M 255.255.255.0`, `--pe sip`, `-b sh-port`. */
  flags: string[];
  reals: IpvsReal[];
  source: Source;
}
