/** What a walk answers: contract.md's kubewalk.walk/v1, as types. The JSON Schemas are generated from these (src/core/schema/). */
import type { Source } from "./source.ts";

export type Proto = "tcp" | "udp" | "icmp" | "sctp";

export interface Question {
  from: string;
  proto: Proto;
  to: string;
  port?: number;
  sourcePort?: number;
  mark?: number;
  ttl?: number;
  size?: number;
  tcpFlags?: string;
}

/** Exact: integers, as decimal strings beyond 2^53. */
export interface Share {
  num: number | string;
  den: number | string;
}

/** What the calling program meets. */
export type ClientResult =
  | "answered"
  | "timeout"
  | "refused"
  | "network-unreachable"
  | "host-unreachable"
  | "not-permitted"
  | "prohibited"
  | "invalid"
  | "too-big"
  | "inconclusive";

export type Disposition =
  | "delivered"
  | "answered"
  | "left-the-cluster"
  | "dropped"
  | "rejected"
  | "no-route"
  | "neighbour-unreachable"
  | "no-listener"
  | "martian"
  | "rp-filter"
  | "ttl-exceeded"
  | "too-big"
  | "loop"
  | "source-refused-by-fabric"
  | "inconclusive";

export type StepKind =
  | "rule"
  | "policy"
  | "route"
  | "rule-lookup"
  | "neighbour"
  | "fdb"
  | "bridge"
  | "tunnel"
  | "link"
  | "conntrack"
  | "sysctl"
  | "socket"
  | "fabric"
  | "program";

/** What a step rewrote; only what changed is there. Addresses as text, marks as numbers. */
export interface Changed {
  src?: string;
  dst?: string;
  sport?: number;
  dport?: number;
  mark?: number;
  ctmark?: number;
  ttl?: number;
}

/** One direction of a conntrack entry, as text addresses. */
export interface StepTuple {
  src: string;
  dst: string;
  sport?: number;
  dport?: number;
  icmpType?: number;
  icmpCode?: number;
  icmpId?: number;
}

export interface Step {
  direction: "forward" | "reply";
  at: string;
  kind: StepKind;
  /** ip, ip6, inet, bridge … of rule and policy steps. */
  family?: string;
  table?: string;
  chain?: string;
  /** 0 for the packet, 1 for what carries it through a tunnel, and so on. */
  layer: number;
  verdict?: string;
  text: string;
  source?: Source;
  changed?: Changed;
  /** Of the conntrack step that leaves an entry behind: its two tuples. */
  conntrack?: { proto: string; original: StepTuple; reply: StepTuple; zone?: number };
}

export interface Outcome {
  /** Null only where it cannot be known; then `because` says why. */
  share: Share | null;
  client: ClientResult;
  disposition: Disposition;
  server?: { at: string; address: string; port: number; clientAddress: string };
  because: { text: string; source?: Source };
  /** The likeliest path. */
  steps?: Step[];
  /** Every path to this outcome with its own share (`--paths`). */
  paths?: { share: Share | null; steps: Step[] }[];
}

export interface Answer {
  format: "kubewalk.walk/v1";
  from: string;
  proto: Proto;
  to: string;
  port?: number;
  verdict: "answered" | "failed" | "mixed" | "inconclusive";
  outcomes: Outcome[];
}
