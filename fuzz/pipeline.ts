/** Worlds one after the other: build, probe, compare. */
import type { Agent } from "./agent.ts";
import type { Answerer } from "./answerer.ts";
import { place, type Files } from "./collect.ts";
import { compare, question, show } from "./compare.ts";
import { type Generated, CASES_PER_WORLD, PROBES_PER_RULESET, generate } from "./generate/index.ts";
import type { Filter } from "./generate/plan.ts";
import { Scene } from "./scene.ts";
import { type Met, firstDifference, metBy, packetsOf, startTrace, stopTrace } from "./trace.ts";
import type { Observed, Probe, Ruleset, World } from "./world.ts";
import type { Answer } from "../src/core/model/walk.ts";

/** A disagreement that lasted when it was looked at again. */
export interface Failure {
  index: number;
  kind: "verdict" | "rules" | "error";
  why: string;
  world: World;
  ruleset: Ruleset;
  probe: Probe | null;
  observed: Observed | null;
  answer: Answer | null;
  files: Files;
}

/** What came of some cases. */
export interface Tally {
  passed: number;
  failures: Failure[];
  /** By reason. */
  inconclusive: Map<string, number>;
  /** Differed at first, agreed when sent alone and with patience. */
  unsteady: number;
  /** Probes whose rules were compared one by one, and those that could not be. */
  traced: number;
  refused: number;
  /** The walk that took longest: milliseconds, and which. */
  slowest: { ms: number; index: number };
}

export function emptyTally(): Tally {
  return {
    passed: 0,
    failures: [],
    inconclusive: new Map(),
    unsteady: 0,
    traced: 0,
    refused: 0,
    slowest: { ms: 0, index: 0 },
  };
}

export interface Options {
  seed: number;
  filter: Filter;
  /** Share of batches of which some packets are traced rule by rule. */
  traceShare: number;
}

/** How many disagreements of one batch are sent once more, alone; beyond that the engine is broken anyway. */
const ALONE = 10;
/** Probes traced in one batch. */
const TRACED = 12;

/** Runs all cases of one world. */
export async function runWorld(
  agent: Agent,
  answerer: Answerer,
  n: number,
  options: Options,
  tally: Tally,
): Promise<void> {
  const made: Generated = generate(options.seed, n, options.filter);
  const scene = await Scene.build(agent, made.world);
  for (const [b, batch] of made.batches.entries()) {
    await scene.rules(batch.ruleset);
    const first = n * CASES_PER_WORLD + b * PROBES_PER_RULESET;
    await runBatch(
      scene,
      answerer,
      batch.ruleset,
      batch.probes,
      first,
      tally,
      (n * made.batches.length + b) % Math.max(1, Math.round(1 / options.traceShare)) === 0 && options.traceShare > 0,
    );
  }
  tally.refused += scene.refusals.length;
}

async function runBatch(
  scene: Scene,
  answerer: Answerer,
  ruleset: Ruleset,
  probes: Probe[],
  first: number,
  tally: Tally,
  traced: boolean,
): Promise<void> {
  const files = scene.files;
  const fail = (i: number, kind: Failure["kind"], why: string, o: Observed | null, answer: Answer | null): void => {
    tally.failures.push({
      index: first + i,
      kind,
      why,
      world: scene.world,
      ruleset,
      probe: probes[i] ?? null,
      observed: o,
      answer,
      files,
    });
  };
  const [seen, told] = await Promise.all([scene.send(probes), answerer.ask(files, probes.map(question), false)]);
  const answers = told.map((t, i) => {
    if ("error" in t) {
      fail(i, "error", t.error, seen[i]!, null);
      return null;
    }
    if (t.ms > tally.slowest.ms) tally.slowest = { ms: t.ms, index: first + i };
    return t.answer;
  });
  const doubtful: number[] = [];
  answers.forEach((a, i) => {
    if (a === null) return;
    const c = compare(a, seen[i]!);
    if (c.kind === "same") tally.passed++;
    else if (c.kind === "inconclusive") count(tally.inconclusive, c.why);
    else doubtful.push(i);
  });
  await again(scene, probes, answers, doubtful, tally, fail);
  if (traced && !ruleset.items.some((i) => "text" in i && CHANCE.test(i.text)))
    await traceSome(scene, answerer, probes, answers, seen, tally, fail);
}

/** Rules of which nobody can tell beforehand which way they go: two packets need not meet the same ones. */
const CHANCE = /statistic|numgen|random/;

/** Looks at disagreements once more: all of them with patience, then each alone. */
async function again(
  scene: Scene,
  probes: Probe[],
  answers: (Answer | null)[],
  doubtful: number[],
  tally: Tally,
  fail: (i: number, kind: Failure["kind"], why: string, o: Observed | null, a: Answer | null) => void,
): Promise<void> {
  if (doubtful.length === 0) return;
  await scene.forget();
  const second = await scene.send(
    doubtful.map((i) => probes[i]!),
    true,
  );
  let alone = 0;
  for (const [k, i] of doubtful.entries()) {
    let o = second[k]!;
    let c = compare(answers[i]!, o);
    if (c.kind === "differs" && alone < ALONE) {
      alone++;
      await scene.forget();
      [o] = (await scene.send([probes[i]!], true)) as [Observed];
      c = compare(answers[i]!, o);
    }
    if (c.kind === "same") {
      tally.passed++;
      tally.unsteady++;
    } else if (c.kind === "inconclusive") count(tally.inconclusive, c.why);
    else fail(i, "verdict", c.why, o, answers[i]!);
  }
}

async function traceSome(
  scene: Scene,
  answerer: Answerer,
  probes: Probe[],
  answers: (Answer | null)[],
  seen: Observed[],
  tally: Tally,
  fail: (i: number, kind: Failure["kind"], why: string, o: Observed | null, a: Answer | null) => void,
): Promise<void> {
  const chosen = probes
    .flatMap((_, i) => (answers[i] && compare(answers[i], seen[i]!).kind === "same" ? [i] : []))
    .slice(0, TRACED);
  if (chosen.length === 0) return;
  await scene.forget();
  await startTrace(scene.agent, scene.world);
  const result = await scene.send(chosen.map((i) => probes[i]!));
  const events = await stopTrace(scene.agent, scene.world);
  const told = await answerer.ask(
    scene.files,
    chosen.map((i) => question(probes[i]!)),
    true,
  );
  for (const [k, i] of chosen.entries()) {
    const t = told[k]!;
    if ("error" in t) continue;
    const full = t.answer;
    const o = result[k]!;
    if (compare(full, o).kind !== "same") continue;
    const outcomes = full.outcomes.filter(
      (x) => x.client === o.client && x.steps !== undefined && !x.steps.some((s) => s.changed?.sport !== undefined),
    );
    if (outcomes.length === 0) continue;
    tally.traced++;
    const kernel = scene.world.namespaces.map((name, ns) =>
      packetsOf(events[name] ?? [], probes[i]!, scene.files[`${dir(ns)}/nft.txt`] ?? ""),
    );
    const differences = outcomes.map((x) => difference(x.steps!, kernel, x.client === "answered", scene));
    if (differences.every((d) => d !== null)) fail(i, "rules", differences[0]!, o, full);
  }
}

const dir = (ns: number): string => `nodes/${place(ns)}`;

/**
 * The first place where the kernel's account and the walk's part. Of answers only those of the asked program's peer:
 * an ICMP error's trace does not show which packet it is about.
 */
function difference(
  steps: NonNullable<Answer["outcomes"][number]["steps"]>,
  kernel: { reply: boolean; met: Met[] }[][],
  answered: boolean,
  scene: Scene,
): string | null {
  for (const ns of kernel.keys()) {
    for (const direction of answered ? (["forward", "reply"] as const) : (["forward"] as const)) {
      const there = kernel[ns]!.filter((p) => p.reply === (direction === "reply")).flatMap((p) => p.met);
      const told = metBy(steps, place(ns), direction, 0, scene.files);
      const d = firstDifference(there, told);
      if (d !== null) return `${place(ns)} ${direction}: ${d}`;
    }
  }
  return null;
}

function count(map: Map<string, number>, key: string): void {
  const k = key.replaceAll(/\b[0-9a-f]*:[0-9a-f:]+\b|\b\d+\.\d+\.\d+\.\d+\b|\b\d+\b/g, "N").slice(0, 160);
  map.set(k, (map.get(k) ?? 0) + 1);
}

/** A world whose cases could not be run at all. */
export function brokenWorld(n: number, e: unknown): Failure {
  const why = e instanceof Error ? (e.stack ?? e.message) : String(e);
  return {
    index: n * CASES_PER_WORLD,
    kind: "error",
    why,
    world: { namespaces: [], items: [] },
    ruleset: { items: [] },
    probe: null,
    observed: null,
    answer: null,
    files: {},
  };
}

/** A failure on a few lines. */
export function describe(f: Failure, seed: number): string {
  const p = f.probe;
  const what = p
    ? `${place(p.ns)} ${p.proto} ${p.to}${p.port === undefined ? "" : ` port ${p.port}`} from port ${p.sport}${p.mark ? ` mark ${p.mark}` : ""}${p.ttl ? ` ttl ${p.ttl}` : ""}${p.size ? ` size ${p.size}` : ""}`
    : "";
  return `${seed}:${f.index} ${f.kind} ${what}\n  ${f.why}${f.kind === "rules" && f.observed ? `\n  the kernel: ${show(f.observed)}` : ""}`;
}

/** Groups like failures: the words of the reason without its numbers. */
export function group(f: Failure): string {
  if (f.kind === "rules") return `rules ${f.why.replaceAll(/\S*\d\S*/g, "N")}`.slice(0, 120);
  if (f.kind === "error" || !f.answer || !f.observed) return `error ${f.why.split("\n")[0]!.slice(0, 120)}`;
  const told = [
    ...new Set(
      f.answer.outcomes.map((o) => `${o.client}${o.server ? "+server" : ""}/${o.disposition}: ${o.because.text}`),
    ),
  ].sort();
  const rest = told.join(" | ").replaceAll(/[0-9a-f]*:[0-9a-f:]+(\/\d+)?|\d+\.\d+\.\d+\.\d+(\/\d+)?|\d+/g, "N");
  return `${f.probe?.proto} v${f.probe?.family} kernel ${f.observed.client}${f.observed.server ? "+server" : f.observed.delivered ? "+delivered" : ""} ≠ ${rest}`.slice(
    0,
    200,
  );
}
