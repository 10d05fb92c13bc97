/**
 * Writes a made cluster as a snapshot's folder, to try the command on it.
 * Usage: node scripts/run-ts.mjs bench/generate/write-cluster.ts FOLDER NODES PODS_PER_NODE SERVICES. 500 nodes of 30 pods with 1,000
 * Services take 350,000 files and 5 GB.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { generateCluster } from "./cluster.ts";

const [folder, ...numbers] = process.argv.slice(2);
const [nodes, podsPerNode, services] = numbers.map(Number);
if (folder === undefined || nodes === undefined || podsPerNode === undefined || services === undefined) {
  console.error("usage: write-cluster.ts FOLDER NODES PODS_PER_NODE SERVICES");
  process.exit(2);
}
const files = generateCluster({ nodes, podsPerNode, services });
let last = "";
for (const path of files.paths()) {
  const full = join(folder, path);
  const dir = dirname(full);
  if (dir !== last) mkdirSync((last = dir), { recursive: true });
  writeFileSync(full, files.read(path) ?? "");
}
