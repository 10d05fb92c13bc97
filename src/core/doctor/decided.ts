/** Which failed walks a line of the snapshot decided. */
import type { Source } from "../model/source.ts";
import type { Outcome } from "../model/walk.ts";
import type { Chart } from "./chart.ts";
import type { Hurt } from "./check.ts";

const keyOf = (source: Source): string => `${source.file}:${source.line}`;

/** Failed outcomes of the survey that `because` holds for; walks without one are left out. Expected failures are not among them unless `all`. */
export function failuresWhere(chart: Chart, because: (outcome: Outcome) => boolean, all = false): Hurt[] {
  return (all ? chart.survey : chart.failures).flatMap((walked): Hurt[] => {
    const outcomes = walked.failed.filter(because);
    if (outcomes.length === 0) return [];
    return outcomes.length === walked.failed.length ? [{ walked }] : [{ walked, outcomes }];
  });
}

/** Failed outcomes of the survey that one of these lines decided. */
export function decidedBy(chart: Chart, sources: readonly Source[]): Hurt[] {
  const keys = new Set(sources.map(keyOf));
  return failuresWhere(chart, ({ because }) => because.source !== undefined && keys.has(keyOf(because.source)));
}
