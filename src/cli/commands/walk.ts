/** `kubewalk walk`: one question, or a batch of them. */
import { createReadStream } from "node:fs";
import type { Answer, Question } from "../../core/model/walk.ts";
import { ParseError } from "../../core/model/source.ts";
import { createLabels } from "../../core/names/describe.ts";
import { createDirectory } from "../../core/names/directory.ts";
import type { Asked } from "../../core/names/to.ts";
import { readQuestions, type BatchItem } from "../batch-input.ts";
import { readQuestion } from "../batch-question.ts";
import { EXIT, exitStatus, OutputClosed, UsageError } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import { notRecorded, resolve, type Extras, type Resolved } from "../resolve.ts";
import type { Session } from "../session.ts";
import { styleFor, widthFor, type ColorChoice } from "../terminal.ts";
import { answerLines, type AnswerOptions } from "../text/answer.ts";

export type WalkFormat = "text" | "json" | "jsonl";

export interface WalkOptions {
  format: WalkFormat;
  steps: boolean;
  allRules: boolean;
  color: ColorChoice;
}

/** Turns answers into output, one after another. */
interface Printer {
  print(answer: Answer, mark: number): Promise<void>;
  /** Ends the output; called once, after a failure too. */
  end(): Promise<void>;
}

function textPrinter(session: Session, options: WalkOptions, io: Io): Printer {
  const label = createLabels(createDirectory(session.snapshot));
  const style = styleFor(options.color, io);
  let first = true;
  return {
    async print(answer, mark) {
      const settings: AnswerOptions = { width: widthFor(io), style, all: options.steps, mark, label };
      await io.out.write(lines([...(first ? [] : [""]), ...answerLines(answer, settings)]));
      first = false;
    },
    end: async () => undefined,
  };
}

/** `array`: a JSON array even of one. */
function jsonPrinter(io: Io, array: boolean): Printer {
  let count = 0;
  return {
    async print(answer) {
      const text = JSON.stringify(answer, null, 2);
      await io.out.write(array ? `${count === 0 ? "[\n" : ",\n"}${text}` : `${text}\n`);
      count++;
    },
    async end() {
      if (array) await io.out.write(count === 0 ? "[]\n" : "\n]\n");
    },
  };
}

function printerFor(session: Session, options: WalkOptions, io: Io, array: boolean): Printer {
  switch (options.format) {
    case "text":
      return textPrinter(session, options, io);
    case "json":
      return jsonPrinter(io, array);
    case "jsonl":
      return { print: (answer) => io.out.write(`${JSON.stringify(answer)}\n`), end: async () => undefined };
  }
}

/** Answers what was resolved. Text shows paths, so it always needs steps. */
function answersOf(session: Session, resolved: Resolved, options: WalkOptions): Answer[] {
  if ("answer" in resolved) return [resolved.answer];
  const steps = options.steps || options.allRules || options.format === "text";
  return resolved.questions.map(({ question }) => session.ask(question, { steps, allRules: options.allRules }));
}

/** One question. Resolves to the exit status. Rejects with UsageError when it makes no sense. */
export async function walkOne(
  session: Session,
  from: string,
  to: string,
  asked: Asked,
  extras: Extras,
  options: WalkOptions,
  io: Io,
): Promise<number> {
  const resolved = resolve(createDirectory(session.snapshot), from, to, asked, extras);
  const answers = answersOf(session, resolved, options);
  const printer = printerFor(session, options, io, answers.length > 1);
  for (const answer of answers) await printer.print(answer, extras.mark ?? 0);
  await printer.end();
  return exitStatus(answers);
}

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

/** Answers so many questions before signals and other events get a turn. */
const TURN = 32;

/**
 * Every question of `path` (`-`: standard input), an answer each, in order and as soon as it is known. Resolves to 0 when
 * each got its line. The first question that makes no sense ends the batch with UsageError that names its line, after the
 * answers of those before it, so that output lines always are those of the first questions. A question that kubewalk fails
 * on is answered as inconclusive, and the status is 3.
 */
export async function walkBatch(session: Session, path: string, options: WalkOptions, io: Io): Promise<number> {
  const file = path === "-" ? "standard input" : path;
  const dir = createDirectory(session.snapshot);
  const printer = printerFor(session, options, io, true);
  const warned = new Set<string>();
  let broken = false;
  let count = 0;

  const answer = (item: BatchItem): { answer: Answer; mark: number; ignored: string[] } => {
    const raw = readQuestion(item.value);
    const asked: Asked = {};
    if (raw.proto !== undefined) asked.proto = raw.proto;
    if (raw.port !== undefined) asked.port = String(raw.port);
    const extras: Extras = {};
    if (raw.sourcePort !== undefined) extras.sourcePort = raw.sourcePort;
    if (raw.mark !== undefined) extras.mark = raw.mark;
    if (raw.ttl !== undefined) extras.ttl = raw.ttl;
    if (raw.size !== undefined) extras.size = raw.size;
    if (raw.tcpFlags !== undefined) extras.tcpFlags = raw.tcpFlags;
    const resolved = resolve(dir, raw.from, raw.to, asked, extras);
    if ("questions" in resolved && resolved.questions.length > 1) {
      const list = resolved.questions.map((q) => q.question.to).join(", ");
      throw new UsageError(
        `${raw.to} leads to ${resolved.questions.length} addresses: ${list}; a batch gives one answer a line, so name one`,
      );
    }
    const mark = raw.mark ?? 0;
    try {
      return { answer: answersOf(session, resolved, options)[0]!, mark, ignored: raw.unknown };
    } catch (error) {
      if (error instanceof UsageError) throw error;
      broken = true;
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      const q: Pick<Question, "from" | "proto" | "to" | "port"> =
        "questions" in resolved ? resolved.questions[0]!.question : resolved.answer;
      failures.push(`${file}:${item.line}: kubewalk failed on this question: ${why}`);
      return {
        answer: notRecorded(q.from, q.proto, q.to, q.port, "kubewalk failed on this question"),
        mark,
        ignored: raw.unknown,
      };
    }
  };
  const failures: string[] = [];

  try {
    for await (const item of readQuestions(openBatch(path, io), file)) {
      let result;
      try {
        result = answer(item);
      } catch (error) {
        if (error instanceof UsageError) throw new UsageError(`${file}:${item.line}: ${error.message}`);
        throw error;
      }
      for (const message of failures.splice(0)) await io.err.write(`error: ${message}\n`);
      for (const name of result.ignored) {
        if (warned.has(name)) continue;
        warned.add(name);
        await io.err.write(`warning: ${file}:${item.line}: "${name}" means nothing here and is ignored\n`);
      }
      await printer.print(result.answer, result.mark);
      if (++count % TURN === 0) await new Promise((turn) => setImmediate(turn));
    }
  } catch (error) {
    if (error instanceof OutputClosed) throw error;
    await printer.end();
    if (error instanceof ParseError) throw new UsageError(error.message);
    throw error;
  }
  await printer.end();
  return broken ? EXIT.broken : EXIT.answered;
}
