/** Real programs in a network namespace of their own, which is gone when they end. */
import { spawnSync } from "node:child_process";

function run(script: string, input: string): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync("unshare", ["-n", "sh", "-c", script], { input, encoding: "utf8" });
  return { status, stdout: stdout ?? "", stderr: stderr ?? "" };
}

/** Why `command` cannot run in a namespace here; null when it can. */
export function cannotRun(command: string): string | null {
  const { status, stderr } = run(command, "");
  return status === 0 ? null : `skipped: ${command} does not run in a namespace of its own: ${stderr.trim()}`;
}

/** Runs a shell script there and returns what it printed. Throws with its messages when it fails. */
export function inNamespace(script: string, input: string): string {
  const { status, stdout, stderr } = run(script, input);
  if (status !== 0) throw new Error(stderr);
  return stdout;
}
