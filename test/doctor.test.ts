/** Proof of the doctor on recordings of real clusters: healthy ones are clean, of the others the fault is found, and who is hurt is who was. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadSnapshot } from "../src/host/snapshot/load.ts";
import { judgeFindings } from "./judge/findings.ts";
import { openRecording, recordingsIn } from "./judge/recording.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
/** More recordings, in a folder of the user's. */
const MORE = process.env["KUBEWALK_RECORDINGS"];
const recordings = [FIXTURES, ...(MORE === undefined ? [] : [MORE])].flatMap(recordingsIn);

test("there are recordings to examine", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

for (const dir of recordings) {
  test(`${basename(dir)} is diagnosed rightly`, async () => {
    const fault = basename(dir).split("--")[1] ?? null;
    const snapshot = await loadSnapshot(join(dir, "snapshot"));
    expect(judgeFindings(snapshot, fault, openRecording(dir).truth)).toEqual([]);
  });
}
