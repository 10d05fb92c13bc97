// Packs recordings of real clusters into examples/: node scripts/run-ts.mjs scripts/pack-example.ts RECORDING …
// A RECORDING is a folder with a snapshot/ in it; the example is named after it.
import { mkdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { loadSnapshot } from "../src/host/snapshot/load.ts";
import { packSnapshot } from "../src/host/snapshot/pack.ts";

const recordings = process.argv.slice(2);
if (recordings.length === 0) {
  console.error("usage: node scripts/run-ts.mjs scripts/pack-example.ts RECORDING …");
  process.exit(2);
}
mkdirSync("examples", { recursive: true });
for (const recording of recordings) {
  const archive = join("examples", `${basename(recording)}.tar.gz`);
  const files = await packSnapshot(join(recording, "snapshot"), archive);
  const { namespaces, problems } = await loadSnapshot(archive);
  if (problems.length > 0) throw problems[0]!;
  console.log(`${archive}: ${files} files, ${namespaces.length} namespaces, ${statSync(archive).size} bytes`);
}
