/**
 * npm run fuzz -- --cases N --seed S [--jobs J] [--only FEATURE[,FEATURE]] [--without FEATURE[,FEATURE]] [--keep DIR] [--case SEED:INDEX] [--shrink N] [--like REGEX]
 * Sends random packets through random networks on this machine's kernel and compares what happens with kubewalk's walk.
 * Exit status 0 only when nothing differed. Needs root; without it says so and exits 0.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { parentPort } from "node:worker_threads";
import { Agent } from "./agent.ts";
import { serveAnswers, ThreadAnswerer } from "./answerer.ts";
import { type KernelCase, writeCase } from "./case-file.ts";
import { question } from "./compare.ts";
import { CASES_PER_WORLD } from "./generate/index.ts";
import {
  type Failure,
  type Tally,
  describe,
  addFailure,
  brokenWorld,
  emptyTally,
  group,
  runWorld,
} from "./pipeline.ts";
import { Progress } from "./progress.ts";
import { reproduce, shrink } from "./shrink.ts";
import { cannotRun } from "./requirements.ts";

/** After so many worlds a pipeline gets a new process and a new thread. */
const WORLDS_PER_AGENT = 100;

function renewed(agents: Agent[], old: Agent): Agent {
  old.close();
  const agent = new Agent();
  agents.splice(agents.indexOf(old), 1, agent);
  return agent;
}

const ERROR_COST = "/proc/sys/net/ipv4/route/error_cost";

/** Runs with that setting of the machine at 0 (ip_error would answer five packets a source and then one a second), and puts it back. */
async function withoutErrorCost<T>(work: () => Promise<T>): Promise<T> {
  const before = existsSync(ERROR_COST) ? readFileSync(ERROR_COST, "utf8").trim() : "0";
  if (before === "0") return work();
  const restore = (): void => writeFileSync(ERROR_COST, before);
  writeFileSync(ERROR_COST, "0");
  process.once("exit", restore);
  try {
    return await work();
  } finally {
    process.off("exit", restore);
    restore();
  }
}

function integer(text: string | undefined, fallback: number, name: string): number {
  if (text === undefined) return fallback;
  const n = Number(text);
  if (!Number.isSafeInteger(n) || n < 0) throw new Error(`--${name}: ${text} is no number`);
  return n;
}

const USAGE = `usage: npm run fuzz -- [--cases N] [--seed S] [--jobs J] [--case SEED:INDEX]
  --cases N          how many cases, 5000 unless told       --seed S    which ones; the same seed gives the same cases
  --jobs J           worlds at once, 3 unless told          --case S:I  the world of one case, as a report names it
  --only A,B         only these features                    --without A,B   all but these
  --trace SHARE      rules compared in this share of batches, 0.25 unless told
  --shrink K         how many kinds of failure to make small   --like REGEXP   only kinds that match
  --keep FOLDER      where small cases are written          --verbose   progress, and cases whose rules differ
  --from N           begins with that case of the seed, to go on where a run ended
  --log FILE         a line for every 10,000 cases is added to it (JSON)   --until-failure   ends with the first case that differs
Exit status: 0 when nothing differs, 1 when something does, 2 when it was asked wrongly.`;

function options(): ReturnType<typeof parse> | string {
  try {
    const found = parse();
    return found.values.help === true ? "" : found;
  } catch (e) {
    return e instanceof Error ? e.message : String(e);
  }
}

// The return type is the options' own.
function parse() {
  return parseArgs({
    options: {
      help: { type: "boolean", short: "h" },
      cases: { type: "string" },
      seed: { type: "string" },
      jobs: { type: "string" },
      only: { type: "string" },
      without: { type: "string" },
      keep: { type: "string" },
      case: { type: "string" },
      shrink: { type: "string" },
      like: { type: "string" },
      trace: { type: "string" },
      from: { type: "string" },
      log: { type: "string" },
      "until-failure": { type: "boolean" },
      verbose: { type: "boolean" },
    },
  });
}

async function main(): Promise<number> {
  const asked = options();
  if (typeof asked === "string") {
    (asked === "" ? console.log : console.error)(asked === "" ? USAGE : `error: ${asked}\n${USAGE}`);
    return asked === "" ? 0 : 2;
  }
  const { values } = asked;
  const why = cannotRun();
  if (why !== null) {
    console.log(`skipped: ${why}`);
    return 0;
  }
  const filter = {
    only: values.only === undefined ? null : new Set(values.only.split(",")),
    without: new Set(values.without?.split(",")),
  };
  let seed = integer(values.seed, 1, "seed");
  let cases = integer(values.cases, 5000, "cases");
  let from = Math.floor(integer(values.from, 0, "from") / CASES_PER_WORLD);
  let wanted: number | null = null;
  if (values.case !== undefined) {
    const m = /^(\d+):(\d+)$/.exec(values.case);
    if (!m) throw new Error(`--case: ${values.case} is not SEED:INDEX`);
    seed = Number(m[1]);
    wanted = Number(m[2]);
    from = Math.floor(wanted / CASES_PER_WORLD);
    cases = 1;
  }
  const worlds = Math.ceil(cases / CASES_PER_WORLD);
  const jobs = Math.min(worlds, Math.max(1, integer(values.jobs, 3, "jobs")));
  const keep = values.keep ?? "test/kernel-cases";
  const agents: Agent[] = [];
  const tally = emptyTally();
  const stop = (): void => {
    for (const a of agents) a.close();
    process.exit(130);
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const start = performance.now();
  const progress = values.log === undefined ? null : new Progress(values.log, seed, start);
  let shown = 0;
  await withoutErrorCost(async () => {
    let next = from;
    const one = async (): Promise<void> => {
      let agent = new Agent();
      const answerer = new ThreadAnswerer(fileURLToPath(import.meta.url));
      agents.push(agent);
      for (let done = 1; next < from + worlds; done++) {
        if (values["until-failure"] === true && tally.failed > 0) break;
        const n = next++;
        try {
          await runWorld(agent, answerer, n, { seed, filter, traceShare: Number(values.trace ?? 0.25) }, tally);
        } catch (e) {
          // The agent is of no use any more; what went wrong is a failure, and the next world gets a new one.
          addFailure(tally, brokenWorld(n, e));
          agent = renewed(agents, agent);
        }
        // At once, so that a run that is stopped has said what it found.
        for (; shown < tally.failures.length; shown++)
          console.error(`differs: ${describe(tally.failures[shown]!, seed)}`);
        // What a process gathers over hours is thrown away with it.
        if (done % WORLDS_PER_AGENT === 0) {
          agent = renewed(agents, agent);
          answerer.close();
        }
        progress?.worlds(next - from, tally);
        if (values.verbose)
          console.log(
            `world ${n} done after ${((performance.now() - start) / 1000).toFixed(1)} s; slowest walk ${tally.slowest.ms.toFixed(0)} ms (${seed}:${tally.slowest.index})`,
          );
      }
      answerer.close();
    };
    await Promise.all(Array.from({ length: jobs }, one));
    const seconds = (performance.now() - start) / 1000;
    if (wanted !== null) tally.failures = tally.failures.filter((f) => f.index === wanted);
    await report(tally, agents[0]!, {
      seed,
      keep,
      shrinks: integer(values.shrink, 3, "shrink"),
      like: new RegExp(values.like ?? ""),
      verbose: values.verbose === true || wanted !== null,
    });
    const known = [...tally.inconclusive.values()].reduce((a, b) => a + b, 0);
    const failed = wanted === null ? tally.failed : tally.failures.length;
    for (const a of tally.anew) console.log(`agreed when built anew: ${a}`);
    const total = tally.passed + failed + known;
    console.log(
      `seed ${seed}, ${total} cases in ${seconds.toFixed(1)} s: ${(total / seconds).toFixed(0)} cases/s, ${jobs} jobs; rules compared for ${tally.traced}, entries for ${tally.listed}; ${tally.unsteady} agreed at the second look, ${tally.anew.length} when built anew; ${known} inconclusive (${((100 * known) / Math.max(1, total)).toFixed(2)} %); ${tally.refused} lines refused; slowest walk ${tally.slowest.ms.toFixed(0)} ms (${seed}:${tally.slowest.index})`,
    );
  });
  for (const a of agents) a.close();
  const failed = wanted === null ? tally.failed : tally.failures.length;
  console.log(`${tally.passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function report(
  tally: Tally,
  agent: Agent,
  o: { seed: number; keep: string; shrinks: number; like: RegExp; verbose: boolean },
): Promise<void> {
  for (const [why, n] of [...tally.inconclusive].sort((a, b) => b[1] - a[1]).slice(0, 40))
    console.log(`inconclusive ${n}: ${why}`);
  const groups = new Map<string, Failure[]>();
  for (const f of tally.failures) groups.set(group(f), [...(groups.get(group(f)) ?? []), f]);
  const sorted = [...groups].sort((a, b) => b[1].length - a[1].length);
  for (const [name, list] of sorted) {
    console.log(`\nDIFFERS ${list.length}: ${name}`);
    for (const f of list.slice(0, o.verbose ? 5 : 1)) console.log(describe(f, o.seed));
  }
  for (const [, list] of sorted.filter(([name]) => o.like.test(name)).slice(0, o.shrinks)) {
    const f = list.find((x) => x.kind === "verdict" || x.kind === "entries");
    if (f) await keepSmall(f, agent, o);
    else if (o.verbose && list[0]!.observed) keepWhole(list[0]!, o);
  }
}

/** Writes a failure as it stands. */
function keepWhole(f: Failure, o: { seed: number; keep: string }): void {
  const c: KernelCase = {
    format: "kubewalk.kernel-case/v1",
    title: f.why,
    found: `${o.seed}:${f.index}`,
    kernel: release().replace(/-.*/, ""),
    question: question(f.probe!),
    observed: f.observed!,
    probe: f.probe!,
    world: f.world,
    ruleset: f.ruleset,
    snapshot: f.files,
  };
  console.log(`\nWHOLE ${writeCase(o.keep, `${o.seed}-${f.index}`, c)}`);
}

/** Shrinks a failure and writes it as a case file. */
async function keepSmall(f: Failure, agent: Agent, o: { seed: number; keep: string }): Promise<void> {
  let r = await reproduce(agent, f.world, f.ruleset.items, f.probe!, true);
  r ??= await reproduce(agent, f.world, f.ruleset.items, f.probe!, true);
  if (r === null) {
    console.log(`\n${o.seed}:${f.index} agrees when built anew`);
    return;
  }
  const small = await shrink(agent, r, 250);
  const c: KernelCase = {
    format: "kubewalk.kernel-case/v1",
    title: small.why,
    found: `${o.seed}:${f.index}`,
    kernel: release().replace(/-.*/, ""),
    question: question(small.probe),
    observed: small.observed,
    probe: small.probe,
    world: small.world,
    ruleset: { items: small.rules },
    snapshot: small.files,
  };
  const path = writeCase(o.keep, `${o.seed}-${f.index}`, c);
  console.log(`\nSMALL ${path}\n  ${JSON.stringify(c.question)}\n  ${small.why}`);
  for (const i of [...small.world.items.filter((x) => x.feature !== "base"), ...small.rules])
    console.log(
      `  ${i.ns} ${"text" in i ? ("chain" in i ? `${i.backend} v${i.family} ${i.table} -A ${i.chain} ${i.text}` : i.text) : JSON.stringify({ ...i, ns: undefined, feature: undefined, phase: undefined })}`,
    );
}

// The same module is what each pipeline's thread runs.
if (parentPort === null) {
  process.exitCode = await main().catch((e: unknown) => {
    console.error(`error: ${e instanceof Error ? e.message : String(e)}`);
    return 2;
  });
} else serveAnswers(parentPort);
