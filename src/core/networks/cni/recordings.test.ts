/** flannel and the CNI plugins, held against recordings of real clusters. */
import { basename, dirname } from "node:path";
import { expect, test } from "vitest";
import { flannel } from "../flannel/index.ts";
import { cni } from "./index.ts";
import { compareWith, healthyRecordings, loadFolder } from "./testing/compare.ts";

const recordings = healthyRecordings();
const OWN = new Set(["flannel", "bridge", "portmap", "loopback"]);
/** Traces of both: devices, chains, tables. */
const TRACE = /flannel|\bcni0\b|\bveth[0-9a-f]{8}\b|CNI-|cni_/i;

test("there are recordings to compare with", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn("skipped: no recordings beside the checkout");
    context.skip("no recordings beside the checkout");
  }
  expect(recordings.length).toBeGreaterThan(0);
});

for (const dir of recordings) {
  test(basename(dirname(dir)), () => {
    const diff = compareWith(loadFolder(dir), [flannel, cni]);
    expect(diff.differences.filter((each) => OWN.has(each.owner))).toEqual([]);
    expect(diff.unowned.filter((each) => TRACE.test(each.text)).map((each) => each.text)).toEqual([]);
    const counts = new Map<string, number>();
    for (const { owner, equal } of diff.owners) counts.set(owner, (counts.get(owner) ?? 0) + equal);
    expect(counts.get("loopback"), "pods").toBeGreaterThan(0);
    expect(counts.get("portmap"), "the pod with a host port").toBeGreaterThan(10);
  });
}
