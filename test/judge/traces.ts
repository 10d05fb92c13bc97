/** Judges the steps of walks by what `nft monitor trace` saw of real packets, and by the conntrack entries that they left. */
import type { Answer, Outcome, Question, Step } from "../../src/core/model/walk.ts";
import { compareEntries } from "./conntrack-diff.ts";
import type { Disagreement } from "./disagreement.ts";
import { flowOf, type TracedFlow } from "./flow.ts";
import { describeAnswer, describeCounts, seenCounts, seenOf } from "./outcomes.ts";
import { comparePassages } from "./passage-diff.ts";
import { questionOf } from "./probes.ts";
import { isProbe, type Trace, type Truth } from "./truth.ts";

export interface TraceOptions {
  /** Host names of the cluster's nodes and pods. */
  names: ReadonlySet<string>;
  /** Whether the recorder traced this place; by default every place but the control plane's and those beyond the fabric. */
  traced?: (place: string) => boolean;
}

export interface TraceJudgement {
  traces: number;
  /** Traces of which some path's steps agree in everything that was compared. */
  agreed: number;
  /** Rules and policies met alike, and entries left alike. */
  events: number;
  entries: number;
  disagreements: Disagreement[];
  /** What could not be compared, with the reason. */
  skipped: string[];
}

const tracedByDefault = (place: string): boolean => !place.startsWith("cp/") && !place.startsWith("outside/");

/** One question for each trace whose probe could be made, in order; with the source port that the traced packet had. */
export function traceQuestionsOf(truth: Truth): Question[] {
  return truth.traces.flatMap((t): Question[] => {
    if (!isProbe(t.probe)) return [];
    const port = flowOf(t)?.first?.sport ?? t.probe.clientPorts[0];
    return [port === undefined ? questionOf(t.probe) : { ...questionOf(t.probe), sourcePort: port }];
  });
}

interface Verdict {
  disagreements: Disagreement[];
  events: number;
  entries: number;
  skipped: string[];
}

/** The paths that an outcome shows: all, or the likeliest alone. */
const pathsOf = (o: Outcome): readonly (readonly Step[])[] =>
  o.paths === undefined || o.paths.length === 0 ? [o.steps ?? []] : o.paths.map((p) => p.steps);

function judgePath(
  trace: Trace,
  flow: TracedFlow,
  question: Question,
  steps: readonly Step[],
  traced: (place: string) => boolean,
): Verdict {
  const rules = comparePassages(flow, steps, traced);
  const entries = compareEntries(trace, flow, steps, traced);
  return {
    disagreements: [
      ...rules.differences.map((d): Disagreement => ({
        kind: d.kind,
        question,
        seen: d.seen,
        said: d.said,
        note: `${d.at}: ${d.note}`,
      })),
      ...entries.differences.map((d): Disagreement => ({
        kind: "conntrack",
        question,
        seen: d.seen,
        said: d.said,
        note: d.at,
      })),
    ],
    events: rules.events,
    entries: entries.entries,
    skipped: rules.skipped,
  };
}

/**
 * Compares answers with steps (one for each of `traceQuestionsOf(truth)`, in order) with the recorded traces. Of the paths to
 * outcomes that are what the traced try met, the one that fits best counts.
 */
export function judgeTraces(truth: Truth, answers: readonly Answer[], options: TraceOptions): TraceJudgement {
  const traced = options.traced ?? tracedByDefault;
  const result: TraceJudgement = { traces: 0, agreed: 0, events: 0, entries: 0, disagreements: [], skipped: [] };
  const traces = truth.traces.filter((t) => isProbe(t.probe));
  traces.forEach((trace, i) => {
    const flow = flowOf(trace)!;
    const question = traceQuestionsOf({ ...truth, traces: [trace] })[0]!;
    const answer = answers[i];
    result.traces++;
    const [[seen] = [""]] = [...seenCounts(flow.probe, options.names)];
    const fitting = answer?.outcomes.filter((o) => seenOf(o) === seen) ?? [];
    if (fitting.length === 0) {
      const counts = seenCounts(flow.probe, options.names);
      result.disagreements.push({
        kind: "outcome",
        question,
        seen: describeCounts(counts),
        said: answer === undefined ? "nothing" : describeAnswer(answer),
      });
      return;
    }
    const verdicts = fitting.flatMap(pathsOf).map((steps) => judgePath(trace, flow, question, steps, traced));
    const best = verdicts.reduce((a, b) => (b.disagreements.length < a.disagreements.length ? b : a));
    result.events += best.events;
    result.entries += best.entries;
    result.skipped.push(
      ...best.skipped.map((s) => `${question.from} ${question.proto} ${question.to} ${question.port}: ${s}`),
    );
    result.disagreements.push(...best.disagreements);
    if (best.disagreements.length === 0) result.agreed++;
  });
  return result;
}
