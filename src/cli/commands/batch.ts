/** `kubewalk walk SNAPSHOT --batch FILE`: many questions, an answer each. */
import { createReadStream } from "node:fs";
import type { Answer } from "../../core/model/walk.ts";
import { ParseError } from "../../core/model/source.ts";
import { createDirectory, type Directory } from "../../core/names/directory.ts";
import type { Asked } from "../../core/names/to.ts";
import { readQuestions } from "../batch-input.ts";
import { readQuestion, type RawQuestion } from "../batch-question.ts";
import { EXIT, OutputClosed, UsageError } from "../exit.ts";
import type { Io } from "../io.ts";
import { printerFor, type WalkOptions } from "../printer.ts";
import { notRecorded, resolve, type Extras } from "../resolve.ts";
import type { Session } from "../session.ts";
import { answersOf } from "./walk.ts";

/** Standard input or a file, as chunks. A file that cannot be read makes the iteration throw UsageError. */
async function* openBatch(path: string, io: Io): AsyncGenerator<string | Uint8Array> {
  if (path === "-") {
    yield* io.stdin;
    return;
  }
  try {
    for await (const chunk of createReadStream(path)) yield chunk as Uint8Array;
  } catch (error) {
    throw new UsageError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The answer to one question; `failure` says how kubewalk itself failed on it, and the answer is then inconclusive. */
function answerTo(
  session: Session,
  dir: Directory,
  raw: RawQuestion,
  options: WalkOptions,
): { answer: Answer; failure: string | null } {
  const { from, to, proto, port, unknown: _, ...given } = raw;
  const asked: Asked = {};
  if (proto !== undefined) asked.proto = proto;
  if (port !== undefined) asked.port = String(port);
  const extras: Extras = given;
  const resolved = resolve(dir, from, to, asked, extras);
  if ("answer" in resolved) return { answer: resolved.answer, failure: null };
  const { questions } = resolved;
  if (questions.length > 1) {
    const list = questions.map((q) => q.question.to).join(", ");
    throw new UsageError(
      `${to} leads to ${questions.length} addresses: ${list}; a batch gives one answer to a question, so name one`,
    );
  }
  try {
    return { answer: answersOf(session, resolved, options)[0]!, failure: null };
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const { question: q } = questions[0]!;
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { answer: notRecorded(q.from, q.proto, q.to, q.port, "kubewalk failed on this question"), failure };
  }
}

/** So many questions are answered before signals and other events get a turn. */
const TURN = 32;

/**
 * Every question of `path` (`-`: standard input), an answer each, in order and as soon as it is known. Resolves to 0 when
 * each got its line. The first question that makes no sense ends the batch with UsageError that names its line, after the
 * answers of those before it, so that the lines of the output always are those of the first questions. A question that
 * kubewalk fails on is answered as inconclusive, and the status is 3.
 */
export async function walkBatch(session: Session, path: string, options: WalkOptions, io: Io): Promise<number> {
  const file = path === "-" ? "standard input" : path;
  const dir = createDirectory(session.snapshot);
  const printer = printerFor(dir, options, io, true);
  const warned = new Set<string>();
  let status: number = EXIT.answered;
  let count = 0;
  let line = 0;
  try {
    for await (const item of readQuestions(openBatch(path, io), file)) {
      line = item.line;
      const raw = readQuestion(item.value);
      for (const name of raw.unknown.filter((n) => !warned.has(n))) {
        warned.add(name);
        await io.err.write(`warning: ${file}:${line}: "${name}" means nothing here and is ignored\n`);
      }
      const { answer, failure } = answerTo(session, dir, raw, options);
      if (failure !== null) {
        status = EXIT.broken;
        await io.err.write(`error: ${file}:${line}: kubewalk failed on this question: ${failure}\n`);
      }
      await printer.print(answer, raw.mark ?? 0);
      line = 0;
      if (++count % TURN === 0) await new Promise((turn) => setImmediate(turn));
    }
  } catch (error) {
    if (error instanceof OutputClosed) throw error;
    await printer.end();
    if (error instanceof ParseError) throw new UsageError(error.message);
    if (error instanceof UsageError && line > 0) throw new UsageError(`${file}:${line}: ${error.message}`);
    throw error;
  }
  await printer.end();
  return status;
}
