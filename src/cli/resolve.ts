/** From a question in people's words to questions that the engine can be asked. */
import { parseIp } from "../core/model/address.ts";
import type { Answer, Proto, Question } from "../core/model/walk.ts";
import type { Directory } from "../core/names/directory.ts";
import { NameError, NotRecordedError } from "../core/names/errors.ts";
import { resolveFrom } from "../core/names/from.ts";
import { resolveTo, type Asked, type Destination } from "../core/names/to.ts";
import { UsageError } from "./exit.ts";

/** What is asked beside names, as the engine takes it. */
export type Extras = Pick<Question, "sourcePort" | "mark" | "ttl" | "size" | "tcpFlags">;

/** Questions with canonical names; or the answer already, where what is asked about was not recorded. */
export type Resolved = { questions: { question: Question; what: string }[] } | { answer: Answer };

/** The answer where something that must be known was not recorded. */
export function notRecorded(from: string, proto: Proto, to: string, port: number | undefined, why: string): Answer {
  const answer: Answer = {
    format: "kubewalk.walk/v1",
    from,
    proto,
    to,
    verdict: "inconclusive",
    outcomes: [
      { share: { num: 1, den: 1 }, client: "inconclusive", disposition: "inconclusive", because: { text: why } },
    ],
  };
  if (port !== undefined) answer.port = port;
  return answer;
}

function destinations(dir: Directory, to: string, from: string, asked: Asked): Destination[] {
  // Programs ask with addresses: their text comes back as it was written.
  if (parseIp(to) !== null && asked.proto !== undefined && asked.family === undefined) {
    const port = asked.port === undefined ? {} : { port: Number(asked.port) };
    if (asked.proto === "icmp" || /^\d+$/.test(asked.port ?? ""))
      return [{ address: to, proto: asked.proto, what: "", ...port }];
  }
  return resolveTo(dir, to, from, asked);
}

/** Resolves both ends. Throws UsageError for names that are unknown, malformed or not one thing. */
export function resolve(dir: Directory, from: string, to: string, asked: Asked, extras: Extras): Resolved {
  try {
    const place = resolveFrom(dir, from);
    return {
      questions: destinations(dir, to, place, asked).map(({ address, port, proto, what }) => {
        const question: Question = { from: place, proto, to: address, ...extras };
        if (port !== undefined) question.port = port;
        return { question, what };
      }),
    };
  } catch (error) {
    if (error instanceof NotRecordedError) {
      const port = asked.port !== undefined && /^\d+$/.test(asked.port) ? Number(asked.port) : undefined;
      return { answer: notRecorded(from, asked.proto ?? "tcp", to, port, error.message) };
    }
    if (error instanceof NameError) throw new UsageError(error.message);
    throw error;
  }
}
