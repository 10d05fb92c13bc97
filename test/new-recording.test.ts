/**
 * Proof on a cluster that nobody has seen before: brought up here, recorded, judged, then broken, recorded and judged again. Judged are
 * walks, what the networks intend, and the doctor. KUBEWALK_NETWORK, KUBEWALK_PROXY, KUBEWALK_FABRIC, KUBEWALK_NODES and KUBEWALK_FAULT
 * choose others than the defaults; KUBEWALK_FAULTS, separated by commas, the faults that only the doctor is asked about.
 */
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { diff } from "../src/core/diff/diff.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";
import { judgeDiff } from "./judge/diff.ts";
import { askEngine } from "./judge/engine.ts";
import { judgeFindings } from "./judge/findings.ts";
import { judge } from "./judge/judge.ts";
import { openRecording } from "./judge/recording.ts";
import { report } from "./judge/report.ts";
import { lockCluster, LOCK_PATIENCE_MS } from "./support/cluster-lock.ts";

const REALCLUSTER = fileURLToPath(new URL("../../shared/realcluster", import.meta.url));
const TOOLS = [
  "containerd",
  "ctr",
  "runc",
  "iptables",
  "nft",
  "conntrack",
  "ipset",
  "ipvsadm",
  "busybox",
  "openssl",
  "unzstd",
  "ethtool",
  "python3",
  "flock",
];
const {
  KUBEWALK_NETWORK: network = "flannel-vxlan",
  KUBEWALK_PROXY: proxy = "iptables",
  KUBEWALK_FABRIC: fabric = "l2",
  KUBEWALK_NODES: nodes = "3",
} = process.env;
const more = process.env["KUBEWALK_FAULTS"]?.split(",").filter((each) => each !== "");
const fault = process.env["KUBEWALK_FAULT"] ?? (network === "flannel-vxlan" ? "vtep-fdb-missing" : "forwarding-off");
/** Faults that every network can have, and those of a tunnel. */
const ANYWHERE = [
  "stale-udp-conntrack",
  "forwarding-off",
  "forward-dropped",
  "wrong-target-port",
  "route-shadowed",
  "rule-shadows",
];
const OF_TUNNELS = [
  "vtep-neighbour-wrong",
  "tunnel-filtered",
  "hairpin-off",
  "bridge-netfilter-off",
  "duplicate-pod-address",
];
const faults = more ?? [...ANYWHERE, ...(network === "flannel-vxlan" ? OF_TUNNELS : [])];
const LIMIT_MS = 900_000;
const MOST_CAUSES = 15;

/** Why no cluster can be made here; null when one can. */
function obstacle(): string | null {
  if (!existsSync(join(REALCLUSTER, "cluster"))) return `no ${REALCLUSTER}`;
  if (process.getuid?.() !== 0) return "needs root";
  const path = (process.env["PATH"] ?? "").split(":");
  const missing = TOOLS.filter((t) => !path.some((dir) => existsSync(join(dir, t))));
  return missing.length > 0 ? `missing ${missing.join(", ")}` : null;
}

const cannot = obstacle();
const home = cannot === null ? mkdtempSync(join(tmpdir(), "kubewalk-cluster-")) : "";
const state = join(home, "cluster");
const environment = { ...process.env, KW_CLUSTER: state, KW_BIN: process.env["KW_BIN"] ?? join(home, "bin") };
const interrupt = new AbortController();
let failed = false;
let unlock: (() => void) | null = null;

/** Runs one of realcluster's programs; rejects with what it printed. Interrupted when the time is up, so that it cleans up behind itself. */
async function run(program: string, ...args: string[]): Promise<void> {
  await promisify(execFile)(join(REALCLUSTER, program), args, {
    env: environment,
    signal: interrupt.signal,
    killSignal: "SIGINT",
    maxBuffer: 2 ** 28,
  });
}

async function recordAndJudge(name: string, traces: number): Promise<void> {
  const dir = join(home, name);
  await run("record", dir, "--traces", String(traces));
  const recording = openRecording(dir);
  const verdict = await judge(recording, askEngine);
  expect(verdict.probes.probes).toBeGreaterThan(0);
  if (verdict.disagreements.length > 0) expect.fail(`${name}:\n${report(recording, verdict, MOST_CAUSES)}`);
  const snapshot = await loadSnapshot(recording.snapshot);
  expect(judgeFindings(snapshot, name === "healthy" ? null : name, recording.truth), name).toEqual([]);
  if (name === "healthy") expect(judgeDiff(diff(snapshot))).toEqual([]);
}

/** Records without asking anyone, and examines. `broken` null: nothing is wrong. */
async function recordAndExamine(name: string, broken: string | null): Promise<void> {
  const dir = join(home, name);
  await run("record", dir, "--no-truth");
  expect(judgeFindings(await loadSnapshot(join(dir, "snapshot")), broken, null), name).toEqual([]);
  rmSync(dir, { recursive: true, force: true });
}

/**
 * Sticky Services remember whom the last recording's probes were sent to, and when, in a clock that no snapshot shows: what the next
 * recording meets would be known to nobody.
 */
async function forgetAffinity(): Promise<void> {
  const flush = "for f in /proc/net/xt_recent/*; do [ ! -e $f ] || echo / >$f; done";
  for (let i = 1; i <= Number(nodes); i++) await run("cluster", "exec", `n${i}`, "sh", "-c", flush);
}

beforeAll(async () => {
  if (cannot === null) unlock = await lockCluster();
}, LOCK_PATIENCE_MS + 10_000);

afterAll(() => {
  if (unlock === null) return;
  interrupt.abort();
  execFileSync(join(REALCLUSTER, "cluster"), ["down"], { env: environment, stdio: "ignore" });
  unlock();
  rmSync(join(home, "bin"), { recursive: true, force: true });
  if (!failed) rmSync(home, { recursive: true, force: true });
}, 60_000);

test(
  `a new cluster: ${network}, ${proxy}, ${fabric}, ${nodes} nodes; then ${fault}`,
  async (context) => {
    if (cannot !== null) {
      console.warn(`skipped: ${cannot}`);
      return context.skip(cannot);
    }
    failed = true;
    await run("cluster", "up", "--network", network, "--proxy", proxy, "--fabric", fabric, "--nodes", nodes);
    await run("cluster", "workload");
    await recordAndJudge("healthy", 20);
    await forgetAffinity();
    await run("break", fault);
    await recordAndJudge(fault, 10);
    await run("break", "--mend", fault);
    for (const each of faults) {
      await run("break", each);
      await recordAndExamine(each, each);
      await run("break", "--mend", each);
    }
    await recordAndExamine("mended", null);
    failed = false;
  },
  LIMIT_MS,
);
