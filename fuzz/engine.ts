/** kubewalk's side: a snapshot's files in, answers out. */
import { attempt, type Result } from "../src/core/engine/exchange.ts";
import { textOf } from "../src/core/engine/fate.ts";
import { explore } from "../src/core/engine/explore.ts";
import { Run } from "../src/core/engine/run.ts";
import { createWorld, ask, toAttempt } from "../src/core/engine/walk.ts";
import type { World } from "../src/core/engine/world.ts";
import type { Answer, Question } from "../src/core/model/walk.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import { namespaceAt, type Files } from "./collect.ts";
import { entryOf, type Entry, type WalkConnection } from "./entries.ts";

/** Reads a snapshot. Throws on files that cannot be read. */
export function open(files: Files): World {
  const paths = Object.keys(files).sort();
  const snapshot = assembleSnapshot({ paths: () => paths, read: (p) => files[p] });
  if (snapshot.problems.length > 0) throw new Error(`snapshot: ${snapshot.problems.map((p) => p.message).join("; ")}`);
  return createWorld(snapshot);
}

/** Loads a snapshot; what it gives back answers questions about it. Throws on files that cannot be read. */
export function load(files: Files): (q: Question, steps?: boolean) => Answer {
  const world = open(files);
  return (q, steps = false) => ask(world, q, { steps });
}

/** What one way of a walk comes to: the client's result, and the entries that connection tracking is left with. */
export interface Left {
  client: Result["client"];
  entries: Entry[];
}

/** More ways than this are not compared. */
const WAYS = 6;

/** Every way that a question's packets can go; null where chance or what is not known leaves too many, a port is drawn at random, or an answer is lost. */
export function leavesBehind(world: World, q: Question): Left[] | null {
  const asked = toAttempt(world, q);
  const ways: Left[] = [];
  let random = false;
  let unfinished = false;
  explore(
    (oracle) => {
      if (ways.length > WAYS) return 0;
      const run = new Run(world, oracle, false, false);
      const result = attempt(run, asked);
      // A walk ends where an answer is lost; what its sender is told of that may change entries once more.
      if (/^(the answer|after the handshake)/.test(textOf(result.because))) unfinished = true;
      const found: WalkConnection[] = [];
      for (let t = run.tracked; t !== null; t = t.next) {
        found.push({ ...t.ct, ns: namespaceAt(t.ns.place) });
      }
      random ||= found.some((c) => c.randomReply && !c.randomOrig);
      // Tunnels draw the ports of their carriers: these entries are nobody's to foretell.
      const plain = found.filter((c) => !c.randomOrig && !c.randomReply);
      ways.push({ client: result.client, entries: plain.map(entryOf) });
      return 0;
    },
    { fine: String, coarse: String, everyWay: false },
  );
  return random || unfinished || ways.length > WAYS ? null : ways;
}
