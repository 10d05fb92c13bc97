/**
 * Holds what `kubewalk walk` says against recordings of real clusters.
 *
 *   node scripts/run-ts.mjs test/judge/run.ts RECORDING_DIR… [--max N] [--only TEXT] [--skipped] [--command]
 *
 * Prints the disagreements by cause with two samples each, and one line of totals for each recording. `--max` bounds the causes shown
 * (20), `--only` keeps those whose words include TEXT, `--skipped` lists what could not be compared.
 * The engine's source is asked; with `--command` it is `bin/kubewalk walk --batch`, as it was built. Exits 1 when anything disagrees.
 */
import { parseArgs } from "node:util";
import { askCommand } from "./command.ts";
import { askEngine } from "./engine.ts";
import { judge } from "./judge.ts";
import { openRecording } from "./recording.ts";
import { report } from "./report.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    max: { type: "string", default: "20" },
    only: { type: "string" },
    skipped: { type: "boolean", default: false },
    command: { type: "boolean", default: false },
  },
});
if (positionals.length === 0) {
  console.error(
    "usage: node scripts/run-ts.mjs test/judge/run.ts RECORDING_DIR… [--max N] [--only TEXT] [--skipped] [--command]",
  );
  process.exit(2);
}
let disagreements = 0;
for (const dir of positionals) {
  const recording = openRecording(dir);
  const verdict = await judge(recording, values.command ? askCommand : askEngine);
  const only = values.only;
  if (only !== undefined) verdict.disagreements = verdict.disagreements.filter((d) => JSON.stringify(d).includes(only));
  disagreements += verdict.disagreements.length;
  console.log(report(recording, verdict, Number(values.max)));
  if (values.skipped) for (const s of verdict.traces.skipped) console.log(`  not compared: ${s}`);
}
process.exitCode = disagreements === 0 ? 0 : 1;
