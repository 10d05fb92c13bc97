/**
 * npm run fuzz:mutants -- [--cases N] [--seed S] [--only REGEXP] [--out FILE]
 * Breaks a copy of the engine in each of the ways of list.ts and lets the fuzzer look at it: each must be noticed within N cases
 * (20,000 unless told). Needs root. Exit status 0 only when all were.
 */
import { execFile } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve as resolvePath } from "node:path";
import { parseArgs, promisify } from "node:util";
import { build, type Plugin } from "esbuild";
import { cannotRun } from "../requirements.ts";
import { type Mutant, MUTANTS } from "./list.ts";

const ENGINE = resolvePath("src/core/engine");

/** Puts the changed text in the place of the file's own. Throws when the text to change is not there exactly once. */
function changing(m: Mutant): Plugin {
  const path = join(ENGINE, m.file);
  const before = readFileSync(path, "utf8");
  if (before.split(m.find).length !== 2) throw new Error(`${m.file} does not hold exactly once: ${m.find}`);
  return {
    name: "mutant",
    setup: (b) => b.onLoad({ filter: /\.ts$/ }, (args) => (args.path === path ? changed() : undefined)),
  };
  function changed(): { contents: string; loader: "ts" } {
    // A function, so that `$` in the text means nothing.
    return { contents: before.replace(m.find, () => m.replace), loader: "ts" };
  }
}

/** What the fuzzer says of one mutant: how many cases until it noticed; null when it did not. */
async function tryOne(m: Mutant, dir: string, cases: number, seed: number): Promise<string | null> {
  const file = join(dir, "mutant.mjs");
  await build({
    entryPoints: ["fuzz/run.ts"],
    outfile: file,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    logLevel: "error",
    plugins: [changing(m)],
  });
  const args = ["--cases", String(cases), "--seed", String(seed), "--shrink", "0", "--until-failure"];
  const run = promisify(execFile)(process.execPath, [file, ...args], { maxBuffer: 64 << 20 });
  const done = await run.then(
    ({ stdout }) => ({ status: 0, stdout }),
    (e: { code?: number; stdout?: string }) => ({ status: e.code ?? 3, stdout: e.stdout ?? "" }),
  );
  if (done.status > 1) throw new Error(`${m.name}: the fuzzer ended with ${done.status}`);
  const seen = /^seed \d+, (\d+) cases/m.exec(done.stdout)?.[1] ?? "?";
  const first = /^DIFFERS.*/m.exec(done.stdout)?.[0] ?? "";
  return done.status === 1 ? `${seen} cases  ${first}` : null;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      cases: { type: "string" },
      seed: { type: "string" },
      only: { type: "string" },
      out: { type: "string" },
    },
  });
  const why = cannotRun();
  if (why !== null) {
    console.log(`skipped: ${why}`);
    return 0;
  }
  const only = new RegExp(values.only ?? "");
  const chosen = MUTANTS.filter((m) => only.test(m.name));
  // Inside the checkout, so that bare imports find node_modules.
  const dir = mkdtempSync(resolvePath("node_modules/.mutants-"));
  let missed = 0;
  try {
    for (const m of chosen) {
      const noticed = await tryOne(m, dir, Number(values.cases ?? 20_000), Number(values.seed ?? 1));
      if (noticed === null) missed++;
      const line = `${noticed === null ? "MISSED " : "noticed"}  ${m.name} (${m.file})${noticed === null ? "" : `: ${noticed}`}`;
      console.log(line);
      if (values.out !== undefined) appendFileSync(values.out, `${line}\n`);
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  console.log(`${chosen.length - missed} of ${chosen.length} mutants noticed`);
  return missed === 0 ? 0 : 1;
}

process.exitCode = await main().catch((e: unknown) => {
  console.error(`error: ${e instanceof Error ? e.message : String(e)}`);
  return 2;
});
