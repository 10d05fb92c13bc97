/** kubewalk.ipam/v1: who has which addresses, and who gets the next. */
import type { Rule } from "./search.ts";

/** A count that may exceed 2^53: then a decimal string. */
export type Count = number | string;

export interface ReportedPool {
  name: string;
  cidr: string;
  blockSize: number;
  disabled: boolean;
  uses: string[];
  nodeSelector: string | null;
  namespaceSelector: string | null;
  /** Pods get its addresses without asking for it. */
  automatic: boolean;
  addresses: { size: Count; used: number };
  blocks: { size: Count; claimed: number; unclaimed: Count };
}

export interface ReportedBlock {
  cidr: string;
  pool: string | null;
  /** Null: no host owns it. */
  node: string | null;
  /** Of its affinity: confirmed, pending …; null when there is none. */
  affinity: string | null;
  size: number;
  used: number;
  free: number;
  /** Addresses of it that other nodes use. */
  borrowed: number;
}

/** A range set of host-local on one node. */
export interface ReportedRange {
  node: string;
  network: string;
  cidrs: string[];
  size: Count;
  used: number;
  last: string | null;
}

export interface ReportedNext {
  node: string;
  family: 4 | 6;
  address: string | null;
  /** The block, or host-local's range. */
  from: string | null;
  pool: string | null;
  rule: Rule | "next-in-range";
  /** Whose block it is, when it is another's. */
  owner: string | null;
  because: string;
}

export interface ReportedLeak {
  address: string;
  from: string;
  node: string | null;
  handle: string | null;
  pod: { namespace: string; name: string } | null;
  because: string;
}

export interface PodAddress {
  address: string;
  namespace: string;
  name: string;
  node: string | null;
}

export interface IpamReport {
  format: "kubewalk.ipam/v1";
  takenAt: string | null;
  pools: ReportedPool[];
  blocks: ReportedBlock[];
  ranges: ReportedRange[];
  /** Null where nothing follows the nodes' podCIDRs. */
  podCIDRs: {
    cluster: { cidr: string; nodeMask: number; nodes: Count; used: number }[];
    nodes: { node: string; podCIDRs: string[] }[];
    problems: { node: string; kind: "missing" | "outside" | "overlaps"; because: string }[];
  } | null;
  next: ReportedNext[];
  /** Given out, and nobody has it. */
  leaked: ReportedLeak[];
  /** A pod has it, and it was not given out. */
  unrecorded: PodAddress[];
  /** Several pods have it. */
  duplicates: { address: string; pods: { namespace: string; name: string }[] }[];
  /** Nodes that have no address for their next pod. */
  exhausted: { node: string; family: 4 | 6; because: string }[];
}
