/**
 * Proof on a cluster that is brought up here: collected through its API, through ssh, on the nodes themselves and by hand, every snapshot
 * walks every probe of what was tried there afterwards; and the nodes are as they were, even after kubewalk was killed.
 * KUBEWALK_NETWORK and KUBEWALK_PROXY choose others than the defaults; KUBEWALK_KILLS how often it is killed.
 */
import { execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { bundleCommand } from "../scripts/bundle.mjs";
import { diff } from "../src/core/diff/diff.ts";
import { loadSnapshot } from "../src/host/snapshot/load.ts";
import { judgeDiff } from "./judge/diff.ts";
import { askEngine } from "./judge/engine.ts";
import { judge } from "./judge/judge.ts";
import { openRecording } from "./judge/recording.ts";
import { report } from "./judge/report.ts";

const REALCLUSTER = fileURLToPath(new URL("../../shared/realcluster", import.meta.url));
const ROLE = fileURLToPath(new URL("../deploy/collect-rbac.yaml", import.meta.url));
const TOOLS = [
  "containerd",
  "ctr",
  "runc",
  "iptables",
  "nft",
  "conntrack",
  "busybox",
  "openssl",
  "unzstd",
  "python3",
  "ssh",
  "ssh-keygen",
];
const SSHD = "/usr/sbin/sshd";
const { KUBEWALK_NETWORK: network = "flannel-vxlan", KUBEWALK_PROXY: proxy = "iptables" } = process.env;
const kills = Number(process.env["KUBEWALK_KILLS"] ?? 20);
const NODES = ["n1", "n2", "n3"];
const LIMIT_MS = 1_200_000;
const MOST_CAUSES = 15;
const IMAGE = "kubewalk.test/tools:1";
/** Who holds the role that ships, and nothing else. */
const COLLECTOR = "collector";

const output = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 2 ** 28 });

/** Why no cluster can be made here; null when one can. */
function obstacle(): string | null {
  if (!existsSync(join(REALCLUSTER, "cluster"))) return `no ${REALCLUSTER}`;
  if (process.getuid?.() !== 0) return "needs root";
  const path = (process.env["PATH"] ?? "").split(":");
  const missing = TOOLS.filter((t) => !path.some((dir) => existsSync(join(dir, t))));
  if (!existsSync(SSHD)) missing.push("sshd");
  if (missing.length > 0) return `missing ${missing.join(", ")}`;
  const names = output("ip", "netns", "list").match(/^kw-\S+/gm) ?? [];
  const running = names.some((name) => output("ip", "netns", "pids", name).trim() !== "");
  return running ? "a cluster is running already" : null;
}

const cannot = obstacle();
const home = cannot === null ? mkdtempSync(join(tmpdir(), "kubewalk-collect-")) : "";
const env = { ...process.env, KW_CLUSTER: join(home, "cluster"), KW_BIN: process.env["KW_BIN"] ?? join(home, "bin") };
const command = join(home, "kubewalk.mjs");

async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { env, maxBuffer: 2 ** 28, encoding: "utf8" });
  return stdout;
}

const cluster = (...args: string[]): Promise<string> => run(join(REALCLUSTER, "cluster"), ...args);
/** Within the control plane's node, from where the API server is reached. */
const kubewalk = (...args: string[]): Promise<string> => cluster("exec", "cp", process.execPath, command, ...args);

afterAll(() => {
  if (cannot !== null) return;
  execFileSync(join(REALCLUSTER, "cluster"), ["down"], { env, stdio: "ignore" });
  rmSync(home, { recursive: true, force: true });
}, 60_000);

/** What a node must still be after it was collected: rules, settings, files that others could trip over, mounts, processes. */
async function stateOf(node: string): Promise<string> {
  const text = await cluster(
    "exec",
    node,
    "sh",
    "-c",
    `iptables-save; ip6tables-save; nft list ruleset; sysctl -a -r ^net 2>/dev/null; cat /proc/modules; ip link; ip route; ip netns list
     find /run/netns /run/lock /etc/cni /var/lib/cni /dev/shm /tmp -xdev ! -path '${home}*' ! -path '/tmp/vitest*' -maxdepth 2 -printf '%p %s %m\\n' 2>/dev/null | sort
     find /run/containerd/io.containerd.runtime.v2.task -xdev -maxdepth 2 2>/dev/null | sort; cut -d' ' -f5 /proc/1/mountinfo | sort
     cat /proc/[0-9]*/comm 2>/dev/null | grep -vE '^(sh|bash|cat|find|sort|grep|cut|ip|nsenter|env|kworker.*|runc.*|kubewalk.*)$' | sort`,
  );
  return text
    .split("\n")
    .filter((line) => !/^#|nf_conntrack_count|tcp_fastopen_key|^\/tmp\/|\.partial/.test(line))
    .map((line) => line.replaceAll(/\[\d+:\d+\]|counter packets \d+ bytes \d+|last used \S+/g, ""))
    .join("\n");
}

const statesOf = async (): Promise<string[]> => {
  const states: string[] = [];
  for (const node of NODES) states.push(await stateOf(node));
  return states;
};

const podsThere = async (): Promise<string[]> =>
  (await cluster("kubectl", "get", "pods", "-A", "-o", "name"))
    .split("\n")
    .filter((line) => line !== "")
    .toSorted();

/** The same now as before, given a while for kubelet to take down what was deleted. */
async function expectUnchanged(before: { nodes: string[]; pods: string[] }): Promise<void> {
  await expect.poll(podsThere, { timeout: 30_000, interval: 500 }).toEqual(before.pods);
  for (const [i, node] of NODES.entries())
    await expect.poll(() => stateOf(node), { timeout: 30_000, interval: 1000, message: node }).toBe(before.nodes[i]);
}

/** Beside what was collected, what lies between and beyond the nodes, which only the recorder can see here. */
function complete(archive: string, name: string, recorded: string): string {
  const dir = join(home, name);
  mkdirSync(dir);
  output("tar", "-xzf", archive, "-C", dir);
  const snapshot = join(dir, "snapshot");
  for (const each of ["cp", "fabric", "outside"])
    cpSync(join(recorded, "snapshot/nodes", each), join(snapshot, "nodes", each), { recursive: true });
  cpSync(join(recorded, "snapshot/fabric.json"), join(snapshot, "fabric.json"));
  cpSync(join(recorded, "truth.json"), join(dir, "truth.json"));
  const info = JSON.parse(readFileSync(join(snapshot, "snapshot.json"), "utf8")) as { nodes: string[] };
  expect(info.nodes).toEqual(NODES);
  writeFileSync(join(snapshot, "snapshot.json"), JSON.stringify({ ...info, nodes: ["cp", ...info.nodes] }));
  return dir;
}

/** sshd on loopback in each node's namespaces; ssh reaches it by a configuration like anyone's. */
async function withSsh<T>(work: (command: string) => Promise<T>): Promise<T> {
  const at = (name: string): string => join(home, name);
  for (const key of ["key", "host-key"]) output("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at(key));
  writeFileSync(
    at("sshd_config"),
    `Port 2222\nListenAddress 127.0.0.1\nHostKey ${at("host-key")}\nAuthorizedKeysFile ${at("key.pub")}\nStrictModes no\nUsePAM no\nPidFile none\n`,
  );
  writeFileSync(
    at("ssh_config"),
    `Host n*\n  User root\n  IdentityFile ${at("key")}\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n` +
      `  ProxyCommand ${join(REALCLUSTER, "cluster")} exec %n busybox nc 127.0.0.1 2222\n`,
  );
  const daemons = [];
  for (const node of NODES) {
    await cluster("exec", node, "mkdir", "-p", "/run/sshd");
    const pid = readFileSync(join(env.KW_CLUSTER, node, "holder.pid"), "utf8").trim();
    const args = ["-t", pid, "-m", "-n", "-p", "-u", "--", SSHD, "-D", "-f", at("sshd_config")];
    daemons.push(spawn("nsenter", args, { stdio: "ignore" }));
    const listens = (): Promise<boolean> =>
      cluster("exec", node, "sh", "-c", "busybox nc -w 1 127.0.0.1 2222 </dev/null | grep -q SSH").then(
        () => true,
        () => false,
      );
    await expect.poll(listens, { timeout: 10_000 }).toBe(true);
  }
  try {
    return await work(`ssh -F ${at("ssh_config")}`);
  } finally {
    // nsenter has forked into the node's process namespace: the daemon is its child.
    for (const { pid } of daemons) execFileSync("sh", ["-c", `kill $(pgrep -P ${pid}) ${pid} 2>/dev/null; true`]);
    for (const node of NODES) await cluster("exec", node, "rmdir", "/run/sshd");
  }
}

/** Kills kubewalk without mercy, after so many milliseconds. */
function killAfter(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const holder = readFileSync(join(env.KW_CLUSTER, "cp/holder.pid"), "utf8").trim();
    const args = [
      "-t",
      holder,
      "-m",
      "-n",
      "--",
      process.execPath,
      command,
      "collect",
      "--image",
      IMAGE,
      "-o",
      join(home, "killed.tar.gz"),
    ];
    const child = spawn("nsenter", args, {
      stdio: "ignore",
      env: { ...env, KUBECONFIG: join(env.KW_CLUSTER, "admin.conf") },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), ms);
    child.on("exit", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

test(
  `${network}, ${proxy}: every way of collecting tells the same, and changes nothing`,
  async (context) => {
    if (cannot !== null) {
      console.warn(`skipped: ${cannot}`);
      return context.skip(cannot);
    }
    await bundleCommand(home);
    await cluster("up", "--network", network, "--proxy", proxy);
    await cluster("workload");
    // What the recorder sets before it tries anything is set before anything is compared.
    await run(join(REALCLUSTER, "record"), join(home, "first"), "--no-truth");
    await cluster("kubectl", "apply", "-f", ROLE);
    await cluster(
      "kubectl",
      "create",
      "clusterrolebinding",
      "c",
      "--clusterrole=kubewalk-collect",
      `--user=${COLLECTOR}`,
    );
    await cluster(
      "kubectl",
      "create",
      "rolebinding",
      "c",
      "-n",
      "kube-system",
      "--role=kubewalk-collect",
      `--user=${COLLECTOR}`,
    );
    const before = { nodes: await statesOf(), pods: await podsThere() };

    const archive = (name: string): string => join(home, `${name}.tar.gz`);
    const said = await kubewalk(
      "collect",
      "--as",
      COLLECTOR,
      "--image",
      IMAGE,
      "-o",
      archive("api"),
      "--output",
      "json",
    );
    const made = JSON.parse(said) as {
      nodes: { node: string; state: string; podsNotFound: string[] }[];
      missing: object;
    };
    expect(made.nodes.map((node) => [node.node, node.state, node.podsNotFound])).toEqual(
      NODES.map((n) => [n, "whole", []]),
    );
    expect(made.missing).toEqual({});
    await expectUnchanged(before);

    const kubeconfig = join(env.KW_CLUSTER, "admin.conf");
    // In the control plane's network alone: what ssh calls must see the processes of every node.
    await withSsh((ssh) =>
      run(
        "nsenter",
        "--net=/run/netns/kw-cp",
        process.execPath,
        command,
        "collect",
        "--kubeconfig",
        kubeconfig,
        "--ssh",
        "n3",
        "n1",
        "n2",
        "--ssh-command",
        ssh,
        "-o",
        archive("ssh"),
      ),
    );
    const pieces = join(home, "pieces");
    mkdirSync(pieces);
    for (const node of NODES)
      await cluster("exec", node, process.execPath, command, "collect", "--local", "-o", archive(`local-${node}`));
    for (const node of NODES) {
      const script = join(home, "collect.sh");
      writeFileSync(script, await kubewalk("collect", "--script"));
      await cluster("exec", node, "sh", "-c", `busybox ash ${script} >${join(pieces, `${node}.tar`)}`);
    }
    const lists = join(home, "cluster-lists");
    mkdirSync(lists);
    for (const each of ["nodes", "pods", "services", "endpointslices", "networkpolicies"])
      writeFileSync(join(lists, `${each}.json`), await cluster("kubectl", "get", each, "-A", "-o", "json"));
    await kubewalk("assemble", pieces, lists, "-o", archive("assembled"));
    await expectUnchanged(before);

    for (let i = 0; i < kills; i++) await killAfter(300 + (i * 4000) / kills);
    await kubewalk("collect", "--cleanup", "--as", COLLECTOR);
    await expectUnchanged(before);

    await run(join(REALCLUSTER, "record"), join(home, "record"), "--traces", "10");
    for (const name of ["api", "ssh", "assembled"]) {
      const recording = openRecording(complete(archive(name), name, join(home, "record")));
      const verdict = await judge(recording, askEngine);
      expect(verdict.probes.probes).toBeGreaterThan(500);
      if (verdict.disagreements.length > 0) expect.fail(`${name}:\n${report(recording, verdict, MOST_CAUSES)}`);
      const snapshot = await loadSnapshot(recording.snapshot);
      expect(snapshot.problems, name).toEqual([]);
      if (name !== "assembled") expect(judgeDiff(diff(snapshot)), name).toEqual([]);
      const recorded = await loadSnapshot(join(home, "record/snapshot"));
      expect(snapshot.namespaces.map((ns) => ns.place)).toEqual(recorded.namespaces.map((ns) => ns.place));
      const missing = (all: typeof snapshot): string[] =>
        all.namespaces.flatMap((ns) => [...ns.missing.keys()].map((aspect) => `${ns.place} ${aspect}`));
      expect(missing(snapshot)).toEqual(missing(recorded));
    }
    for (const node of NODES) {
      const alone = await loadSnapshot(archive(`local-${node}`));
      expect(alone.problems).toEqual([]);
      expect(alone.nodes).toEqual([node]);
    }
  },
  LIMIT_MS,
);
