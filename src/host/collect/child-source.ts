/** Nodes that are asked through a program: a shell here, or ssh. */
import { spawn } from "node:child_process";
import { nodeScript } from "./node-script.ts";
import { NodeError, type NodeSource } from "./source.ts";

/** So much of what the program complains of is kept, in characters. */
const MOST_COMPLAINTS = 2000;

/** What the program said when it failed, in a line. */
const lastLines = (text: string): string => text.trim().split("\n").slice(-3).join("; ");

/**
 * Runs `command` with the script on its standard input; yields what it prints. Throws NodeError when the program is missing or fails.
 * When `signal` fires the program is ended.
 */
async function* output(
  command: readonly string[],
  script: string,
  signal: AbortSignal,
  env: Readonly<Record<string, string | undefined>>,
): AsyncGenerator<Buffer, void, undefined> {
  const [program, ...args] = command;
  const child = spawn(program!, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...env } });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-MOST_COMPLAINTS);
  });
  const ended = new Promise<{ code: number | null; error: Error | null }>((resolve) => {
    child.on("error", (error) => resolve({ code: null, error }));
    child.on("close", (code) => resolve({ code, error: null }));
  });
  // A program that ends before it has read everything says why by its status.
  child.stdin.on("error", () => undefined);
  child.stdin.end(script);
  const stop = (): void => {
    child.kill("SIGTERM");
    child.stdout.destroy();
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) yield chunk;
    const { code, error } = await ended;
    if (error !== null) throw new NodeError(`${program} cannot be run: ${error.message}`);
    if (code !== 0) throw new NodeError(lastLines(complaints) || `${program} ended with status ${code}`);
  } finally {
    signal.removeEventListener("abort", stop);
    if (child.exitCode === null) child.kill("SIGTERM");
  }
}

/** This machine; needs root to see other namespaces. */
export function localSource(env: Readonly<Record<string, string | undefined>>): NodeSource {
  return {
    label: "this machine",
    name: null,
    open: (signal) => output(["sh", "-s"], nodeScript(), signal, env),
  };
}

/** Root, or whoever may become it without a password. */
const BECOME_ROOT = 'if [ "$(id -u)" = 0 ]; then exec sh -s; else exec sudo -n sh -s; fi';

export interface SshOptions {
  /** Words of the command: `ssh`, or `ssh -F FILE` and the like. */
  command: readonly string[];
  /** Seconds for the connection to be made. */
  connectTimeout: number;
}

/** A machine that the user's own ssh reaches, by whatever name his configuration knows. No password is asked for. */
export function sshSource(
  target: string,
  { command, connectTimeout }: SshOptions,
  env: Readonly<Record<string, string | undefined>>,
): NodeSource {
  const options = ["-T", "-o", "BatchMode=yes", "-o", `ConnectTimeout=${connectTimeout}`];
  return {
    label: target,
    name: null,
    open: (signal) => output([...command, ...options, "--", target, BECOME_ROOT], nodeScript(), signal, env),
  };
}
