/** Of nodes that were not recorded nothing is claimed: on recordings of which one node is shown, answers are those of the whole, or unknown. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import type { Snapshot } from "../src/core/model/snapshot.ts";
import type { Answer } from "../src/core/model/walk.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import { folderFiles } from "../src/host/snapshot/folder-files.ts";
import { questionsOf } from "./judge/probes.ts";
import { openRecording, recordingsIn } from "./judge/recording.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
const recordings = recordingsIn(FIXTURES);
const SHOWN = "n1";
const SAMPLE = 150;

/** The cluster's objects and one node; `named` are the nodes that snapshot.json has, whether they were collected or not. */
function only(dir: string, named: readonly string[]): Snapshot {
  const files = folderFiles(join(dir, "snapshot"));
  const shown = (path: string): boolean => path.startsWith("cluster/") || path.startsWith(`nodes/${SHOWN}/`);
  const head = JSON.stringify({ format: "kubewalk.snapshot/v1", nodes: named });
  return assembleSnapshot({
    *paths() {
      for (const path of files.paths()) if (shown(path)) yield path;
    },
    read: (path) => (path === "snapshot.json" ? head : shown(path) ? files.read(path) : undefined),
  });
}

const whole = (dir: string): Snapshot => assembleSnapshot(folderFiles(join(dir, "snapshot")));

const reasons = ({ outcomes }: Answer): string =>
  outcomes.map(({ client, because }) => `${client}: ${because.text}`).join("\n");

test("there are recordings", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

test.each(recordings.map((dir) => [basename(dir), dir] as const))("%s: one node of many", (_name, dir) => {
  const { truth, kindOf } = openRecording(dir);
  const known = createWorld(whole(dir));
  const worlds = [[SHOWN], ["n1", "n2", "n3"]].map((named) => createWorld(only(dir, named)));
  // What is beyond the nodes is not theirs to tell.
  const questions = questionsOf(truth).filter(
    ({ from, to, port }) => from.startsWith(`${SHOWN}/`) && kindOf(to, port ?? 0) !== "elsewhere",
  );
  const sample = questions.filter((_, i) => i % Math.ceil(questions.length / SAMPLE) === 0);
  let [certain, unsure] = [0, 0];
  for (const question of sample) {
    const right = ask(known, question);
    for (const world of worlds) {
      const answer = ask(world, question);
      if (answer.verdict === "inconclusive") {
        unsure++;
        // Who asks is told what it hangs on.
        expect(reasons(answer)).toMatch(/record/);
      } else {
        certain++;
        expect(answer.verdict, `${question.from} → ${question.to}:${question.port}\n${reasons(answer)}`).toBe(
          right.verdict,
        );
      }
    }
  }
  expect(sample.length).toBeGreaterThan(30);
  expect(certain).toBeGreaterThan(0);
  expect(unsure).toBeGreaterThan(0);
});
