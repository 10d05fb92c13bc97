/** `kubewalk walk SNAPSHOT FROM TO`: one question. */
import type { Answer } from "../../core/model/walk.ts";
import { createDirectory } from "../../core/names/directory.ts";
import type { Asked } from "../../core/names/to.ts";
import { exitStatus } from "../exit.ts";
import type { Io } from "../io.ts";
import { printerFor, type WalkOptions } from "../printer.ts";
import { resolve, type Extras, type Resolved } from "../resolve.ts";
import type { Session } from "../session.ts";

/** Answers what was resolved, an answer for each address. Text shows paths, so it always needs steps. */
export function answersOf(session: Session, resolved: Resolved, options: WalkOptions): Answer[] {
  if ("answer" in resolved) return [resolved.answer];
  const steps = options.steps || options.format === "text";
  return resolved.questions.map(({ question }) => session.ask(question, { steps, allRules: options.allRules }));
}

/** Prints the answer to one question. Resolves to the exit status. Rejects with UsageError when the question makes no sense. */
export async function walkOne(
  session: Session,
  from: string,
  to: string,
  asked: Asked,
  extras: Extras,
  options: WalkOptions,
  io: Io,
): Promise<number> {
  const dir = createDirectory(session.snapshot);
  const answers = answersOf(session, resolve(dir, from, to, asked, extras), options);
  const printer = printerFor(dir, options, io, answers.length > 1);
  for (const answer of answers) await printer.print(answer, extras.mark ?? 0);
  await printer.end();
  return exitStatus(answers);
}
