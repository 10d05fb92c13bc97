/** One real cluster at a time on a machine: its namespaces have names of their own, whoever makes it. Who comes second waits. */
import { execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { tmpdir } from "node:os";

/** How long the tests of a cluster may wait for one another, in milliseconds. */
export const LOCK_PATIENCE_MS = 1_200_000;

const LOCK = join(tmpdir(), "kubewalk-cluster.lock");
const INTERVAL_MS = 1000;

const output = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });

/** Whether the namespaces of such a cluster have processes, also of one that somebody brought up by hand. */
function isRunning(): boolean {
  const names = output("ip", "netns", "list").match(/^kw-\S+/gm) ?? [];
  return names.some((name) => output("ip", "netns", "pids", name).trim() !== "");
}

/**
 * Waits until no other test has a cluster and none runs. Resolves to what gives the lock back; the kernel gives it back, too, when this
 * process ends, however it ends. Rejects when LOCK_PATIENCE_MS are over.
 */
export async function lockCluster(): Promise<() => void> {
  const until = Date.now() + LOCK_PATIENCE_MS;
  // It holds the lock as long as its input is open, which is as long as this process lives.
  const holder = spawn("flock", ["--timeout", String(LOCK_PATIENCE_MS / 1000), LOCK, "sh", "-c", "echo locked; cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const release = (): void => {
    holder.stdin.end();
  };
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once("data", () => resolve());
    holder.once("error", reject);
    holder.once("exit", (code) => reject(new Error(`flock ${LOCK} ended with ${code}: other tests have a cluster`)));
  });
  while (isRunning()) {
    if (Date.now() > until) {
      release();
      throw new Error("a cluster that no test made is running: cluster down");
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
  return release;
}
