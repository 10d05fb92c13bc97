/** A real cluster for tests, its nodes in namespaces of this machine: brought up, entered, compared with itself, taken down. */
import { execFile, execFileSync, spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { lockCluster } from "./cluster-lock.ts";

const REALCLUSTER = fileURLToPath(new URL("../../../shared/realcluster", import.meta.url));
const TOOLS =
  "containerd ctr runc iptables nft conntrack ipset ipvsadm busybox openssl unzstd ethtool python3 ssh ssh-keygen flock";
export const SSHD = "/usr/sbin/sshd";

/** Why no cluster can be made here; null when one can. */
export function obstacle(): string | null {
  if (!existsSync(join(REALCLUSTER, "cluster"))) return `no ${REALCLUSTER}`;
  if (process.getuid?.() !== 0) return "needs root";
  const path = (process.env["PATH"] ?? "").split(":");
  const missing = TOOLS.split(" ").filter((tool) => !path.some((dir) => existsSync(join(dir, tool))));
  if (!existsSync(SSHD)) missing.push("sshd");
  return missing.length > 0 ? `missing ${missing.join(", ")}` : null;
}

/** How a program ended. */
export interface Ended {
  status: number | null;
  out: string;
  err: string;
}

const MOST_OUTPUT = 2 ** 28;

export class RealCluster {
  /** A folder for whatever the test makes; it is gone after `down`. */
  readonly home = mkdtempSync(join(tmpdir(), "kubewalk-collect-"));
  readonly nodes = ["n1", "n2", "n3"];
  readonly env: NodeJS.ProcessEnv;

  private constructor(private readonly release: () => void) {
    this.env = {
      ...process.env,
      // Where the built command is put, with its links for kubectl.
      PATH: `${join(this.home, "bin")}:${process.env["PATH"]}`,
      KW_CLUSTER: join(this.home, "cluster"),
      KW_BIN: process.env["KW_BIN"] ?? join(this.home, "programs"),
    };
  }

  /** Waits for other tests' clusters, then brings one up with its workload. Rejects with what the programs said. */
  static async up(network: string, proxy: string): Promise<RealCluster> {
    const cluster = new RealCluster(await lockCluster());
    try {
      await cluster.own("up", "--network", network, "--proxy", proxy);
      await cluster.own("workload");
      return cluster;
    } catch (error) {
      cluster.down();
      throw error;
    }
  }

  /** Ends it and removes all that was made. */
  down(): void {
    execFileSync(join(REALCLUSTER, "cluster"), ["down"], { env: this.env, stdio: "ignore" });
    rmSync(this.home, { recursive: true, force: true });
    this.release();
  }

  /** Runs a program; resolves to what it printed. Rejects when it fails. */
  async run(program: string, ...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(program, args, { env: this.env, maxBuffer: MOST_OUTPUT });
    return stdout;
  }

  private own(...args: string[]): Promise<string> {
    return this.run(join(REALCLUSTER, "cluster"), ...args);
  }

  /** Runs a program in a node's namespaces (`cp`: the control plane's); resolves to what it printed. Rejects when it fails. */
  on(node: string, ...command: string[]): Promise<string> {
    return this.own("exec", node, ...command);
  }

  /** The same, when it may fail. */
  async tried(node: string, ...command: string[]): Promise<Ended> {
    try {
      return { status: 0, out: await this.on(node, ...command), err: "" };
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string };
      return { status: typeof code === "number" ? code : null, out: stdout ?? "", err: stderr ?? "" };
    }
  }

  kubectl(...args: string[]): Promise<string> {
    return this.own("kubectl", ...args);
  }

  /** Applies objects as kubectl reads them. */
  async apply(text: string): Promise<void> {
    const child = execFile(join(REALCLUSTER, "cluster"), ["kubectl", "apply", "-f", "-"], { env: this.env });
    child.stdin?.end(text);
    await new Promise<void>((resolve, reject) => {
      let said = "";
      child.stderr?.on("data", (chunk: string) => (said += chunk));
      child.on("error", reject);
      child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(said))));
    });
  }

  /** Records it as ../shared/realcluster does, into `name` below home. Resolves to that folder. */
  async record(name: string, ...args: string[]): Promise<string> {
    const dir = join(this.home, name);
    await this.run(join(REALCLUSTER, "record"), dir, ...args);
    return dir;
  }

  get kubeconfig(): string {
    return join(this.home, "cluster/admin.conf");
  }

  /** What ssh can call to get a connection into a node. */
  get entrance(): string {
    return `${join(REALCLUSTER, "cluster")} exec`;
  }

  private holder(node: string): string {
    return readFileSync(join(this.home, "cluster", node, "holder.pid"), "utf8").trim();
  }

  /** Starts a program in a node's mounts and network, as a child that can be killed. */
  start(node: string, namespaces: readonly string[], program: string, ...args: string[]): ChildProcess {
    return spawn("nsenter", ["-t", this.holder(node), ...namespaces, "--", program, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...this.env, KUBECONFIG: this.kubeconfig },
    });
  }

  /** Process id, in the control plane's eyes, of a daemon of a node: `kubelet`. */
  async signal(node: string, daemon: string, name: "STOP" | "CONT"): Promise<void> {
    const pid = readFileSync(join(this.home, "cluster", node, `${daemon}.pid`), "utf8").trim();
    await this.on(node, "kill", `-${name}`, pid);
  }

  /** What a node must still be after it was collected: rules, settings, files that others could trip over, mounts, processes. */
  private async stateOf(node: string): Promise<string> {
    const text = await this.on(
      node,
      "sh",
      "-c",
      `iptables-save; ip6tables-save; nft list ruleset; sysctl -a -r ^net 2>/dev/null; cat /proc/modules; ip link; ip route; ip netns list
     find /run/netns /run/lock /etc/cni /var/lib/cni /dev/shm /tmp -xdev ! -path '${this.home}*' ! -path '/tmp/*' -maxdepth 2 -printf '%p %s %m\\n' 2>/dev/null | sort
     find /run/containerd/io.containerd.runtime.v2.task -xdev -maxdepth 2 2>/dev/null | sort; cut -d' ' -f5 /proc/1/mountinfo | sort
     cat /proc/[0-9]*/comm 2>/dev/null | grep -vE '^(sh|bash|cat|find|sort|grep|cut|ip|nsenter|env|kworker.*|runc.*|kubewalk.*)$' | sort`,
    );
    return text
      .split("\n")
      .filter((line) => !/^#|nf_conntrack_count|tcp_fastopen_key|^\/tmp\/|\.partial/.test(line))
      .map((line) => line.replaceAll(/\[\d+:\d+\]|counter packets \d+ bytes \d+|last used \S+/g, ""))
      .join("\n");
  }

  /** All that must not change: of every node, and the pods that there are. */
  async state(): Promise<Record<string, string>> {
    const pods = (await this.kubectl("get", "pods", "-A", "-o", "name")).split("\n").toSorted().join("\n");
    const state: Record<string, string> = { pods };
    for (const node of this.nodes) state[node] = await this.stateOf(node);
    return state;
  }
}
