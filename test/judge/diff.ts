/** Holds what the networks intend against a healthy cluster. */
import type { Diff } from "../../src/core/diff/types.ts";
import type { Kind } from "../../src/core/networks/claim.ts";

/** Kinds of which nearly everything must be owned. */
const COUNTED: ReadonlySet<Kind> = new Set(["rule", "chain", "set", "route", "neighbour", "fdb", "link"]);
/** The part that may be nobody's. */
const MOST_UNOWNED = 0.01;

/** What is wrong with the comparison of a healthy cluster, a line each: differences, gaps, and what nobody owns when it is too much. */
export function judgeDiff(result: Diff): string[] {
  const equal = result.owners.filter(({ kind }) => COUNTED.has(kind)).reduce((sum, each) => sum + each.equal, 0);
  const unowned = result.unowned.filter(({ kind }) => COUNTED.has(kind));
  const tooMuch = unowned.length > MOST_UNOWNED * (equal + unowned.length);
  return [
    ...result.differences.map(
      ({ owner, at, kind, intended, actual }) =>
        `${owner} ${kind} at ${at}: intended ${JSON.stringify(intended)}, actual ${JSON.stringify(actual)}`,
    ),
    ...result.unknown.map(({ at, what, why }) => `not compared at ${at}: ${what}: ${why}`),
    ...(tooMuch ? unowned.map(({ at, kind, text }) => `nobody's at ${at}: ${kind} ${text}`) : []),
    ...(equal === 0 ? ["nothing was compared"] : []),
  ];
}
