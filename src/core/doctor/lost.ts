/** Packets that get lost, as against those that somebody stops: what a wrong address, route or device can be to blame for. */
import type { Disposition, Outcome } from "../model/walk.ts";
import type { Walked } from "./chart.ts";
import type { Hurt } from "./check.ts";

/** A rule stopped it: a policy or a firewall, whose own affair it is. */
const STOPPED: ReadonlySet<Disposition> = new Set(["dropped", "rejected"]);
/** No way leads there, nobody is there, or it goes in circles. */
const ASTRAY: ReadonlySet<Disposition> = new Set([
  "no-route",
  "neighbour-unreachable",
  "martian",
  "rp-filter",
  "loop",
  "ttl-exceeded",
  "source-refused-by-fabric",
]);

/** Whether no rule stopped it. */
export const isLost = (disposition: Disposition): boolean => !STOPPED.has(disposition);

/** Whether it found no way. */
export const isAstray = (disposition: Disposition): boolean => ASTRAY.has(disposition);

/** Those of the walks that fail, with the outcomes that no rule decided. */
export function lostOf(walks: readonly Walked[]): Hurt[] {
  return walks.flatMap((walked): Hurt[] => {
    const outcomes: Outcome[] = walked.failed.filter((each) => isLost(each.disposition));
    if (outcomes.length === 0) return [];
    return outcomes.length === walked.failed.length ? [{ walked }] : [{ walked, outcomes }];
  });
}
