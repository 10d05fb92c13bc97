/**
 * Where walks are computed: in a thread of its own for each pipeline, so that pipelines do not wait for each other and a
 * walk that does not end is found and named; or in this thread, for tests.
 */
import { type MessagePort, Worker } from "node:worker_threads";
import type { Answer, Question } from "../src/core/model/walk.ts";
import type { Files } from "./collect.ts";
import { ask } from "../src/core/engine/walk.ts";
import type { World } from "../src/core/engine/world.ts";
import { type Left, leavesBehind, open } from "./engine.ts";

/** An answer with its time in milliseconds, or what went wrong instead. */
export type Answered = { answer: Answer; ms: number; left: Left[] | null } | { error: string };

/** What to add to an answer: the steps of each outcome; the entries that connection tracking is left with. */
export interface Wanted {
  steps?: boolean;
  entries?: boolean;
}

export interface Answerer {
  /** Answers questions about one snapshot, in order. A snapshot that cannot be read is the error of each. */
  ask(files: Files, questions: Question[], wanted: Wanted): Promise<Answered[]>;
  close(): void;
}

interface Request {
  files: Files;
  questions: Question[];
  wanted: Wanted;
}

const text = (e: unknown): string => (e instanceof Error ? (e.stack ?? e.message) : String(e));

/** Packets that go in circles by chance have more: these answers are inconclusive, and not worth ten seconds. */
const MAX_WAYS = 1000;

function answerAll({ files, questions, wanted }: Request): Answered[] {
  let world: World;
  try {
    world = open(files);
  } catch (e) {
    return questions.map(() => ({ error: text(e) }));
  }
  return questions.map((q) => {
    const start = performance.now();
    try {
      const answer = ask(world, q, { steps: wanted.steps === true, maxWays: MAX_WAYS });
      const ms = performance.now() - start;
      return { answer, ms, left: wanted.entries === true ? leavesBehind(world, q) : null };
    } catch (e) {
      return { error: text(e) };
    }
  });
}

/** Answers here and now. */
export const inProcess: Answerer = {
  ask: async (files, questions, wanted) => answerAll({ files, questions, wanted }),
  close: () => {},
};

/** What the thread runs: answers whatever comes by `port`. */
export function serveAnswers(port: MessagePort): void {
  port.on("message", (r: Request) => port.postMessage(answerAll(r)));
}

/** Seconds for all questions of a batch; a single one that takes longer than ALONE is a failure. */
const TOGETHER = 120;
const ALONE = 120;

/** Answers in threads that run the module `entry`, which calls serveAnswers there. */
export class ThreadAnswerer implements Answerer {
  readonly #entry: string;
  #worker: Worker | null = null;

  constructor(entry: string) {
    this.#entry = entry;
  }

  async ask(files: Files, questions: Question[], wanted: Wanted): Promise<Answered[]> {
    const all = await this.#once({ files, questions, wanted }, TOGETHER);
    if (all !== null) return all;
    const out: Answered[] = [];
    for (const q of questions)
      out.push(
        ...((await this.#once({ files, questions: [q], wanted }, ALONE)) ?? [
          { error: `takes longer than ${ALONE} s` },
        ]),
      );
    return out;
  }

  close(): void {
    void this.#worker?.terminate();
    this.#worker = null;
  }

  /** Null when time ran out. */
  #once(request: Request, seconds: number): Promise<Answered[] | null> {
    const worker = (this.#worker ??= new Worker(this.#entry));
    return new Promise((resolve) => {
      const done = (result: Answered[] | null): void => {
        clearTimeout(timer);
        worker.off("message", done);
        worker.off("error", broken);
        if (result === null) this.close();
        resolve(result);
      };
      const broken = (e: unknown): void => {
        this.#worker = null;
        done(request.questions.map(() => ({ error: text(e) })));
      };
      const timer = setTimeout(() => done(null), seconds * 1000);
      worker.on("message", done);
      worker.on("error", broken);
      worker.postMessage(request);
    });
  }
}
