/** What a judge has to say when a walk and the world differ. */
import type { Question } from "../../src/core/model/walk.ts";

export type DisagreementKind =
  /** Seen, but no predicted outcome is it. */
  | "impossible"
  /** What was seen of one probe is too unlikely under the predicted shares. */
  | "unlikely"
  /** Over all probes together, what was seen does not fit the predicted shares. */
  | "shares"
  /** The tries of a sticky Service went to several servers. */
  | "sticky"
  /** The answer breaks the format's own rules. */
  | "malformed"
  /** The answer does not know. */
  | "inconclusive"
  /** A cited line does not hold what the step says. */
  | "source"
  /** Rules met by the traced packet differ. */
  | "rules"
  /** The same rules, but base chains in another order. */
  | "order"
  /** A connection tracking entry differs. */
  | "conntrack"
  /** No predicted outcome is the traced one. */
  | "outcome";

export interface Disagreement {
  kind: DisagreementKind;
  /** Null: it is about all questions together. */
  question: Question | null;
  seen: string;
  said: string;
  note?: string;
}
