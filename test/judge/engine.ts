/** Asks the engine in this process: the source as it stands, nothing to build first. */
import { ask, createWorld } from "../../src/core/engine/walk.ts";
import { loadSnapshot } from "../../src/host/snapshot/load.ts";
import type { Answer, Question } from "../../src/core/model/walk.ts";
import type { Wanted } from "./judge.ts";

/** One answer for each question, in order, with what is wanted of its steps. Rejects for a snapshot or a question that makes no sense. */
export async function askEngine(path: string, questions: readonly Question[], wanted: Wanted): Promise<Answer[]> {
  const world = createWorld(await loadSnapshot(path));
  // Through JSON, as any program gets them: what it cannot carry is not there.
  return questions.map(
    (q) => JSON.parse(JSON.stringify(ask(world, q, { steps: true, paths: wanted === "paths" }))) as Answer,
  );
}
