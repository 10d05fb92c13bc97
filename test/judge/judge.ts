/** All judges over one recording. */
import type { Answer, Question } from "../../src/core/model/walk.ts";
import type { Disagreement } from "./disagreement.ts";
import { judgeProbes, questionsOf, type Judgement } from "./probes.ts";
import type { Recording } from "./recording.ts";
import { needsPaths } from "./retransmission.ts";
import { CitationJudge, stepsOf } from "./sources.ts";
import { judgeTraces, traceQuestionsOf, type TraceJudgement } from "./traces.ts";

/** Steps of each outcome's likeliest path, or of every path. Who cannot give every path gives the likeliest. */
export type Wanted = "steps" | "paths";

/** Answers questions about the snapshot at this path, in order. */
export type Asker = (snapshot: string, questions: readonly Question[], wanted: Wanted) => Promise<Answer[]>;

export interface Verdict {
  probes: Judgement;
  traces: TraceJudgement;
  disagreements: Disagreement[];
  /** Citations looked up. */
  citations: number;
}

const citationsOf = (a: Answer): number =>
  a.outcomes.reduce(
    (n, o) => n + Number(o.because.source !== undefined) + stepsOf(o).filter((s) => s.source !== undefined).length,
    0,
  );

/** Asks every question that the recording's truth answers, and compares. */
export async function judge(recording: Recording, ask: Asker): Promise<Verdict> {
  const { truth, names, snapshot } = recording;
  const questions = questionsOf(truth);
  const traceQuestions = traceQuestionsOf(truth);
  const probeAnswers = await ask(snapshot, questions, "steps");
  const again = probeAnswers.flatMap((a, i) => (needsPaths(a) ? [i] : []));
  const detailed = await ask(
    snapshot,
    again.map((i) => questions[i]!),
    "paths",
  );
  again.forEach((i, n) => (probeAnswers[i] = detailed[n]!));
  const traceAnswers = await ask(snapshot, traceQuestions, "paths");
  const answers = [...probeAnswers, ...traceAnswers];
  const probes = judgeProbes(truth, probeAnswers, { names });
  const traces = judgeTraces(truth, traceAnswers, { names });
  const all = [...questions, ...traceQuestions];
  const cited = new CitationJudge((file) => recording.text(file));
  const citations = answers.flatMap((a, i) => cited.judge(all[i]!, a));
  return {
    probes,
    traces,
    disagreements: [...probes.disagreements, ...traces.disagreements, ...citations],
    citations: answers.reduce((n, a) => n + citationsOf(a), 0),
  };
}
