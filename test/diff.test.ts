/** Proof of the networks on recordings of real clusters: healthy nodes have what the networks intend, and next to nothing that none of them owns. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { diff } from "../src/core/diff/diff.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";
import { judgeDiff } from "./judge/diff.ts";
import { recordingsIn } from "./judge/recording.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
const MORE = process.env["KUBEWALK_RECORDINGS"];
const recordings = [FIXTURES, ...(MORE === undefined ? [] : [MORE])].flatMap(recordingsIn);
test("there are recordings to compare", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

describe.each(recordings.filter((dir) => !basename(dir).includes("--")).map((dir) => [basename(dir), dir]))(
  "%s, a healthy cluster",
  (_, dir) => {
    test("has what its networks intend, and hardly anything else", async () => {
      expect(judgeDiff(diff(await loadSnapshot(join(dir, "snapshot"))))).toEqual([]);
    });
  },
);
