/** A snapshot to be compared, and how what it lacks is kept out of the comparison. */
import type { Aspect, Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { PeerOf } from "../show/namespace.ts";
import type { Report } from "./report.ts";

export interface State {
  snapshot: Snapshot;
  peerOf: PeerOf;
}

/** The two descriptions of one namespace. */
export interface Both {
  place: string;
  before: Namespace;
  after: Namespace;
}

/** Whether both sides have all of `aspects`; what is missing on one side alone is told, since nothing says whether it changed. */
export function bothHave(both: Both, aspects: readonly Aspect[], what: string, report: Report): boolean {
  for (const aspect of aspects) {
    const [a, b] = [both.before.missing.get(aspect), both.after.missing.get(aspect)];
    if (a === undefined && b === undefined) continue;
    if (a === undefined || b === undefined)
      report.unknown.push({
        at: both.place,
        what,
        why: a === undefined ? `missing after: ${b}` : `missing before: ${a}`,
      });
    return false;
  }
  return true;
}
