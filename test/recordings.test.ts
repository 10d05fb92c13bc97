/** Proof on recordings of real clusters: every probe and every trace of each is what the walk says. */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { askEngine } from "./judge/engine.ts";
import { judge } from "./judge/judge.ts";
import { openRecording, recordingsIn } from "./judge/recording.ts";
import { report } from "./judge/report.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
const recordings = recordingsIn(FIXTURES);
/** Causes shown when something disagrees. */
const MOST_CAUSES = 15;

test("there are recordings to hold walks against", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

for (const dir of recordings) {
  test(
    basename(dir),
    async () => {
      const recording = openRecording(dir);
      const verdict = await judge(recording, askEngine);
      expect(verdict.probes.probes).toBeGreaterThan(0);
      if (verdict.disagreements.length > 0) expect.fail(report(recording, verdict, MOST_CAUSES));
    },
    300_000,
  );
}
