// Runs a TypeScript entry on Node 20: bundles it in memory with esbuild, then imports the result.
import { build } from "esbuild";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [entry, ...rest] = process.argv.slice(2);
if (!entry) {
  console.error("usage: node scripts/run-ts.mjs ENTRY.ts [ARG …]");
  process.exit(2);
}
const root = new URL("..", import.meta.url).pathname;
// Inside the checkout, so that bare imports find node_modules.
const out = await mkdtemp(join(root, "node_modules", ".run-"));
const file = join(out, "entry.mjs");
await build({
  entryPoints: [entry],
  outfile: file,
  bundle: true,
  platform: "node",
  format: "esm",
  loader: { ".sh": "text", ".awk": "text" },
  packages: "external",
  sourcemap: "inline",
  logLevel: "error",
});
process.argv = [process.argv[0], entry, ...rest];
process.on("exit", () => {});
try {
  await import(pathToFileURL(file).href);
} finally {
  await rm(out, { recursive: true, force: true });
}
