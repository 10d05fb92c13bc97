/** Connection tracking entries, as the table holds them. */
import type { Ip } from "./address.ts";
import type { Source } from "./source.ts";

/** One direction of a connection. Protocols without ports have zeros; ICMP uses the three icmp fields; GRE has its keys in the ports. */
export interface CtTuple {
  src: Ip;
  dst: Ip;
  sport: number;
  dport: number;
  icmpType: number;
  icmpCode: number;
  icmpId: number;
}

export interface CtEntry {
  family: 4 | 6;
  proto: number;
  /** Seconds until it expires; null when not printed. */
  timeout: number | null;
  /** TCP and SCTP state (ESTABLISHED, TIME_WAIT …); null otherwise. */
  state: string | null;
  orig: CtTuple;
  reply: CtTuple;
  /** [UNREPLIED], [ASSURED], [OFFLOAD], [HW_OFFLOAD] and the like, without brackets. */
  status: string[];
  mark: number;
  zone: number;
  zoneOrig: number;
  zoneReply: number;
  helper: string | null;
  secctx: string | null;
  source: Source;
}
