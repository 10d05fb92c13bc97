/** A loaded snapshot that can be asked: what commands need of the engine, so that starting the command loads neither. */
import type { Snapshot } from "../core/model/snapshot.ts";
import type { Answer, Question } from "../core/model/walk.ts";
import type { PeerOf } from "../core/show/namespace.ts";

export interface Progress {
  done: number;
  total: number;
  place: string;
}

export interface Session {
  readonly snapshot: Snapshot;
  /** `question.from` is a canonical place, `question.to` an address. Throws UsageError for a question that cannot be asked. */
  ask(question: Question, options: { steps: boolean; allRules: boolean; paths?: boolean }): Answer;
  readonly peerOf: PeerOf;
}

/** Rejects with UsageError when there is no snapshot at `path`, or one that cannot be read. */
export type OpenSession = (path: string, onProgress: (progress: Progress) => void) => Promise<Session>;
