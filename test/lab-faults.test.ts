/** Every fault that a lab can have, made in the real kernel: the doctor finds it and nothing beside, and nothing when it is mended. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { doctor } from "../src/core/doctor/doctor.ts";
import { CHECKS } from "../src/core/doctor/registry.ts";
import type { Finding } from "../src/core/doctor/types.ts";
import { FAULTS } from "../src/host/lab/faults/index.ts";
import { shippedScenarios } from "../src/host/lab/shipped.ts";
import { snapshotLab } from "../src/host/lab/snapshot.ts";
import { removeLab } from "../src/host/lab/state.ts";
import type { StandingLab } from "../src/host/lab/standing.ts";
import { cannotMakeLabs, makeLab, plan, scenarioText, type Plan } from "../src/host/lab/up.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";

const reason = cannotMakeLabs();
const home = mkdtempSync(join(tmpdir(), "kubewalk-faults-"));
process.env["KUBEWALK_RUN"] = join(home, "run");

/** Findings that harm nobody as yet, by their nature. */
const HARMLESS: ReadonlySet<string> = new Set(["leaked-address"]);

let taken = 0;
async function findings(lab: StandingLab, planned: Plan): Promise<Finding[]> {
  const out = join(home, String(taken++));
  await snapshotLab(lab, planned, out, null);
  const found = doctor(await loadSnapshot(out)).findings;
  rmSync(out, { recursive: true });
  return found;
}

const serious = (all: readonly Finding[]): string[] => [
  ...new Set(all.filter(({ severity }) => severity !== "info").map(({ id }) => id)),
];

afterAll(() => rmSync(home, { recursive: true, force: true }));

test("the faults are the doctor's findings, each once, and each has a shipped scenario", () => {
  const ids = FAULTS.map(({ id }) => id).toSorted();
  expect(ids).toEqual([...new Set(CHECKS.flatMap((check) => check.ids))].toSorted());
  expect(FAULTS.filter(({ scenario }) => !shippedScenarios().has(scenario))).toEqual([]);
});

const scenarios = [...new Set(FAULTS.map(({ scenario }) => scenario))];

describe.skipIf(reason !== null)(`faults${reason === null ? "" : ` (skipped: ${reason})`}`, () => {
  test.each(scenarios)("in %s", { timeout: 900_000 }, async (which) => {
    const { file, text, usual } = scenarioText(which);
    const planned = plan(text, file, usual);
    const name = `t${process.pid}-f-${which}`.slice(0, 40);
    try {
      const lab = await makeLab(name, planned, () => undefined);
      const results: Record<string, string[]> = {};
      const expected: typeof results = {};
      for (const fault of FAULTS) {
        if (fault.scenario !== which || (fault.missing?.(lab) ?? null) !== null) continue;
        await fault.breakIt(lab, {});
        const found = await findings(lab, planned);
        await fault.mendIt(lab, {});
        const harmless = found.filter(({ id }) => id === fault.id && HARMLESS.has(id)).map(({ id }) => id);
        // What the fault before it left behind would stand here, too.
        results[fault.id] = [...new Set([...serious(found), ...harmless])];
        expected[fault.id] = [fault.id];
      }
      results["mended"] = serious(await findings(lab, planned));
      expected["mended"] = [];
      expect(results).toEqual(expected);
      lab.client.close();
    } finally {
      removeLab(name);
    }
  });
});
