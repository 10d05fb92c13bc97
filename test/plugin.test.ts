/**
 * `kubectl packet-walk` and `--live`. Found step by step: on recordings, of which only the nodes on the way are shown. With a real kubectl:
 * in the cluster that KUBEWALK_KUBECONFIG leads to, with the image KUBEWALK_IMAGE; KUBEWALK_IN, a command before it, if it cannot be reached
 * from here (`ip netns exec …`).
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
import { nodesBehind, nodesOnTheWay, Owners } from "../src/host/live/on-the-way.ts";
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

/** As a live cluster is: its objects, and only these nodes; nothing of what lies between them. */
function withNodes(dir: string, nodes: ReadonlySet<string>): Snapshot {
  const files = folderFiles(join(dir, "snapshot"));
  const shown = (path: string): boolean =>
    path.startsWith("cluster/") || (path.startsWith("nodes/") && nodes.has(path.split("/")[1]!));
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
  "%s: found step by step, the answer is that of the whole cluster, and not all nodes are asked",
  (_name, dir) => {
    const { truth, kindOf } = openRecording(dir);
    const all = new Set(["n1", "n2", "n3"]);
    const whole = createWorld(withNodes(dir, all));
    const snapshots = new Map<string, ReturnType<typeof createWorld>>();
    const worldOf = (nodes: ReadonlySet<string>): ReturnType<typeof createWorld> => {
      const key = [...nodes].toSorted().join(" ");
      let world = snapshots.get(key);
      if (world === undefined) snapshots.set(key, (world = createWorld(withNodes(dir, nodes))));
      return world;
    };
    const owners = new Owners(withNodes(dir, all));
    const known = withNodes(dir, all);
    const questions = questionsOf(truth).filter(
      ({ from, to, port }) => !from.startsWith("outside") && kindOf(to, port ?? 0) !== "elsewhere",
    );
    const sample = questions.filter((_, i) => i % Math.ceil(questions.length / 60) === 0);
    let fewer = 0;
    for (const question of sample) {
      const nodes = new Set([question.from.split("/", 1)[0]!, ...nodesBehind(known, owners, question.to)]);
      let answer: Answer;
      for (;;) {
        answer = ask(worldOf(nodes), question, { steps: true });
        const next = [...nodesOnTheWay(answer, owners)].filter((node) => !nodes.has(node));
        if (next.length === 0) break;
        for (const node of next) nodes.add(node);
      }
      expect(said(answer), `${question.from} → ${question.to}:${question.port} by ${[...nodes].join(", ")}`).toEqual(
        said(ask(whole, question satisfies Question, { steps: true })),
      );
      if (nodes.size < all.size) fewer++;
    }
    expect(sample.length).toBeGreaterThan(30);
    expect(fewer).toBeGreaterThan(0);
  },
);

describe("the command", () => {
  let home = "";
  const { KUBEWALK_KUBECONFIG: kubeconfig, KUBEWALK_IMAGE: image = "", KUBEWALK_IN: inside = "" } = process.env;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "kubewalk-plugin-"));
    cpSync("bin", join(home, "bin"), { recursive: true });
    await bundleCommand(join(home, "dist"));
  }, 60_000);
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  const run = (command: string, ...args: string[]): { status: number | null; out: string; err: string } => {
    const words = [...inside.split(" ").filter((word) => word !== ""), command, ...args];
    const env = {
      ...process.env,
      PATH: [join(home, "bin"), process.env["PATH"]].join(delimiter),
      KUBECONFIG: kubeconfig ?? join(home, "none"),
    };
    const { status, stdout, stderr } = spawnSync(words[0]!, words.slice(1), {
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

  test("with a real kubectl", (context) => {
    if (kubeconfig === undefined) {
      console.warn("skipped: KUBEWALK_KUBECONFIG leads to no cluster");
      return context.skip("KUBEWALK_KUBECONFIG leads to no cluster");
    }
    const own = image === "" ? [] : ["--image", image];
    const pods = JSON.parse(run("kubectl", "get", "pods", "-n", "shop", "-o", "json").out) as {
      items: { metadata: { name: string }; spec: { nodeName: string } }[];
    };
    const client = pods.items.find(({ metadata }) => metadata.name.startsWith("client-"))!;
    const { name } = client.metadata;
    const plugin = (...args: string[]): { status: number | null; out: string; err: string } =>
      run("kubectl", "packet-walk", "-n", "shop", ...args, ...own);
    const good = plugin(name, "svc/web:80", "-o", "json");
    expect([good.status, good.err]).toEqual([0, ""]);
    const answer = JSON.parse(good.out) as Answer;
    expect(answer).toMatchObject({ from: `${client.spec.nodeName}/pod/shop/${name}`, verdict: "answered" });
    expect(answer.outcomes.map((each) => `${each.share?.num}/${each.share?.den}`)).toEqual(["1/3", "1/3", "1/3"]);
    // Of a target on the same node, only that node is collected.
    const beside = pods.items.find(
      ({ metadata, spec }) => metadata.name.startsWith("web-") && spec.nodeName === client.spec.nodeName,
    )!;
    const near = plugin(name, `pod/${beside.metadata.name}:8080`, "-o", "json", "--steps");
    expect(near.status).toBe(0);
    const machines = (JSON.parse(near.out) as Answer).outcomes[0]!.steps!.map(({ at }) => at.split("/", 1)[0]!);
    expect(new Set(machines)).toEqual(new Set([client.spec.nodeName]));
    expect(plugin(name, `pod/${beside.metadata.name}:7777`, "-o", "json").status).toBe(1);
    expect(plugin("nosuch", "svc/web:80")).toMatchObject({ status: 2, out: "" });
    const refused = plugin(name, "svc/web:80", "--as", "nobody");
    expect([refused.status, refused.out]).toEqual([2, ""]);
    expect(refused.err).toMatch(/nobody|list|nodes/);
    expect(run("kubectl", "__complete", "packet-walk", "-n", "shop", name, "svc/we").out).toContain("svc/web:80");
    expect(run("kubectl", "get", "pods", "-A", "-o", "name").out).not.toContain("kubewalk");
  }, 300_000);
});
