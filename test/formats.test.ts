/** Real answers in the formats that programs rely on: every recording, every kind of source. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSession } from "../src/cli/engine.ts";
import { answerLines } from "../src/cli/text/answer.ts";
import { PLAIN } from "../src/cli/text/style.ts";
import { createDirectory } from "../src/core/names/directory.ts";
import type { Question } from "../src/core/model/walk.ts";
import { showPlaceSchema, showSnapshotSchema } from "../src/core/schema/show.ts";
import { answerSchema } from "../src/core/schema/walk.ts";
import { showPlace } from "../src/core/show/namespace.ts";
import { showSnapshot } from "../src/core/show/snapshot.ts";

const recordings = "../shared/fixtures";
const names = existsSync(recordings)
  ? readdirSync(recordings, { withFileTypes: true })
      .filter((e) => e.isDirectory())
      .map((e) => e.name)
  : [];

/** So many of a recording's questions are asked with steps; they are spread over all of them. */
const SAMPLE = 15;

describe.skipIf(names.length === 0)(`recordings of ${recordings} (skipped when absent)`, () => {
  test.each(names)("%s", async (name) => {
    const session = await openSession(join(recordings, name, "snapshot"), () => undefined);
    const dir = createDirectory(session.snapshot);
    const summary = showSnapshot(dir, session.peerOf);
    expect(showSnapshotSchema.parse(JSON.parse(JSON.stringify(summary)))).toEqual(summary);
    for (const ns of session.snapshot.namespaces) {
      const shown: unknown = JSON.parse(JSON.stringify(showPlace(ns, session.peerOf)));
      expect(showPlaceSchema.parse(shown)).toEqual(shown);
    }
    const truth = JSON.parse(readFileSync(join(recordings, name, "truth.json"), "utf8")) as { probes: Question[] };
    const every = Math.ceil(truth.probes.length / SAMPLE);
    const sample = truth.probes.filter((_, i) => i % every === 0);
    for (const [i, { from, proto, to, port }] of sample.entries()) {
      // Rules that do not match are thousands: one question with them is enough.
      const answer = session.ask({ from, proto, to, port }, { steps: true, allRules: i === 0 });
      const json: unknown = JSON.parse(JSON.stringify(answer));
      expect(answerSchema.parse(json)).toEqual(json);
      const options = { width: 120, style: PLAIN, mark: 0, label: () => undefined, placeOf: () => undefined };
      for (const all of [true, false])
        expect(answerLines(answer, { ...options, all }).join("\n")).not.toMatch(/undefined|NaN|\[object/);
    }
  });
});
