/**
 * How long parseIptablesSave takes for kube-proxy's rules, and how much memory its result holds.
 * Usage: node scripts/run-ts.mjs bench/parse-iptables.ts [SERVICES [ENDPOINTS [NODES]]], default 10000 15 200, or a save's FILE.
 * Each line is a process of its own: a command reads a save once, with cold code.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseIptablesSave } from "../src/core/parse/iptables-save.ts";
import { generateKubeProxyIptables } from "./generate/kube-proxy-iptables.ts";

const RUNS = 5;

/** Reads `file` once and prints one line. */
function measure(file: string): void {
  const text = readFileSync(file, "utf8");
  const before = process.memoryUsage.rss();
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const ruleset = parseIptablesSave(text, file, "ip");
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  const grown = (process.memoryUsage.rss() - before) / 1e6;
  const rules = ruleset.tables.flatMap((table) => table.chains).reduce((n, chain) => n + chain.rules.length, 0);
  console.log(
    `${rules} rules, ${(text.length / 1e6).toFixed(1)} MB: ${seconds.toFixed(3)} s, ${((cpu.user + cpu.system) / 1e6).toFixed(3)} s of CPU in all threads, ${grown.toFixed(0)} MB more resident memory`,
  );
}

/** `measure` in fresh processes, over text that is made once. */
function run(services: number, endpointsPerService: number, nodes: number): void {
  const dir = mkdtempSync(join(tmpdir(), "kubewalk-bench-"));
  try {
    const file = join(dir, "iptables-save.txt");
    writeFileSync(file, generateKubeProxyIptables({ services, endpointsPerService, nodes }));
    const self = fileURLToPath(import.meta.url);
    for (let i = 0; i < RUNS; i++) execFileSync(process.execPath, [self, file], { stdio: "inherit" });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const [first = "10000", endpoints = "15", nodes = "200"] = process.argv.slice(2);
if (/^[0-9]+$/.test(first)) run(Number(first), Number(endpoints), Number(nodes));
else measure(first);
