/**
 * `kubectl packet-walk` and `--live`. Found step by step: on recordings, of which only the nodes and pods on the way are shown. With a real
 * kubectl and a real cluster: collect-cluster.test.ts.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bundleCommand } from "../scripts/bundle.mjs";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import type { Snapshot } from "../src/core/model/snapshot.ts";
import type { Answer, Question } from "../src/core/model/walk.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import { behind, onTheWay, Owners } from "../src/host/live/on-the-way.ts";
import { folderFiles } from "../src/host/snapshot/folder-files.ts";
import { questionsOf } from "./judge/probes.ts";
import { openRecording, recordingsIn } from "./judge/recording.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
/** What lies between the nodes of a cluster is not collected: only recordings whose nodes share a segment are the same without it. */
const recordings = recordingsIn(FIXTURES).filter((dir) => {
  const text = folderFiles(join(dir, "snapshot")).read("fabric.json") ?? "{}";
  return (
    (JSON.parse(text) as { routers?: string[]; segments?: { attached: [string, string][] }[] }).segments ?? []
  ).some(({ attached }) => ["n1", "n2", "n3"].every((node) => attached.some(([name]) => name === node)));
});

/**
 * As a live cluster is: its objects, and only these nodes; nothing of what lies between them. With `pods` (NAMESPACE/NAME) only the network
 * namespaces of these.
 */
function withNodes(dir: string, nodes: ReadonlySet<string>, pods: ReadonlySet<string> | null): Snapshot {
  const files = folderFiles(join(dir, "snapshot"));
  const hidden = new Set<string>();
  for (const path of files.paths()) {
    if (pods === null || !path.endsWith("/netns.json")) continue;
    const { pod } = JSON.parse(files.read(path) ?? "{}") as { pod?: { namespace: string; name: string } | null };
    if (pod && !pods.has(`${pod.namespace}/${pod.name}`)) hidden.add(path.replace(/\/netns\.json$/, ""));
  }
  const shown = (path: string): boolean =>
    path.startsWith("cluster/") ||
    (path.startsWith("nodes/") && nodes.has(path.split("/")[1]!) && !hidden.has(path.split("/").slice(0, 4).join("/")));
  const head = JSON.stringify({ format: "kubewalk.snapshot/v1", nodes: [...nodes] });
  return assembleSnapshot({
    *paths() {
      for (const path of files.paths()) if (shown(path)) yield path;
    },
    read: (path) => (path === "snapshot.json" ? head : shown(path) ? files.read(path) : undefined),
  });
}

const said = ({ verdict, outcomes }: Answer): unknown => ({
  verdict,
  outcomes: outcomes
    .map(({ share, client, disposition, server }) => JSON.stringify({ share, client, disposition, server }))
    .toSorted(),
});

test("there are recordings of nodes on one segment", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

test.each(recordings.map((dir) => [basename(dir), dir] as const))(
  "%s: found step by step, the answer is that of the whole cluster, and not all nodes and pods are asked",
  (_name, dir) => {
    const { truth, kindOf } = openRecording(dir);
    const all = new Set(["n1", "n2", "n3"]);
    const whole = createWorld(withNodes(dir, all, null));
    const worlds = new Map<string, ReturnType<typeof createWorld>>();
    const worldOf = (nodes: ReadonlySet<string>, pods: ReadonlySet<string> | null): ReturnType<typeof createWorld> => {
      const key = [...nodes, "", ...(pods ?? ["all"])].toSorted().join(" ");
      let world = worlds.get(key);
      if (world === undefined) worlds.set(key, (world = createWorld(withNodes(dir, nodes, pods))));
      return world;
    };
    const known = withNodes(dir, all, null);
    const owners = new Owners(known);
    const questions = questionsOf(truth).filter(
      ({ from, to, port }) => !from.startsWith("outside") && kindOf(to, port ?? 0) !== "elsewhere",
    );
    const sample = questions.filter((_, i) => i % Math.ceil(questions.length / 60) === 0);
    let [fewer, narrow] = [0, 0];
    for (const question of sample) {
      const { nodes, pods } = behind(known, owners, question.to);
      nodes.add(question.from.split("/", 1)[0]!);
      const client = /\/pod\/(.*)/.exec(question.from)?.[1];
      if (client !== undefined) pods.add(client);
      // What is asked for at first is not asked for again.
      let asked: ReadonlySet<string> | null = new Set(pods);
      let answer: Answer;
      for (;;) {
        answer = ask(worldOf(nodes, asked), question, { steps: true });
        const way = onTheWay(answer, owners);
        const next = [...way.nodes].filter((node) => !nodes.has(node));
        for (const node of next) nodes.add(node);
        if (next.length > 0) continue;
        if (answer.verdict === "answered" || asked === null) break;
        asked = null;
      }
      expect(said(answer), `${question.from} → ${question.to}:${question.port} by ${[...nodes].join(", ")}`).toEqual(
        said(ask(whole, question satisfies Question, { steps: true })),
      );
      if (nodes.size < all.size) fewer++;
      if (asked !== null) narrow++;
    }
    expect(narrow).toBeGreaterThan(0);
    expect(sample.length).toBeGreaterThan(30);
    expect(fewer).toBeGreaterThan(0);
  },
);

describe("the command", () => {
  let home = "";

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "kubewalk-plugin-"));
    cpSync("bin", join(home, "bin"), { recursive: true });
    await bundleCommand(join(home, "dist"));
  }, 60_000);
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  const run = (command: string, ...args: string[]): { status: number | null; out: string; err: string } => {
    const env = {
      ...process.env,
      PATH: [join(home, "bin"), process.env["PATH"]].join(delimiter),
      KUBECONFIG: join(home, "none"),
    };
    const { status, stdout, stderr } = spawnSync(command, args, {
      encoding: "utf8",
      env,
      timeout: 100_000,
    });
    return { status, out: stdout, err: stderr };
  };

  test("speaks as kubectl's user does", () => {
    expect(run("kubectl-packet_walk", "--help").out).toMatch(/^Usage: kubectl packet-walk \[options\] <from> <to>\n/);
    const missing = run("kubectl-packet_walk", "client");
    expect([missing.status, missing.out, missing.err]).toEqual([2, "", "error: missing required argument 'to'\n"]);
    const nowhere = run(
      "kubewalk",
      "walk",
      "--live",
      "shop/client",
      "svc:shop/web:80",
      "--server",
      "https://127.0.0.1:1",
    );
    expect([nowhere.status, nowhere.out]).toEqual([2, ""]);
    expect(nowhere.err).toMatch(/^error: https:\/\/127\.0\.0\.1:1: /);
    expect(run("kubewalk", "doctor", "snap", "--context", "a")).toMatchObject({
      status: 2,
      err: "error: --context is for a live cluster: give --live, and no snapshot\n",
    });
  });

  test("completes", () => {
    const complete = (...words: string[]): string[] =>
      run("kubewalk", "complete", "--", ...words)
        .out.trim()
        .split("\n");
    expect(complete("dif")[0]).toMatch(/^diff\t/);
    expect(complete("walk", "snap", "--proto", "")).toEqual(expect.arrayContaining([expect.stringMatching(/^sctp\b/)]));
    expect(complete("walk", "--all").map((line) => line.split("\t")[0])).toContain("--all-rules");
    expect(run("kubectl_complete-packet_walk", "--contex").out).toMatch(/^--context\t/);
    for (const shell of ["bash", "zsh", "fish"]) expect(run("kubewalk", "completion", shell).out).toContain("kubewalk");
    execFileSync("bash", ["-n"], { input: run("kubewalk", "completion", "bash").out });
    expect(run("kubewalk", "completion", "tcsh").status).toBe(2);
  });
});
