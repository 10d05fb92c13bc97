/** What `kubewalk doctor` answers: format kubewalk.findings/v1 of the contract. */
import type { Share } from "../model/walk.ts";

/** `error`: walks show who is hurt now. `warning`: it will hurt under a condition that the summary states. `info`: unusual, and harmless here. */
export type Severity = "error" | "warning" | "info";

/** A line of the snapshot that shows the fault. */
export interface Evidence {
  file: string;
  line: number;
  /** The line, or what it says in the words of the command that prints it. */
  text: string;
}

/** Someone who cannot reach something. `from` and `to` are what `kubewalk walk` takes. */
export interface Affected {
  from: string;
  to: string;
  /** Which part of the connections fails; null where it cannot be known. */
  share: Share | null;
  proto: string;
  address: string;
  port?: number;
  /** The client's port, where only a connection from this one fails. */
  sourcePort?: number;
  /** Bytes of the packets that fail, where smaller ones pass. */
  size?: number;
}

export interface Finding {
  /** As in the list of faults; never changes its meaning. */
  id: string;
  severity: Severity;
  /** Place of the fault: a namespace, or `cluster` for objects. */
  at: string;
  /** The cause, in one sentence. */
  summary: string;
  /** Who is hurt, in numbers; null when no walk shows anyone. */
  hurt: string | null;
  evidence: Evidence[];
  affects: Affected[];
  /** Commands that mend it, in order; lines that begin with `#` say what a person has to decide. */
  remedy: string[];
  /** Ids of findings that follow from this one and are not listed by themselves. */
  symptoms: { id: string; at: string; summary: string }[];
}

/** What could not be decided from the snapshot. */
export interface Undecided {
  /** Id of the check; `walk` for a walk that fails and that no check explains. */
  id: string;
  at: string;
  why: string;
}

export interface Findings {
  findings: Finding[];
  unknown: Undecided[];
}
