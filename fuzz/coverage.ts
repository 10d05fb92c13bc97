/**
 * npm run fuzz:coverage -- [--cases N] [--seed S] [--lines]
 * How much of the engine the fuzzer's packets go through: V8's own block counts, by file of src/core/engine. Needs root.
 */
import { readdirSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Agent } from "./agent.ts";
import { inProcess } from "./answerer.ts";
import { CASES_PER_WORLD } from "./generate/index.ts";
import { emptyTally, runWorld } from "./pipeline.ts";
import { cannotRun } from "./requirements.ts";

const ENGINE = "src/core/engine/";

interface Range {
  startOffset: number;
  endOffset: number;
  count: number;
}

interface FileCoverage {
  branches: number;
  reached: number;
  missed: { at: number; text: string }[];
}

/** Where each file's code begins in a bundle that is not minified: esbuild writes its path before it. */
function filesOf(text: string): { from: number; path: string }[] {
  return [...text.matchAll(/^\/\/ (\S+\.ts)$/gm)].map((m) => ({ from: m.index, path: m[1]! }));
}

/** Counts branches (blocks that V8 counts apart) by file. */
function summarize(
  text: string,
  functions: { ranges: Range[]; isBlockCoverage: boolean }[],
): Map<string, FileCoverage> {
  const files = filesOf(text);
  const out = new Map<string, FileCoverage>();
  const fileAt = (offset: number): string => files.findLast((f) => f.from <= offset)?.path ?? "";
  const lineAt = (offset: number): number => text.slice(0, offset).split("\n").length;
  for (const f of functions) {
    for (const r of f.ranges) {
      const path = fileAt(r.startOffset);
      if (!path.startsWith(ENGINE) || path.includes("/testing/")) continue;
      let c = out.get(path);
      if (c === undefined) out.set(path, (c = { branches: 0, reached: 0, missed: [] }));
      c.branches++;
      if (r.count > 0) c.reached++;
      else
        c.missed.push({
          at: lineAt(r.startOffset),
          text: text.slice(r.startOffset, r.startOffset + 90).split("\n")[0]!,
        });
    }
  }
  return out;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { cases: { type: "string" }, seed: { type: "string" }, lines: { type: "boolean" } },
  });
  const why = cannotRun();
  if (why !== null) {
    console.log(`skipped: ${why}`);
    return 0;
  }
  const seed = Number(values.seed ?? 1);
  const worlds = Math.ceil(Number(values.cases ?? 20_000) / CASES_PER_WORLD);
  const self = fileURLToPath(import.meta.url);
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  const agent = new Agent();
  const tally = emptyTally();
  for (let n = 0; n < worlds; n++) {
    const options = { seed, filter: { only: null, without: new Set<string>() }, traceShare: 0.25 };
    await runWorld(agent, inProcess, n, options, tally);
    if ((n + 1) % 20 === 0) process.stderr.write(`${(n + 1) * CASES_PER_WORLD} cases\n`);
  }
  agent.close();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  const script = result.find((s) => s.url.endsWith(`${basename(dirname(self))}/${basename(self)}`));
  if (script === undefined) throw new Error("V8 has no counts of this script");
  const files = summarize(readFileSync(self, "utf8"), script.functions);
  let [all, reached] = [0, 0];
  for (const [path, c] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    all += c.branches;
    reached += c.reached;
    console.log(`${((100 * c.reached) / c.branches).toFixed(1).padStart(5)} %  ${c.reached}/${c.branches}  ${path}`);
    if (values.lines === true) for (const m of c.missed) console.log(`         ${m.at}: ${m.text}`);
  }
  // V8 does not count what was never compiled; files of types alone are among them.
  const known = new Set([...files.keys()].map((p) => basename(p)));
  const absent = engineFiles().filter((f) => !known.has(basename(f)));
  if (absent.length > 0) console.log(`nothing ran of: ${absent.join(", ")}`);
  console.log(
    `${reached} of ${all} branches of the engine (${((100 * reached) / all).toFixed(1)} %), ${tally.passed} cases passed, ${tally.failed} failed`,
  );
  return 0;
}

/** The engine's files, tests aside; none outside of a checkout. */
function engineFiles(): string[] {
  const list = readdirSync(ENGINE, { recursive: true, encoding: "utf8" });
  return list.filter((f) => f.endsWith(".ts") && !f.includes("test")).map((f) => join(ENGINE, f));
}

process.exitCode = await main().catch((e: unknown) => {
  console.error(`error: ${e instanceof Error ? e.message : String(e)}`);
  return 2;
});
