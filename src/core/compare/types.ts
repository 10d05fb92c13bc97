/** What `kubewalk diff A B` answers: format kubewalk.compare/v1. */
import type { ClientResult, Disposition, Proto, Share } from "../model/walk.ts";
import type { Source } from "../model/source.ts";

export type ChangeKind =
  | "rule"
  | "chain"
  | "set"
  | "route"
  | "rule-lookup"
  | "neighbour"
  | "fdb"
  | "link"
  | "address"
  | "sysctl"
  | "socket"
  | "ipvs"
  | "program"
  | "conntrack"
  | "node"
  | "namespace"
  | "pod"
  | "service"
  | "endpoint"
  | "object"
  | "segment"
  | "file";

/** One side of a change, as the node's own command prints it. */
export interface Side {
  text: string;
  /** Null for what no line of the snapshot says. */
  source: Source | null;
}

/** A field that the two sides have different. */
export interface ChangedField {
  name: string;
  before: string;
  after: string;
}

export interface Change {
  /** A place (`n1/host`), or `cluster` for its objects. */
  at: string;
  kind: ChangeKind;
  change: "added" | "removed" | "moved" | "changed";
  /** What it is, on both sides: a table and chain, a route's destination, a setting's key, a pod. */
  what: string;
  before: Side | null;
  after: Side | null;
  /** Of what changed: the fields that tell. Empty for rules, and for what came, went or moved. */
  fields: ChangedField[];
  /** The pod (`NAMESPACE/NAME`) whose coming or going explains it; null for none. */
  pod: string | null;
}

/** An outcome of a walk, without its path. */
export interface ComparedOutcome {
  share: Share | null;
  client: ClientResult;
  disposition: Disposition;
  server?: { at: string; address: string; port: number; clientAddress: string };
  because: { text: string; source?: Source };
}

/** What one snapshot answers. */
export interface ComparedAnswer {
  /** Address and port that were asked: a Service's may differ from one snapshot to the other. */
  to: string;
  port?: number;
  verdict: "answered" | "failed" | "mixed" | "inconclusive";
  outcomes: ComparedOutcome[];
}

export interface ChangedWalk {
  from: string;
  proto: Proto;
  /** As it was asked: `svc:shop/web:80`, an address. */
  to: string;
  port?: number;
  /** `verdict`: what clients meet, or how many of them, is another. `servers`: they meet the same, from others. */
  change: "verdict" | "servers";
  before: ComparedAnswer;
  after: ComparedAnswer;
}

export interface Comparison {
  changes: Change[];
  walks: {
    /** Questions that both snapshots were asked. */
    asked: number;
    /** Questions that were not asked, because there are too many. */
    left: number;
    changed: ChangedWalk[];
  };
  /** What could not be compared, each with the reason. */
  unknown: { at: string; what: string; why: string }[];
}
