/** Worlds one after the other: build, probe, compare. */
import type { Agent } from "./agent.ts";
import type { Answerer } from "./answerer.ts";
import { place, type Files } from "./collect.ts";
import { compare, question, show } from "./compare.ts";
import { type Generated, CASES_PER_WORLD, PROBES_PER_RULESET, generate } from "./generate/index.ts";
import type { Filter } from "./generate/plan.ts";
import { Scene } from "./scene.ts";
import { reproduce, unlike } from "./shrink.ts";
import {
  type Met,
  difference as differs,
  isRedrawn,
  looksOf,
  metBy,
  packetsOf,
  startTrace,
  stopTrace,
} from "./trace.ts";
import type { Observed, Probe, Ruleset, World } from "./world.ts";
import type { Answer } from "../src/core/model/walk.ts";

/** A disagreement that lasted when it was looked at again. */
export interface Failure {
  index: number;
  kind: "verdict" | "rules" | "entries" | "error";
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
  /** The first of them; `failed` counts all. */
  failures: Failure[];
  failed: number;
  /** By reason. */
  inconclusive: Map<string, number>;
  /** Differed at first, agreed when sent alone and with patience. */
  unsteady: number;
  /** Probes whose rules were compared one by one, and those that could not be. */
  traced: number;
  /** Probes of which the entries of connection tracking were compared. */
  listed: number;
  /** Differed to the last, and agreed when the world was built anew: left by other packets. */
  anew: string[];
  refused: number;
  /** The walk that took longest: milliseconds, and which. */
  slowest: { ms: number; index: number };
}

export function emptyTally(): Tally {
  return {
    passed: 0,
    failures: [],
    failed: 0,
    inconclusive: new Map(),
    unsteady: 0,
    traced: 0,
    listed: 0,
    anew: [],
    refused: 0,
    slowest: { ms: 0, index: 0 },
  };
}

/** Failures of which all is kept: each holds a whole snapshot. */
const KEPT = 200;

export function addFailure(tally: Tally, f: Failure): void {
  tally.failed++;
  if (tally.failures.length < KEPT) tally.failures.push(f);
}

export interface Options {
  seed: number;
  filter: Filter;
  /** Share of batches of which some packets are traced rule by rule. */
  traceShare: number;
}

/** How many disagreements of one batch are sent once more, alone; beyond that the engine is broken anyway. */
const ALONE = 10;
/** How many disagreements of one world are looked at a third time. */
const ANEW = 8;
/** Probes traced in one batch. */
const TRACED = 16;

/** Runs all cases of one world. */
export async function runWorld(
  agent: Agent,
  answerer: Answerer,
  n: number,
  options: Options,
  tally: Tally,
): Promise<void> {
  const made: Generated = generate(options.seed, n, options.filter);
  const failures: Failure[] = [];
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
      failures,
      options.traceShare > 0 && (n + b) % Math.max(1, Math.round(1 / options.traceShare)) === 0,
    );
  }
  tally.refused += scene.refusals.length;
  // A third look, in a world that no other packet has been in.
  for (const [i, f] of failures.entries()) {
    if (i < ANEW && (f.kind === "verdict" || f.kind === "entries") && f.probe !== null) {
      if (!(await differsAnew(agent, f.world, f.ruleset.items, f.probe))) {
        tally.anew.push(describe(f, options.seed));
        if (f.kind === "verdict") tally.passed++;
        continue;
      }
    }
    addFailure(tally, f);
  }
}

/** How often a disagreement must show again in a world built anew: what a busy machine delays does not do so each time. */
const REPETITIONS = 2;

async function differsAnew(agent: Agent, world: World, rules: Ruleset["items"], probe: Probe): Promise<boolean> {
  for (let n = 0; n < REPETITIONS; n++) if ((await reproduce(agent, world, rules, probe, true)) === null) return false;
  return true;
}

async function runBatch(
  scene: Scene,
  answerer: Answerer,
  ruleset: Ruleset,
  probes: Probe[],
  first: number,
  tally: Tally,
  failures: Failure[],
  traced: boolean,
): Promise<void> {
  const files = scene.files;
  const fail = (i: number, kind: Failure["kind"], why: string, o: Observed | null, answer: Answer | null): void => {
    failures.push({
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
  const [{ seen, entries }, told] = await Promise.all([
    scene.sendAndList(probes),
    answerer.ask(files, probes.map(question), { entries: true }),
  ]);
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
  const left = told.map((t) => ("error" in t ? null : t.left));
  const strange = probes.flatMap((p, i) => {
    const o = seen[i]!;
    const answer = answers[i] ?? null;
    const ways = left[i] ?? null;
    if (ways === null || answer === null || compare(answer, o).kind !== "same") return [];
    tally.listed++;
    return unlike(ways, o, entries, p, ruleset) === null ? [] : [i];
  });
  await again(scene, probes, answers, doubtful, tally, fail);
  for (const i of strange.slice(0, ALONE)) {
    await scene.forget();
    const alone = await scene.sendAndList([probes[i]!], true);
    const o = alone.seen[0]!;
    const why =
      compare(answers[i]!, o).kind === "same" ? unlike(left[i]!, o, alone.entries, probes[i]!, ruleset) : null;
    if (why !== null) fail(i, "entries", why, o, answers[i]!);
  }
  // Two packets need not meet the same rules where chance decides: only walks that go one way are compared step by step.
  const plain = answers.map((a, i) => (left[i]?.length === 1 ? a : null));
  if (traced && ruleset.items.length > 0) await traceSome(scene, answerer, probes, plain, seen, tally, fail);
}

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
  const told = await answerer.ask(
    scene.files,
    chosen.map((i) => question(probes[i]!)),
    { steps: true },
  );
  const answerOf = (k: number): Answer | null => {
    const t = told[k]!;
    return "error" in t ? null : t.answer;
  };
  const first = await traceOnce(
    scene,
    chosen.map((i) => probes[i]!),
    chosen.map((_, k) => answerOf(k)),
    false,
  );
  for (const [k, i] of chosen.entries()) {
    let found = first[k]!;
    if (found.kind === "none") continue;
    tally.traced++;
    // Of a busy machine's trace the kernel throws away what nobody reads in time: a difference must show each time, also alone.
    for (let n = 0; n < REPETITIONS && found.kind === "differs"; n++)
      [found] = (await traceOnce(scene, [probes[i]!], [answerOf(k)], true)) as [Traced];
    if (found.kind === "differs") fail(i, "rules", found.why, found.observed, answerOf(k));
    else if (first[k]!.kind === "differs") tally.unsteady++;
  }
}

type Traced = { kind: "none" | "same" } | { kind: "differs"; why: string; observed: Observed };

/** Sends probes once more and compares the rules that they meet, one by one. */
async function traceOnce(
  scene: Scene,
  probes: Probe[],
  answers: (Answer | null)[],
  patient: boolean,
): Promise<Traced[]> {
  await scene.forget();
  await startTrace(scene.agent, scene.world);
  const result = await scene.send(probes, patient);
  const events = await stopTrace(scene.agent, scene.world);
  return probes.map((probe, k): Traced => {
    const full = answers[k] ?? null;
    const o = result[k]!;
    if (full === null || compare(full, o).kind !== "same") return { kind: "none" };
    const outcomes = full.outcomes.filter(
      (x) => x.client === o.client && x.steps !== undefined && !x.steps.some((s) => s.changed?.sport !== undefined),
    );
    if (outcomes.length === 0) return { kind: "none" };
    const kernel = scene.world.namespaces.map((name, ns) =>
      packetsOf(events[name] ?? [], probe, scene.files[`${dir(ns)}/nft.txt`] ?? ""),
    );
    const differences = outcomes.map((x) => difference(x.steps!, kernel, probe, o, scene));
    return differences.every((d) => d !== null)
      ? { kind: "differs", why: differences[0]!, observed: o }
      : { kind: "same" };
  });
}

const dir = (ns: number): string => `nodes/${place(ns)}`;

/**
 * The first place where the kernel's account and the walk's part. Of answers only those of the asked program's peer:
 * an ICMP error's trace does not show which packet it is about.
 */
function difference(
  steps: NonNullable<Answer["outcomes"][number]["steps"]>,
  kernel: { reply: boolean; met: Met[] }[][],
  probe: Probe,
  o: Observed,
  scene: Scene,
): string | null {
  const looks = looksOf(steps, probe, o.server);
  const how = { lost: o.client !== "answered", redrawn: isRedrawn(steps) };
  for (const ns of kernel.keys()) {
    for (const direction of o.client === "answered" ? (["forward", "reply"] as const) : (["forward"] as const)) {
      const there = kernel[ns]!.filter((p) => p.reply === (direction === "reply")).flatMap((p) => p.met);
      const told = metBy(steps, place(ns), direction, 0, scene.files, looks);
      const d = differs(there, told, how);
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
  return `${seed}:${f.index} ${f.kind} ${what}\n  ${f.why}${f.kind !== "verdict" && f.observed ? `\n  the kernel: ${show(f.observed)}` : ""}`;
}

/** Groups like failures: the words of the reason without its numbers. */
export function group(f: Failure): string {
  if (f.kind === "entries")
    return `entries ${f.probe?.proto} v${f.probe?.family} ${f.why.replaceAll(/\S*\d\S*/g, "N")}`.slice(0, 160);
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
