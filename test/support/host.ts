/** A host for running the command inside a test: streams that remember, and a session that gives canned answers. */
import type { Snapshot } from "../../src/core/model/snapshot.ts";
import type { Answer, Question } from "../../src/core/model/walk.ts";
import { UsageError } from "../../src/cli/exit.ts";
import type { Io } from "../../src/cli/io.ts";
import { run } from "../../src/cli/run.ts";

export interface Ran {
  status: number;
  out: string;
  err: string;
  /** Questions that the engine was asked, with its options. */
  asked: { question: Question; steps: boolean; allRules: boolean }[];
}

export interface Given {
  snapshot: Snapshot;
  /** What the engine says; may throw. */
  answer?: (question: Question) => Answer;
  stdin?: readonly string[];
  env?: Record<string, string>;
  tty?: boolean;
  columns?: number;
}

const plain = (question: Question): Answer => ({
  format: "kubewalk.walk/v1",
  from: question.from,
  proto: question.proto,
  to: question.to,
  ...(question.port === undefined ? {} : { port: question.port }),
  verdict: "answered",
  outcomes: [],
});

/** Runs `kubewalk ARGS`; the snapshot's path must be `snap`, any other one does not exist. */
export async function kubewalk(args: readonly string[], given: Given): Promise<Ran> {
  const ran: Ran = { status: -1, out: "", err: "", asked: [] };
  const output = (name: "out" | "err"): Io["out"] => ({
    isTTY: given.tty ?? false,
    columns: given.columns,
    write: async (text) => {
      ran[name] += text;
    },
  });
  const io: Io = {
    stdin: (async function* () {
      yield* given.stdin ?? [];
    })(),
    out: output("out"),
    err: output("err"),
    env: given.env ?? {},
  };
  ran.status = await run(args, {
    io,
    now: () => 0,
    openSession: async (path) => {
      if (path !== "snap") throw new UsageError(`${path}: there is no such file or folder`);
      return {
        snapshot: given.snapshot,
        ask: (question, options) => {
          ran.asked.push({ question, ...options });
          return (given.answer ?? plain)(question);
        },
        peerOf: (place, dev) =>
          place === "n1/pod/shop/client-1" && dev === "eth0" ? { at: "n1/host", dev: "veth1" } : null,
      };
    },
  });
  return ran;
}
