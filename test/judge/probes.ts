/** Judges predictions by what happened when each source tried each destination. */
import type { Answer, Outcome, Question } from "../../src/core/model/walk.ts";
import type { Disagreement } from "./disagreement.ts";
import {
  describeAnswer,
  describeCounts,
  hostNameOf,
  seenCounts,
  seenOf,
  sumToOne,
  valueOf,
  type Seen,
} from "./outcomes.ts";
import { afterRetransmission } from "./retransmission.ts";
import { Evidence, type Observation } from "./evidence.ts";
import { isProbe, type Probe, type Truth } from "./truth.ts";

export interface ProbeOptions {
  /** Host names of the cluster's nodes and pods; without them, those named by the probes' sources and the answers' servers. */
  names?: ReadonlySet<string>;
}

export interface Judgement {
  probes: number;
  /** Answers that do not know; each is a disagreement too. */
  inconclusive: number;
  disagreements: Disagreement[];
  /** How far off the likelihood of everything seen is from what the shares lead to expect, in standard deviations. */
  z: number;
  /** Probes whose outcome was left to chance by the prediction. */
  random: number;
}

/** One question for each probe that could be made, in order. */
export const questionsOf = (truth: Truth): Question[] => truth.probes.filter(isProbe).map(questionOf);

export const questionOf = (p: Probe): Question => ({ from: p.from, proto: p.proto, to: p.to, port: p.port });

/** Where the answer breaks the format's own rules; null when nowhere. */
function malformed(q: Question, a: Answer | undefined): string | null {
  if (a === undefined) return "no answer";
  if (a.from !== q.from || a.proto !== q.proto || a.to !== q.to || a.port !== q.port) return "answers another question";
  if (a.outcomes.length === 0) return "no outcome";
  const shares = a.outcomes.flatMap((o) => (o.share === null ? [] : [o.share]));
  if (shares.length === a.outcomes.length) {
    if (shares.some((s) => BigInt(s.num) <= 0n || BigInt(s.den) <= 0n)) return "a share that is not positive";
    if (!sumToOne(shares)) return "shares do not sum to 1";
  }
  const answered = a.outcomes.filter((o) => o.client === "answered").length;
  if (a.outcomes.some((o) => o.client === "answered" && o.server === undefined)) return "answered by no server";
  if (a.outcomes.some((o) => o.client === "inconclusive") && a.verdict !== "inconclusive")
    return "an outcome is inconclusive, the verdict is not";
  if (a.verdict === "inconclusive") return null;
  const verdict = answered === a.outcomes.length ? "answered" : answered === 0 ? "failed" : "mixed";
  return a.verdict === verdict ? null : `the verdict is ${a.verdict}, the outcomes are ${verdict}`;
}

const key = (p: Probe): string => `${p.proto} ${p.to} ${p.port}`;

/** Tries that the recorder meant to make: 1, or more for Services, stopped after 2 by a first timeout. */
function plannedTries(probes: readonly Probe[]): (p: Probe) => number {
  const most = new Map<string, number>();
  for (const p of probes) most.set(key(p), Math.max(most.get(key(p)) ?? 0, p.tries));
  return (p) => {
    const seen = most.get(key(p))!;
    if (seen !== 2) return seen;
    // Cut short from everywhere; the recorder makes 6 tries for node ports, 9 for other addresses of a Service.
    return p.port >= 30000 && p.port <= 32767 ? 6 : 9;
  };
}

function gatherNames(probes: readonly Probe[], answers: readonly Answer[]): Set<string> {
  const names = new Set(probes.map((p) => hostNameOf(p.from)));
  for (const a of answers) for (const o of a.outcomes) if (o.server !== undefined) names.add(hostNameOf(o.server.at));
  return names;
}

/** Predicted chances by what would be seen. */
function chancesOf(outcomes: readonly Outcome[]): Map<Seen, number> {
  const chances = new Map<Seen, number>();
  for (const o of outcomes) chances.set(seenOf(o), (chances.get(seenOf(o)) ?? 0) + valueOf(o.share!));
  return chances;
}

/** A sticky probe shows one draw, however often it was tried. Null when its tries went several ways. */
function oneDraw(counts: ReadonlyMap<Seen, number>): Map<Seen, number> | null {
  return counts.size === 1 ? new Map([[[...counts.keys()][0]!, 1]]) : null;
}

/**
 * Compares answers (one for each of `questionsOf(truth)`, in order) with the truth: everything seen must be predicted, and everything
 * predicted must be plausible, probe by probe and over all of them together. So an answer that hedges fails like one that is wrong.
 */
export function judgeProbes(truth: Truth, answers: readonly Answer[], options: ProbeOptions = {}): Judgement {
  const probes = truth.probes.filter(isProbe);
  const names = options.names ?? gatherNames(probes, answers);
  const planned = plannedTries(probes);
  const disagreements: Disagreement[] = [];
  const observations: Observation[] = [];
  let inconclusive = 0;
  probes.forEach((p, i) => {
    const question = questionOf(p);
    const answer = answers[i];
    const counts = seenCounts(p, names);
    const say = (kind: Disagreement["kind"], note?: string): void => {
      const said = answer === undefined ? "nothing" : describeAnswer(answer);
      disagreements.push({ kind, question, seen: describeCounts(counts), said, note });
    };
    const wrong = malformed(question, answer);
    if (answer === undefined || wrong !== null) return say("malformed", wrong!);
    if (answer.verdict === "inconclusive") {
      inconclusive++;
      return say("inconclusive");
    }
    const predicted = new Set(answer.outcomes.map(seenOf));
    const unforeseen = [...counts.keys()].filter((seen) => !predicted.has(seen));
    if (unforeseen.length > 0) return say("impossible", `not predicted: ${unforeseen.join(", ")}`);
    if (answer.outcomes.some((o) => o.share === null)) {
      inconclusive++;
      return say("inconclusive", "a share is not known");
    }
    // A sticky Service remembers the first choice without conntrack.
    const chances = (p.affinity ? null : afterRetransmission(answer)) ?? chancesOf(answer.outcomes);
    if (!p.affinity) return void observations.push({ question, counts, chances, planned: planned(p) });
    const one = oneDraw(counts);
    if (one !== null) return void observations.push({ question, counts: one, chances, planned: 1 });
    // From beyond the nodes each try may enter by another node, which knows nothing of the others' clients.
    if (!p.from.startsWith("outside/")) say("sticky");
  });
  const evidence = new Evidence(observations);
  return {
    probes: probes.length,
    inconclusive,
    disagreements: [...disagreements, ...evidence.disagreements()],
    z: evidence.z,
    random: evidence.random,
  };
}
