/** Calico, held against recordings of real clusters. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { compareWith, healthyRecordings, loadFolder } from "../cni/testing/compare.ts";
import { calico } from "./index.ts";
import { policiesOf, policyOfChain } from "./policies.ts";

const recordings = healthyRecordings().filter((dir) => basename(dirname(dir)).startsWith("calico"));
/** Calico's devices, chains, sets and tables. */
const TRACE = /\bcali|\bvxlan\.calico\b|\btunl0\b|\bproto (bird|80)\b/;

test("there are recordings to compare with", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn("skipped: no recordings beside the checkout");
    context.skip("no recordings beside the checkout");
  }
  expect(recordings.length).toBeGreaterThan(0);
});

for (const dir of recordings) {
  const name = basename(dirname(dir));

  test(name, () => {
    const diff = compareWith(loadFolder(dir), [calico]);
    expect(diff.differences.filter((each) => each.owner === "calico")).toEqual([]);
    expect(diff.unowned.filter((each) => TRACE.test(each.text)).map((each) => each.text)).toEqual([]);
    const counts = new Map<string, number>();
    for (const { owner, kind, equal } of diff.owners)
      if (owner === "calico") counts.set(kind, (counts.get(kind) ?? 0) + equal);
    for (const kind of ["address", "chain", "link", "route", "rule", "set", "sysctl"])
      expect(counts.get(kind), kind).toBeGreaterThan(2);
  });

  test(`${name}: every chain of a policy is known`, () => {
    const snapshot = loadFolder(dir);
    const { cluster } = snapshot;
    const chains = snapshot.namespaces
      .flatMap((ns) => ns.xtables)
      .flatMap(({ tables }) => tables.flatMap((table) => table.chains.map((chain) => chain.name)))
      .filter((chain) => /^cali-p[io]-/.test(chain));
    expect(chains.length).toBeGreaterThan(0);
    const found = chains.map((chain) => policyOfChain(cluster, chain));
    expect(found.filter((each) => each === null)).toEqual([]);
    expect(new Set(found.map((each) => each?.policy.name)).size).toBeLessThanOrEqual(policiesOf(cluster).length);
  });
}

test("a gateway that is silent is all that differs where it is", (context) => {
  const dir = join(dirname(dirname(recordings[0] ?? "")), "calico-bgp-iptables--pod-gateway-silent", "snapshot");
  if (!existsSync(dir)) return context.skip("no such recording beside the checkout");
  const { differences } = compareWith(loadFolder(dir), [calico]);
  const own = differences.filter((each) => each.owner === "calico");
  expect(own.length).toBeGreaterThan(0);
  for (const each of own) {
    expect([each.at, each.kind]).toEqual(["n1/host", "sysctl"]);
    expect(each.source?.file).toBe("nodes/n1/host/sysctl.txt");
  }
});
