import { expect, test } from "vitest";
import type { Disagreement } from "./disagreement.ts";
import type { Recording } from "./recording.ts";
import { report } from "./report.ts";

const recording: Recording = {
  dir: "some/recording",
  snapshot: "some/recording/snapshot",
  truth: { format: "kubewalk.truth/v1", probes: [], traces: [] },
  names: new Set(),
  text: () => undefined,
  kindOf: () => "svc web",
};

const wrong = (node: string, server: string): Disagreement => ({
  kind: "impossible",
  question: { from: `${node}/host`, proto: "tcp", to: "10.96.0.1", port: 80 },
  seen: `answered ${server} 10.244.0.1`,
  said: "1/3 timeout [dropped: no route @nodes/n1/host/route4.json:1]",
});

test("the same mistake on other nodes, with other pods, is one cause; its samples come with it", () => {
  const disagreements = [
    wrong("n1", "web-7585fcc48-aaaaa"),
    wrong("n2", "web-7585fcc48-bbbbb"),
    wrong("n3", "web-7585fcc48-ccccc"),
    { ...wrong("n1", "web-7585fcc48-aaaaa"), kind: "inconclusive" as const },
  ];
  const probes = { probes: 10, inconclusive: 1, disagreements, z: 0.5, random: 3 };
  const traces = { traces: 2, agreed: 2, events: 30, entries: 4, disagreements: [], skipped: [] };
  const lines = report(recording, { probes, traces, disagreements, citations: 7 }, 1).split("\n");
  expect(lines[0]).toBe(
    "    3× impossible: host → svc web tcp: seen answered web IP; said timeout [dropped: no route @nodes/nX/host/route4.json:#]",
  );
  expect(lines[1]).toBe("    n1/host tcp 10.96.0.1 80");
  expect(lines.filter((l) => l.includes("/host tcp"))).toHaveLength(2);
  expect(lines.at(-2)).toBe("  … and 1 more causes");
  expect(lines.at(-1)).toBe(
    "some/recording: probes 6 of 10 agree (1 inconclusive, 3 left to chance, z 0.50); traces 2 of 2 agree (30 rules, 4 entries, 0 passages not compared); 7 citations; 4 disagreements of 2 causes",
  );
});
