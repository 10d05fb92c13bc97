/** Which walks another state of the cluster changed: what clients meet, and who serves them. */
import type { Answer, Outcome, Question, Share } from "../model/walk.ts";
import type { PairedQuestion } from "./questions.ts";
import type { ChangedWalk, ComparedAnswer, Comparison } from "./types.ts";

interface Fraction {
  num: bigint;
  den: bigint;
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

const plus = (a: Fraction, b: Share): Fraction => {
  const [num, den] = [BigInt(b.num), BigInt(b.den)];
  const sum = { num: a.num * den + num * a.den, den: a.den * den };
  const by = gcd(sum.num, sum.den);
  return { num: sum.num / by, den: sum.den / by };
};

/** The sum of shares by what `key` says of an outcome, as one text. */
function sums(outcomes: readonly Outcome[], key: (outcome: Outcome) => string): string {
  const found = new Map<string, Fraction | null>();
  for (const outcome of outcomes) {
    const name = key(outcome);
    const sum = found.has(name) ? found.get(name)! : { num: 0n, den: 1n };
    found.set(name, sum === null || outcome.share === null ? null : plus(sum, outcome.share));
  }
  return [...found]
    .map(([name, sum]) => `${name} ${sum === null ? "?" : `${sum.num}/${sum.den}`}`)
    .toSorted()
    .join("\n");
}

const met = (answer: Answer): string => sums(answer.outcomes, (each) => each.client);

const served = (answer: Answer): string =>
  sums(answer.outcomes, ({ client, disposition, server }) =>
    server === undefined
      ? `${client} ${disposition}`
      : `${client} ${server.at} ${server.port} from ${server.clientAddress}`,
  );

/** An answer without paths: the deciding lines stay. */
function compared({ to, port, verdict, outcomes }: Answer): ComparedAnswer {
  const out: ComparedAnswer = {
    to,
    verdict,
    outcomes: outcomes.map(({ share, client, disposition, server, because }) =>
      server === undefined ? { share, client, disposition, because } : { share, client, disposition, server, because },
    ),
  };
  if (port !== undefined) out.port = port;
  return out;
}

/** What changed between two answers to one question; null when nothing did. */
export function changeOf(before: Answer, after: Answer): ChangedWalk["change"] | null {
  if (before.verdict !== after.verdict || met(before) !== met(after)) return "verdict";
  return served(before) === served(after) ? null : "servers";
}

/**
 * Asks both snapshots each question and keeps those whose answers differ: first those of another verdict. `ask` is given the side, 0 for
 * before. `onProgress` is called after each.
 */
export function compareWalks(
  questions: readonly PairedQuestion[],
  left: number,
  ask: (side: 0 | 1, question: Question) => Answer,
  onProgress?: (progress: { done: number; total: number; place: string }) => void,
): Comparison["walks"] {
  const changed: ChangedWalk[] = [];
  questions.forEach((question, i) => {
    const [before, after] = [ask(0, question.before), ask(1, question.after)];
    const change = changeOf(before, after);
    if (change !== null) {
      const { from, proto, to, port } = question;
      const walk: ChangedWalk = { from, proto, to, change, before: compared(before), after: compared(after) };
      if (port !== undefined) walk.port = port;
      changed.push(walk);
    }
    onProgress?.({ done: i + 1, total: questions.length, place: question.from });
  });
  const rank = (walk: ChangedWalk): number => (walk.change === "verdict" ? 0 : 1);
  return { asked: questions.length, left, changed: changed.toSorted((a, b) => rank(a) - rank(b)) };
}
