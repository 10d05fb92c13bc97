/** kubewalk's side: a snapshot's files in, answers out. */
import { createWorld, ask } from "../src/core/engine/walk.ts";
import type { Answer, Question } from "../src/core/model/walk.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import type { Files } from "./collect.ts";

/** Loads a snapshot; what it gives back answers questions about it. Throws on files that cannot be read. */
export function load(files: Files): (q: Question, steps?: boolean) => Answer {
  const paths = Object.keys(files).sort();
  const snapshot = assembleSnapshot({ paths: () => paths, read: (p) => files[p] });
  if (snapshot.problems.length > 0) throw new Error(`snapshot: ${snapshot.problems.map((p) => p.message).join("; ")}`);
  const world = createWorld(snapshot);
  return (q, steps = false) => ask(world, q, { steps });
}
