/** What every check offers. */
import type { Outcome } from "../model/walk.ts";
import type { Chart, Walked } from "./chart.ts";
import type { Evidence, Severity, Undecided } from "./types.ts";

/**
 * How near to the ground a fault is. Of two faults that explain the same walks, the nearer one is the cause, the other its symptom.
 * machine: devices, settings, links; underlay: what carries packets between nodes; overlay: tunnels, routes to pods; rules: filters and
 * NAT; service: endpoints, programs, names; traffic: what is seen of all that in tables of connections.
 */
export const DEPTHS = ["machine", "underlay", "overlay", "rules", "service", "traffic"] as const;
export type Depth = (typeof DEPTHS)[number];

/** A walk that a suspicion explains, with those of its failed outcomes that it explains (all when not said). */
export interface Hurt {
  walked: Walked;
  outcomes?: readonly Outcome[];
}

/** What a check believes to be wrong, before it is known whether anyone is hurt. */
export interface Suspicion {
  /** Of the check's ids. */
  id: string;
  at: string;
  /** The cause in one sentence, ending without a full stop. */
  summary: string;
  evidence: Evidence[];
  remedy: string[];
  /** Walks that fail because of this. With any, the finding is an `error`. */
  hurts: readonly Hurt[];
  /** What it is while nobody is hurt; `summary` must then state the condition of a warning. Null: nothing, it is not reported. */
  otherwise: Exclude<Severity, "error"> | null;
  /**
   * What stops these walks is meant to (a policy that forbids them): they are explained, and the finding is what it is `otherwise`, an
   * `info` when that is not said.
   */
  intended?: boolean;
}

export interface Diagnosis {
  suspicions: Suspicion[];
  /** What could not be decided. */
  unknown?: Undecided[];
}

export interface Check {
  /** Ids of the findings that it may make, as in the list of faults. */
  ids: readonly string[];
  depth: Depth;
  look(chart: Chart): Diagnosis;
}
