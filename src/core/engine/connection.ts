/** A tracked connection as a walk carries it (struct nf_conn). */
import type { CtTuple } from "../model/conntrack.ts";
import type { Source } from "../model/source.ts";

export interface Connection {
  v: 4 | 6;
  proto: number;
  orig: CtTuple;
  reply: CtTuple;
  /** Zone, and the direction that it counts in: in the other one the tuple is of zone 0 (nf_ct_zone_id). */
  zone: number;
  zoneDir: "both" | "orig" | "reply";
  mark: number;
  /** IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED. */
  seenReply: boolean;
  assured: boolean;
  confirmed: boolean;
  /** IPS_SRC_NAT, IPS_DST_NAT: the rewriting is really one. */
  srcNat: boolean;
  dstNat: boolean;
  /** IPS_SRC_NAT_DONE, IPS_DST_NAT_DONE: nat chains are not asked again. */
  srcNatDone: boolean;
  dstNatDone: boolean;
  /** IPS_EXPECTED: a helper announced it. */
  expected: boolean;
  helper: string | null;
  /** TCP or SCTP state as conntrack(8) names it; null otherwise. */
  state: string | null;
  /** The entry of the snapshot that it is; null for one that this walk made. */
  source: Source | null;
  /** The client's port is one that some kernel drew at random: in the original tuple, and in the reply after rewriting. The number here only stands for it. */
  randomOrig: boolean;
  randomReply: boolean;
}
