/** Exit statuses (contract: "Exit status") and the errors that lead to them. */
import type { Answer } from "../core/model/walk.ts";

export const EXIT = { answered: 0, failed: 1, usage: 2, broken: 3, inconclusive: 4, interrupted: 130 } as const;

/** What was asked makes no sense, or what was given cannot be read: the message is for the asker, no stack. Exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Nobody reads the output any more (EPIPE): stop, and say nothing. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

function statusOf(verdict: Answer["verdict"]): number {
  switch (verdict) {
    case "answered":
      return EXIT.answered;
    case "failed":
    case "mixed":
      return EXIT.failed;
    case "inconclusive":
      return EXIT.inconclusive;
  }
}

/** The status of several answers: a failure is certain whatever else is not known. */
export function exitStatus(answers: readonly Answer[]): number {
  const all = answers.map((a) => statusOf(a.verdict));
  if (all.includes(EXIT.failed)) return EXIT.failed;
  return all.includes(EXIT.inconclusive) ? EXIT.inconclusive : EXIT.answered;
}
