/** `kubewalk diff A B`: what changed between two snapshots, and which walks it changed. */
import { createReadStream } from "node:fs";
import { compare } from "../../core/compare/compare.ts";
import { defaultQuestions, type PairedQuestion } from "../../core/compare/questions.ts";
import type { Comparison } from "../../core/compare/types.ts";
import { compareWalks } from "../../core/compare/walks.ts";
import { ParseError } from "../../core/model/source.ts";
import type { Question } from "../../core/model/walk.ts";
import { createDirectory, type Directory } from "../../core/names/directory.ts";
import { readQuestions } from "../batch-input.ts";
import { readQuestion, type RawQuestion } from "../batch-question.ts";
import type { Host } from "../define/shared.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import { resolve } from "../resolve.ts";
import type { Session } from "../session.ts";
import { progressLine, styleFor } from "../terminal.ts";
import { comparisonLines } from "../text/compare.ts";
import type { DiffOptions } from "./diff.ts";

export interface ComparisonOptions extends DiffOptions {
  /** File of questions; undefined for the default ones. */
  batch: string | undefined;
  /** False: nothing is asked. */
  walks: boolean;
}

/** So many questions are asked of each snapshot when nobody says which; of more, this many are spread over all. */
const MOST_QUESTIONS = 20_000;

async function* chunks(path: string, io: Io): AsyncGenerator<string | Uint8Array> {
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

/** What a question is in one snapshot. Throws UsageError when it makes no sense there. */
function resolved(dir: Directory, raw: RawQuestion, which: string): Question {
  const { from, to, proto, port, unknown: _, ...extras } = raw;
  const asked = { ...(proto === undefined ? {} : { proto }), ...(port === undefined ? {} : { port: String(port) }) };
  let found;
  try {
    found = resolve(dir, from, to, asked, extras);
  } catch (error) {
    if (error instanceof UsageError) throw new UsageError(`in the ${which} snapshot: ${error.message}`);
    throw error;
  }
  if ("answer" in found)
    throw new UsageError(`in the ${which} snapshot: ${found.answer.outcomes[0]?.because.text ?? "not recorded"}`);
  const [first, ...more] = found.questions;
  if (first === undefined || more.length > 0)
    throw new UsageError(`in the ${which} snapshot: ${to} leads to ${more.length + 1} addresses; name one`);
  return first.question;
}

/** The questions of a file, each as it is in both snapshots. Rejects with UsageError that names the line. */
async function questionsOf(path: string, dirs: readonly [Directory, Directory], io: Io): Promise<PairedQuestion[]> {
  const file = path === "-" ? "standard input" : path;
  const found: PairedQuestion[] = [];
  let line = 0;
  try {
    for await (const item of readQuestions(chunks(path, io), file)) {
      line = item.line;
      const raw = readQuestion(item.value);
      const before = resolved(dirs[0], raw, "first");
      const after = resolved(dirs[1], raw, "second");
      const question: PairedQuestion = { from: before.from, proto: before.proto, to: raw.to, before, after };
      if (raw.port !== undefined) question.port = raw.port;
      found.push(question);
      line = 0;
    }
  } catch (error) {
    if (error instanceof ParseError) throw new UsageError(error.message);
    if (error instanceof UsageError && line > 0) throw new UsageError(`${file}:${line}: ${error.message}`);
    throw error;
  }
  return found;
}

async function walks(
  sessions: readonly [Session, Session],
  { batch, walks: wanted }: ComparisonOptions,
  host: Host,
): Promise<Comparison["walks"]> {
  if (!wanted) return { asked: 0, left: 0, changed: [] };
  const [a, b] = sessions;
  const { questions, left } =
    batch === undefined
      ? defaultQuestions(a.snapshot, b.snapshot, MOST_QUESTIONS)
      : {
          questions: await questionsOf(batch, [createDirectory(a.snapshot), createDirectory(b.snapshot)], host.io),
          left: 0,
        };
  const progress = progressLine(host.io, host.now);
  try {
    return compareWalks(
      questions,
      left,
      (side, question) => sessions[side].ask(question, { steps: false, allRules: false }),
      progress.show,
    );
  } finally {
    await progress.end();
  }
}

/** Prints what changed. Resolves to the exit status. Rejects with UsageError for an unknown node or a question that makes no sense. */
export async function showComparison(
  sessions: readonly [Session, Session],
  options: ComparisonOptions,
  host: Host,
): Promise<number> {
  const known = new Set(sessions.flatMap(({ snapshot }) => snapshot.namespaces.map((ns) => ns.node)));
  for (const name of options.nodes ?? [])
    if (!known.has(name)) throw new UsageError(`no node "${name}"; there are ${[...known].join(", ") || "none"}`);
  const progress = progressLine(host.io, host.now);
  let changes;
  try {
    changes = compare(...sessions, {
      ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
      onProgress: progress.show,
    });
  } finally {
    await progress.end();
  }
  const result: Comparison = { ...changes, walks: await walks(sessions, options, host) };
  const text =
    options.format === "json"
      ? [JSON.stringify({ format: "kubewalk.compare/v1", ...result }, null, 2)]
      : comparisonLines(result, options.all, styleFor(options.color, host.io));
  await host.io.out.write(lines(text));
  return result.changes.length > 0 || result.walks.changed.length > 0 ? EXIT.failed : EXIT.answered;
}
