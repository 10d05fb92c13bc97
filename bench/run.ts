/**
 * The benchmark: `npm run bench -- [--quick] [--doctor] [--lab] [-o json]`. What it measures, and how, is in README.md beside this file.
 * Nothing is asserted: it prints figures and ratios, and exits 0 whatever they are.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { doctorOnce, measureDoctor, type DoctorFigures } from "./doctor.ts";
import type { ClusterSize } from "./generate/cluster.ts";
import { kernelUnavailable, measureKernel, type KernelFigures } from "./kernel.ts";
import { measureLabs, type LabFigures } from "./lab.ts";
import { loadOnce, measureLoading, type LoadFigures } from "./loading.ts";
import { median, type Quantiles } from "./stats.ts";
import { measureWalks, type WalkFigures } from "./walks.ts";
import { makeWorld, type Network, type ProxyMode } from "./world.ts";

/** Microseconds that a walk may take at the median: what the kernel's first packet was found to cost (project's first issue, proof 6). */
const LIMIT: Record<ProxyMode, number> = { iptables: 61, nftables: 14 };
/** How many times faster than iptables-nft-restore a save must load, and in how many MiB. */
const LOAD_RATIO = 8;
const LOAD_MIB = 1024;

interface Sizes {
  services: number;
  flows: number;
  rounds: number;
  kernelFlows: number;
  loadServices: number;
  loadRuns: number;
}

const FULL: Sizes = {
  services: 10_000,
  flows: 20_000,
  rounds: 5,
  kernelFlows: 3000,
  loadServices: 10_000,
  loadRuns: 3,
};
const QUICK: Sizes = { services: 1000, flows: 2000, rounds: 1, kernelFlows: 300, loadServices: 500, loadRuns: 1 };

/** Clusters that doctor examines, and what it may take. */
const CLUSTERS: readonly ClusterSize[] = [
  { nodes: 3, podsPerNode: 10, services: 30 },
  { nodes: 50, podsPerNode: 30, services: 200 },
  { nodes: 500, podsPerNode: 30, services: 1000 },
];
const DOCTOR_SECONDS = 60;
const DOCTOR_MIB = 4096;

interface ModeFigures {
  mode: ProxyMode;
  network: Network;
  /** The median round by its p50. */
  walks: WalkFigures;
  rounds: number;
  limit: number;
}

interface Report {
  format: "kubewalk.bench/v1";
  sizes: Sizes;
  node: string;
  walks: ModeFigures[];
  kernel: ({ mode: ProxyMode } & KernelFigures)[];
  kernelWhyNot: string | null;
  loading: LoadFigures;
}

function walksOf(mode: ProxyMode, network: Network, sizes: Sizes): ModeFigures {
  const made = makeWorld(mode, network, sizes.services);
  const rounds = Array.from({ length: sizes.rounds }, (_, i) => measureWalks(made, sizes.flows, i + 1));
  const middle = median(rounds.map((r) => r.outcome.p50));
  return {
    mode,
    network,
    walks: rounds.find((r) => r.outcome.p50 === middle)!,
    rounds: rounds.length,
    limit: LIMIT[mode],
  };
}

const MODES: readonly ProxyMode[] = ["iptables", "nftables"];
const NETWORKS: readonly Network[] = ["vxlan", "host-gw"];

/** The figures of one cluster, from a process of its own: what walks of another cluster taught the compiler is no part of them. */
function inChild(mode: ProxyMode, network: Network, quick: boolean): ModeFigures {
  const out = execFileSync(
    process.execPath,
    [fileURLToPath(import.meta.url), "--walks", mode, network, ...(quick ? ["--quick"] : [])],
    { maxBuffer: 1 << 26 },
  );
  return JSON.parse(out.toString()) as ModeFigures;
}

function measure(sizes: Sizes, say: (text: string) => void): Report {
  const whyNot = kernelUnavailable();
  const walks: ModeFigures[] = [];
  const kernel: Report["kernel"] = [];
  for (const mode of MODES) {
    for (const network of NETWORKS) {
      say(`walks: ${mode}, ${network}`);
      walks.push(inChild(mode, network, sizes === QUICK));
    }
    if (whyNot === null) {
      say(`kernel: ${mode}`);
      kernel.push({
        mode,
        ...measureKernel(mode, sizes.services, sizes.kernelFlows, join(process.cwd(), "bench", "run.ts")),
      });
    }
  }
  say("loading a large save");
  const loading = measureLoading(sizes.loadServices, 15, sizes.loadRuns);
  return { format: "kubewalk.bench/v1", sizes, node: process.version, walks, kernel, kernelWhyNot: whyNot, loading };
}

const number = (n: number, digits: number): string => n.toFixed(digits);
const row = (cells: readonly string[]): string =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(52) : cell.padStart(10))).join("");
const spread = (q: Quantiles): string[] => [number(q.p50, 1), number(q.p90, 1), number(q.p99, 1)];

function print(report: Report): string {
  const lines = [row(["microseconds", "p50", "p90", "p99", "limit", "limit/p50"])];
  for (const { mode, network, walks, limit } of report.walks) {
    const name = `${mode}, ${network}`;
    const measured = (what: string, q: Quantiles): void => {
      lines.push(row([`${name}: ${what}`, ...spread(q), String(limit), `${number(limit / q.p50, 1)}x`]));
    };
    measured("walk, a branch of all", walks.branch);
    measured("walk, one branch alone", walks.outcome);
    measured("all branches, per outcome", walks.explored);
    lines.push(row([`${name}: first walk by its rules`, ...spread(walks.first)]));
    lines.push(row([`${name}: whole answer`, ...spread(walks.answer)]));
  }
  for (const k of report.kernel) {
    const own = report.walks.filter((w) => w.mode === k.mode).map((w) => w.walks.outcome.p50);
    lines.push(row([`kernel, ${k.mode}: first packet`, ...spread(k.first)]));
    lines.push(row([`kernel, ${k.mode}: second packet`, ...spread(k.second)]));
    lines.push(row([`kernel, ${k.mode}: same way without rules`, ...spread(k.bare)]));
    lines.push(
      `  first packet / walk, medians: ${own.map((p50) => `${number(k.first.p50 / p50, 2)}x`).join(", ")} (${NETWORKS.join(", ")})`,
    );
  }
  if (report.kernelWhyNot !== null) lines.push(`the kernel was not measured: ${report.kernelWhyNot}`);
  const l = report.loading;
  lines.push(
    "",
    `${l.rules} rules, ${number(l.megabytes, 1)} MB: loaded in ${number(l.seconds, 2)} s (parser ${number(l.parseSeconds, 2)} s), peak ${number(l.peakMiB, 0)} MiB (limit ${LOAD_MIB}); making every rule an object ${number(l.allRulesSeconds, 2)} s more`,
  );
  lines.push(
    l.restoreSeconds === null
      ? `iptables-nft-restore --test was not run: ${l.restoreWhyNot ?? ""}`
      : `iptables-nft-restore --test: ${number(l.restoreSeconds, 2)} s, ${number(l.restoreSeconds / l.seconds, 1)} times as long (wanted: ${LOAD_RATIO})`,
  );
  return lines.join("\n");
}

function examine(quick: boolean, say: (text: string) => void): DoctorFigures[] {
  return (quick ? CLUSTERS.slice(0, 1) : CLUSTERS).map((size) => {
    say(`doctor: ${size.nodes} nodes, ${size.podsPerNode} pods on each, ${size.services} Services`);
    return measureDoctor(size);
  });
}

function printDoctor(figures: readonly DoctorFigures[]): string {
  const lines = [row(["doctor on a healthy cluster", "MB", "load s", "checks s", "whole s", "MiB", "alarms"])];
  for (const f of figures) {
    const name = `${f.nodes} nodes, ${f.podsPerNode} pods on each, ${f.services} Services`;
    const seconds = [f.loadSeconds, f.doctorSeconds, f.loadSeconds + f.doctorSeconds].map((s) => number(s, 2));
    lines.push(row([name, number(f.megabytes, 1), ...seconds, number(f.peakMiB, 0), String(f.alarms)]));
  }
  lines.push(`limits, for the last of three: ${DOCTOR_SECONDS} s and ${DOCTOR_MIB} MiB`);
  return lines.join("\n");
}

function printLabs(figures: readonly LabFigures[]): string {
  const lines = [row(["labs, whole commands", "runs", "up s", "limit", "down s", "limit"])];
  for (const f of figures)
    lines.push(
      row([f.scenario, String(f.runs), number(f.up, 2), String(f.upLimit), number(f.down, 2), String(f.downLimit)]),
    );
  return lines.join("\n");
}

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === "--doctor-once") {
    const [nodes, podsPerNode, services] = args.slice(1).map(Number);
    return doctorOnce({ nodes: nodes!, podsPerNode: podsPerNode!, services: services! });
  }
  if (args[0] === "--load") return loadOnce(args[1]!);
  if (args[0] === "--walks") {
    console.log(
      JSON.stringify(walksOf(args[1] as ProxyMode, args[2] as Network, args[3] === "--quick" ? QUICK : FULL)),
    );
    return;
  }
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean" },
      doctor: { type: "boolean" },
      lab: { type: "boolean" },
      output: { type: "string", short: "o" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help === true || (values.output !== undefined && values.output !== "json" && values.output !== "text")) {
    console.log("usage: npm run bench -- [--quick] [--doctor] [--lab] [-o json|text]");
    process.exitCode = values.help === true ? 0 : 2;
    return;
  }
  const say = (text: string): void => void process.stderr.write(`… ${text}\n`);
  if (values.doctor === true) {
    const doctor = examine(values.quick === true, say);
    console.log(
      values.output === "json"
        ? JSON.stringify({ format: "kubewalk.bench-doctor/v1", node: process.version, doctor }, null, 1)
        : printDoctor(doctor),
    );
    return;
  }
  if (values.lab === true) {
    const lab = await measureLabs(values.quick === true, say);
    if (typeof lab === "string") console.error(`labs were not measured: ${lab}`);
    else if (values.output === "json")
      console.log(JSON.stringify({ format: "kubewalk.bench-lab/v1", node: process.version, lab }, null, 1));
    else console.log(printLabs(lab));
    return;
  }
  const report = measure(values.quick === true ? QUICK : FULL, say);
  console.log(values.output === "json" ? JSON.stringify(report, null, 1) : print(report));
}

await main(process.argv.slice(2));
