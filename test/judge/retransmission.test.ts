import { expect, test } from "vitest";
import type { Answer, Outcome, Step } from "../../src/core/model/walk.ts";
import { afterRetransmission, needsPaths } from "./retransmission.ts";

const step = (at: string, kind: Step["kind"], text = ""): Step => ({ direction: "forward", at, kind, layer: 0, text });
const entry = (at: string): Step => ({
  ...step(at, "conntrack"),
  conntrack: {
    proto: "tcp",
    original: { src: "10.0.0.1", dst: "10.0.0.2" },
    reply: { src: "10.0.0.2", dst: "10.0.0.1" },
  },
});
const CHANCE = "-A KUBE-SVC -m statistic --mode random --probability 0.33333333349 -j KUBE-SEP";

/** An outcome of these paths: one third each. */
function outcome(client: Outcome["client"], ...paths: Step[][]): Outcome {
  const server =
    client === "answered"
      ? { at: "n1/pod/shop/web", address: "10.0.0.9", port: 80, clientAddress: "10.0.0.1" }
      : undefined;
  return {
    share: { num: paths.length, den: 3 },
    client,
    disposition: client === "answered" ? "delivered" : "dropped",
    server,
    because: { text: "" },
    paths: paths.map((steps) => ({ share: { num: 1, den: 3 }, steps })),
  };
}

const answer = (...outcomes: Outcome[]): Answer => ({
  format: "kubewalk.walk/v1",
  from: "n1/host",
  proto: "tcp",
  to: "10.96.0.1",
  port: 80,
  verdict: "mixed",
  outcomes,
});
const rounded = (a: Answer): [string, number][] | null => {
  const chances = afterRetransmission(a);
  return chances === null ? null : [...chances].map(([seen, p]) => [seen, Number(p.toFixed(6))]);
};

const good = outcome(
  "answered",
  [step("n1/host", "rule", CHANCE), entry("n1/host")],
  [step("n1/host", "rule", CHANCE), entry("n1/host")],
);

test("dropped where chance decided, before the entry is kept: chance decides anew", () => {
  // The last backend's rule has no probability, so its path does not show that chance decided there.
  const dropped = outcome("timeout", [step("n1/host", "rule", "-j KUBE-SEP-3"), step("n1/host", "rule", "-j DROP")]);
  expect(rounded(answer(good, dropped))).toEqual([
    ["answered web 10.0.0.1", 0.888889],
    ["timeout", 0.111111],
  ]);
});

test("dropped further on: the entry sends the next one the same way", () => {
  const dropped = outcome("timeout", [
    step("n1/host", "rule", CHANCE),
    entry("n1/host"),
    step("n2/host", "rule", "-j DROP"),
  ]);
  expect(rounded(answer(good, dropped))).toEqual([
    ["answered web 10.0.0.1", 0.666667],
    ["timeout", 0.333333],
  ]);
});

test("only what was decided after the hash is drawn again", () => {
  const by = (node: string, ...more: Step[]): Step[] => [
    step("fabric/host", "route"),
    step(node, "rule", CHANCE),
    ...more,
  ];
  const dropped = outcome("timeout", by("n1/host", step("n1/host", "rule", "-j DROP")));
  const answered = outcome("answered", by("n1/host", entry("n1/host")), by("n2/host", entry("n2/host")));
  expect(rounded(answer(answered, dropped))).toEqual([
    ["answered web 10.0.0.1", 0.833333],
    ["timeout", 0.166667],
  ]);
});

test("datagrams are not sent again, and without all paths nothing is told", () => {
  const dropped = outcome("timeout", [step("n1/host", "rule", CHANCE)]);
  expect(needsPaths({ ...answer(good, dropped), proto: "udp" })).toBe(false);
  expect(needsPaths(answer(good))).toBe(false);
  expect(afterRetransmission(answer(good, { ...dropped, paths: undefined }))).toBeNull();
});
