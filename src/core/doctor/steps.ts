/** Steps of failed walks, each walk asked for them at most once. */
import type { Outcome, Step } from "../model/walk.ts";
import type { Chart, Walked } from "./chart.ts";

export type Traced = Outcome & { steps: Step[] };

const known = new WeakMap<Chart, Map<string, Traced[]>>();

/** What failed of a walk, with the steps of each outcome's likeliest path. */
export function tracedFailures(chart: Chart, walked: Walked): readonly Traced[] {
  let walks = known.get(chart);
  if (walks === undefined) known.set(chart, (walks = new Map()));
  const key = JSON.stringify(walked.question);
  let found = walks.get(key);
  if (found === undefined) walks.set(key, (found = chart.failedWithSteps(walked)));
  return found;
}

/** The failed outcomes of `walked` whose path has a step that `holds`; in the order of `walked.failed`. */
export function failedThrough(chart: Chart, walked: Walked, holds: (step: Step) => boolean): Outcome[] {
  return tracedFailures(chart, walked).filter((outcome) => outcome.steps.some(holds));
}
