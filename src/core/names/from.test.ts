import { describe, expect, test } from "vitest";
import { makeSnapshot } from "../../../test/support/snapshot.ts";
import { thrown } from "../../../test/support/thrown.ts";
import { createDirectory } from "./directory.ts";
import { NotRecordedError } from "./errors.ts";
import { resolveFrom } from "./from.ts";

const dir = createDirectory(makeSnapshot());

describe("names that lead to a place", () => {
  test.each([
    ["n1/host", "n1/host"],
    ["node:n1", "n1/host"],
    ["n1", "n1/host"],
    ["outside/host", "outside/host"],
    ["outside", "outside/host"],
    ["n1/pod/shop/client-1", "n1/pod/shop/client-1"],
    ["pod:shop/client-1", "n1/pod/shop/client-1"],
    ["shop/client-1", "n1/pod/shop/client-1"],
    // A workload with one pod, and a beginning that only one has.
    ["shop/client", "n1/pod/shop/client-1"],
    ["shop/cli", "n1/pod/shop/client-1"],
    ["shop/web-abc-2", "n2/pod/shop/web-abc-2"],
    ["web-abc-1", "n1/pod/shop/web-abc-1"],
    ["coredns", "n1/pod/kube-system/coredns-1"],
    ["n2/netns/202", "n2/netns/202"],
    // A pod's namespace by its inode.
    ["n1/netns/101", "n1/pod/shop/client-1"],
    // On the host's network the place is the node's.
    ["ops/agent-1", "n1/host"],
    ["n1/pod/ops/agent-1", "n1/host"],
    ["10.244.0.3", "n1/pod/shop/client-1"],
    ["fd00:244:0::3", "n1/pod/shop/client-1"],
    ["172.30.0.12", "n2/host"],
    // Its former owner, a finished job, does not count.
    ["10.244.0.2", "n1/pod/shop/web-abc-1"],
    ["  n1/host ", "n1/host"],
  ])("%s is %s", (text, place) => expect(resolveFrom(dir, text)).toBe(place));
});

describe("names that lead nowhere say what might have been meant", () => {
  test.each([
    ["shop/clinet-1", "unknown pod shop/clinet-1; did you mean shop/client-1?"],
    ["pod:shop/clinet", "unknown pod shop/clinet; did you mean shop/client-1?"],
    ["shp/client-1", "unknown namespace shp; did you mean shop/client-1?"],
    ["n9/host", "unknown node n9; did you mean n1 or n2 or n3?"],
    ["node:outsde", "unknown node outsde; did you mean outside?"],
    ["shop/web", "shop/web could be 3 pods: shop/web-abc-1, shop/web-abc-2, shop/web-abc-3"],
    ["client-1", "client-1 could be 2 pods: ops/client-1, shop/client-1"],
    ["n2/pod/shop/client-1", "pod shop/client-1 is on n1, not on n2; did you mean n1/pod/shop/client-1?"],
    ["n1/netns/999", "no namespace 999 was recorded on n1; there are 101, 102, 103"],
    [
      "svc:shop/web:80",
      "svc:shop/web:80 is a Service: a packet starts from a pod or a node, such as pod:NAMESPACE/NAME or node:NAME",
    ],
    ["8.8.8.8", "no recorded namespace holds 8.8.8.8"],
    ["shop/job-x", "pod shop/job-x has ended (Succeeded): it has no network"],
    ["ops/new-1", "pod ops/new-1 is on no node yet: it has no network"],
    ["n1/x", "unknown place n1/x; did you mean n1/host?"],
    ["a/b/c", "unknown place a/b/c: a place is NODE/host, NODE/pod/NAMESPACE/NAME or NODE/netns/ID"],
    ["", 'unknown pod ""'],
    ["pod:", '"" names no pod: write NAMESPACE/NAME'],
    ["zzzzzzzz", "unknown pod or node zzzzzzzz"],
  ])("%s", (text, message) => {
    expect(thrown(() => resolveFrom(dir, text))).toBe(`NameError: ${message}`);
  });
});

test("what exists but was not recorded is told apart from what is unknown", () => {
  expect(() => resolveFrom(dir, "shop/edge")).toThrow(NotRecordedError);
  expect(() => resolveFrom(dir, "shop/edge")).toThrow(
    "the network namespace of pod shop/edge on node n3 was not recorded",
  );
  expect(() => resolveFrom(dir, "n3/host")).toThrow(
    new NotRecordedError("nothing was recorded of the network of node n3"),
  );
});
