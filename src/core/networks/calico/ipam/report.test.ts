import { expect, test } from "vitest";
import { kubewalk } from "../../../../../test/support/host.ts";
import { makePod, makeSnapshot } from "../../../../../test/support/snapshot.ts";
import { ipamSchema } from "../../../schema/ipam.ts";
import type { Snapshot } from "../../../model/snapshot.ts";
import type { IpamReport } from "./report-types.ts";

/** Three nodes in a pool of one block of four addresses: all used, one of them leaked, one by another node. */
function crowded(): Snapshot {
  const snapshot = makeSnapshot();
  const { cluster } = snapshot;
  cluster.pods = [
    makePod("shop", "a", "n1", ["10.0.0.0"]),
    makePod("shop", "b", "n2", ["10.0.0.2"]),
    makePod("shop", "c", "n1", ["10.0.0.3"]),
    makePod("shop", "twin", "n1", ["10.0.0.3"]),
    makePod("shop", "stray", "n3", ["10.0.1.1"]),
  ];
  const meta = (name: string): object => ({ metadata: { name } });
  const pool = { cidr: "10.0.0.0/23", blockSize: 30 };
  const holders = [
    { namespace: "shop", pod: "a", node: "n1" },
    { namespace: "shop", pod: "gone", node: "n1" },
    { namespace: "shop", pod: "b", node: "n2" },
    { namespace: "shop", pod: "c", node: "n1" },
  ];
  const block = {
    cidr: "10.0.0.0/30",
    affinity: "host:n1",
    allocations: [0, 1, 2, 3],
    unallocated: [],
    attributes: holders.map((secondary, i) => ({ handle_id: `h${i}`, secondary })),
  };
  const crd = (name: string, objects: object[]): void => void cluster.raw.set(`${name}.crd.projectcalico.org`, objects);
  crd("ippools", [{ ...meta("pool"), spec: pool }]);
  crd("ipamblocks", [{ ...meta("10-0-0-0-30"), spec: block }]);
  crd("blockaffinities", [
    { ...meta("n1-10-0-0-0-30"), spec: { cidr: "10.0.0.0/30", node: "n1", state: "confirmed" } },
  ]);
  crd("ipamconfigs", [
    { ...meta("default"), spec: { strictAffinity: true, maxBlocksPerHost: 1, autoAllocateBlocks: true } },
  ]);
  cluster.raw.set("namespaces", [meta("shop")]);
  return snapshot;
}

test("what is leaked, unrecorded, held twice and used up, and who gets the next", async () => {
  const ran = await kubewalk(["ipam", "snap", "-o", "json", "--pods", "2"], { snapshot: crowded() });
  expect(ran).toMatchObject({ status: 1, err: "" });
  const report = JSON.parse(ran.out) as IpamReport;
  expect(ipamSchema.parse(report)).toEqual(report);
  expect(report.leaked).toEqual([
    expect.objectContaining({ address: "10.0.0.1", node: "n1", because: "pod shop/gone is gone" }),
  ]);
  expect(report.unrecorded.map((each) => each.address)).toEqual(["10.0.1.1"]);
  expect(report.duplicates).toEqual([
    { address: "10.0.0.3", pods: ["c", "twin"].map((name) => ({ namespace: "shop", name })) },
  ]);
  expect(report.exhausted.map((each) => each.node)).toEqual(["n1"]);
  expect(report.blocks).toEqual([expect.objectContaining({ node: "n1", used: 4, free: 0, borrowed: 1 })]);
  expect(report.next.map(({ node, rule }) => [node, rule])).toEqual([
    ["n1", "none"],
    ["n2", "new-block"],
    ["n2", "owned-block"],
    ["n3", "new-block"],
    ["n3", "owned-block"],
  ]);
});

test("as text, of one node; nodes and namespaces that are not there", async () => {
  const given = { snapshot: crowded() };
  const ran = await kubewalk(["ipam", "snap", "--node", "n2", "--namespace", "shop"], given);
  expect(ran.status).toBe(1);
  expect(ran.out).toContain("duplicate  10.0.0.3 belongs to shop/c, shop/twin");
  expect(ran.out).toMatch(/n2 {2,4}10\.0\.\d+\.\d+ +new block +n2 claims/);
  expect(ran.out).not.toContain("leaked");
  for (const [args, message] of [
    [["--node", "n9"], 'no node "n9"; there are n1, n2, n3'],
    [["--namespace", "nowhere"], 'no namespace "nowhere"'],
    [["--pods", "0"], "--pods must be a whole number"],
  ] as const) {
    const failed = await kubewalk(["ipam", "snap", ...args], given);
    expect(failed.status).toBe(2);
    expect(failed.err).toContain(message);
  }
});

test("a snapshot that says nothing of addresses is inconclusive", async () => {
  const snapshot = makeSnapshot();
  snapshot.cluster.pods = [];
  const ran = await kubewalk(["ipam", "snap"], { snapshot });
  expect(ran.status).toBe(4);
  expect(ran.out).toContain("nothing was recorded");
});
