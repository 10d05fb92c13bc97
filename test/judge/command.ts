/** Asks the command itself: `kubewalk walk SNAPSHOT --batch - --steps -o jsonl`. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import type { Answer, Question } from "../../src/core/model/walk.ts";

/** In the checkout's root, where both vitest and scripts/run-ts.mjs are started. */
const COMMAND = "bin/kubewalk";

/**
 * One answer for each question, in order, with steps. Rejects, with what the command printed, when it fails or answers another number
 * of questions: `--batch` exits 0 whatever the verdicts.
 */
export async function askCommand(snapshot: string, questions: readonly Question[]): Promise<Answer[]> {
  if (questions.length === 0) return [];
  const child = spawn(COMMAND, ["walk", snapshot, "--batch", "-", "--steps", "-o", "jsonl"], { stdio: "pipe" });
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status, signal) => resolve(String(status ?? signal)));
  });
  // A command that fails at once closes its input: what it prints says more than the broken pipe.
  child.stdin.on("error", () => {});
  child.stdin.end(questions.map((q) => `${JSON.stringify(q)}\n`).join(""));
  const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (status !== "0") throw new Error(`${COMMAND} walk exits ${status}: ${err.slice(-4000)}`);
  const answers = out
    .split("\n")
    .filter((l) => l !== "")
    .map((l) => JSON.parse(l) as Answer);
  if (answers.length !== questions.length) throw new Error(`${questions.length} questions, ${answers.length} answers`);
  return answers;
}
