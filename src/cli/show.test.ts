/** Reviewable text of a small snapshot; after a wanted change run `npx vitest run src/cli -u`. */
import { expect, test } from "vitest";
import { kubewalk } from "../../test/support/host.ts";
import { makeSnapshot } from "../../test/support/snapshot.ts";
import { ParseError } from "../core/model/source.ts";
import { showSchema } from "../core/schema/show.ts";

const small = makeSnapshot();
const snapshot = {
  ...small,
  cluster: { ...small.cluster, missing: new Map([["nodes", "kubectl get nodes: forbidden"]]) },
  fabric: {
    segments: [{ name: "br0", attached: [{ node: "n1", dev: "eth0" }], source: { file: "fabric.json", line: 1 } }],
    routers: [],
    external: [],
  },
  problems: [new ParseError({ file: "nodes/n2/host/ipset.txt", line: 3 }, "expected create or add")],
};

test("a snapshot", async () => {
  const ran = await kubewalk(["show", "snap"], { snapshot });
  expect(ran).toMatchObject({ status: 0, err: "warning: nodes/n2/host/ipset.txt:3: expected create or add\n" });
  await expect(ran.out).toMatchFileSnapshot("text/snapshots/show.txt");
});

test("a place, by a short name", async () => {
  const ran = await kubewalk(["show", "snap", "shop/client"], { snapshot: small });
  expect(ran).toMatchObject({ status: 0, err: "" });
  await expect(ran.out).toMatchFileSnapshot("text/snapshots/show-place.txt");
});

test.each([[["show", "snap"]], [["show", "snap", "n1/host"]]])("%j as JSON fits the schema", async (args) => {
  const ran = await kubewalk([...args, "-o", "json"], { snapshot });
  const value: unknown = JSON.parse(ran.out);
  expect(showSchema.parse(value)).toEqual(value);
});

test("a place that was not recorded", async () => {
  expect(await kubewalk(["show", "snap", "n3/host"], { snapshot: small })).toMatchObject({
    status: 2,
    out: "",
    err: "error: nothing was recorded of the network of node n3\n",
  });
});
