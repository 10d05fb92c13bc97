/**
 * Every shipped scenario on the real kernel, with its real daemons: what stands is what was computed, the doctor finds nothing, and real
 * programs meet what the engine foretells.
 */
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { diff } from "../src/core/diff/diff.ts";
import { doctor } from "../src/core/doctor/doctor.ts";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import type { ProbeCell } from "../src/core/model/lab.ts";
import { LabError } from "../src/host/lab/parts.ts";
import { serversOf } from "../src/host/lab/places.ts";
import { probeLab, readAddresses, representatives, targetsOf } from "../src/host/lab/probe.ts";
import { shippedScenarios } from "../src/host/lab/shipped.ts";
import { snapshotLab } from "../src/host/lab/snapshot.ts";
import { labsFolder, removeLab } from "../src/host/lab/state.ts";
import { cannotMakeLabs, makeLab, plan, scenarioText } from "../src/host/lab/up.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";

const reason = cannotMakeLabs();
const home = mkdtempSync(join(tmpdir(), "kubewalk-scenarios-"));
process.env["KUBEWALK_RUN"] = join(home, "run");

/** Faults that are in the nature of a network. */
const NATURE: Readonly<Record<string, readonly string[]>> = {
  macvlan: ["underlay-bypasses-services"],
  ipvlan: ["underlay-bypasses-services"],
  // A Service without a pod, to be refused.
  "flannel-vxlan": ["no-endpoint"],
};
/** Ports behind which a daemon speaks another protocol than probes, and addresses behind which a proxy passes on what it is asked. */
const OTHERS: Readonly<Record<string, { ports?: readonly number[]; proxies?: readonly string[] }>> = {
  "dns-ndots": { ports: [53] },
  "api-vip": { proxies: ["172.30.0.100"] },
};
/** Places and targets that are asked of each lab, at most. */
const MOST = 8;

afterAll(() => rmSync(home, { recursive: true, force: true }));

describe.skipIf(reason !== null)(`scenarios${reason === null ? "" : ` (skipped: ${reason})`}`, () => {
  test.each([...shippedScenarios().keys()])("%s", { timeout: 120_000 }, async (which) => {
    const { file, text, usual } = scenarioText(which);
    const planned = plan(text, file, usual);
    const name = `t${process.pid}-${which}`.slice(0, 40);
    try {
      let lab;
      try {
        lab = await makeLab(name, planned, () => undefined);
      } catch (error) {
        // The kernel or the machine lacks something, and its name is told, before anything was made.
        if (!(error instanceof LabError) || !/would bring it|apt-get install/.test(error.message)) throw error;
        console.warn(`${which}: skipped: ${error.message}`);
        return;
      }
      const out = join(home, which);
      await snapshotLab(lab, planned, out, null);
      const snapshot = await loadSnapshot(out);
      const compared = diff(snapshot);
      expect(compared.differences.map((each) => JSON.stringify({ ...each, source: null }))).toEqual([]);
      expect(compared.unowned).toEqual([]);
      const findings = doctor(snapshot).findings.filter(
        ({ id, severity }) => severity !== "info" && !NATURE[which]?.includes(id),
      );
      expect(findings.map(({ id, at, summary }) => `${id} ${at} ${summary}`)).toEqual([]);
      const world = createWorld(snapshot);
      const servers = serversOf(planned.wiring, lab.intended.objects, lab.places);
      const addresses = await readAddresses(lab);
      const places = lab.places.flatMap(({ place, machine }) => (machine === "fabric" ? [] : [place]));
      const targets = targetsOf(lab, servers, addresses);
      const few = new Set(
        representatives(
          [...new Set(targets.map((each) => each.name))].filter((each) => !each.startsWith("svc:")),
          MOST,
        ),
      );
      const asking = {
        from: representatives(places, MOST),
        targets: targets.filter(
          (each) =>
            (each.name.startsWith("svc:") || few.has(each.name)) &&
            OTHERS[which]?.ports?.includes(each.port ?? 0) !== true,
        ),
        tries: 1,
      };
      const report = await probeLab(lab, asking, (question) => ask(world, question, { steps: false, allRules: false }));
      // Through a proxy somebody answers, and who it is only the proxy knows.
      const isAnswered = (cell: ProbeCell): boolean =>
        cell.seen.every(({ client }) => cell.foretold?.outcomes.some((each) => each.client === client));
      const wrong = report.cells.filter(
        (cell) =>
          cell.foretold?.agrees === false && !(OTHERS[which]?.proxies?.includes(cell.to) === true && isAnswered(cell)),
      );
      expect(wrong.map((cell) => JSON.stringify(cell))).toEqual([]);
      expect(report.cells.length).toBeGreaterThan(0);
      lab.client.close();
    } finally {
      removeLab(name);
    }
  });

  test("nothing is left of them", () => {
    expect(existsSync(labsFolder()) ? readdirSync(labsFolder()) : []).toEqual([]);
  });
});
