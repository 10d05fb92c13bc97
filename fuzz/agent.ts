/** The process that owns one pipeline's namespaces (agent/agent.py): one request, one answer, in order. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve as resolvePath } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RawEntry } from "./entries.ts";
import type { Probe, ServerSpec } from "./world.ts";

export interface Job {
  ns: string;
  argv: string[];
  stdin?: string;
}

export interface JobResult {
  status: number;
  out: string;
  err: string;
}

/** What the agent says of one probe; see agent/probe.py. */
export interface RawResult {
  errno?: string;
  at?: string;
  connected?: boolean;
  answer?: string;
  after?: string;
  sender?: string;
  delivered?: string;
  unsent?: string;
  icmp?: [origin: number, type: number, code: number];
}

/** One event of the kernel's packet trace; see agent/trace.py. */
export interface TraceEvent {
  family: string;
  id: string;
  type: "policy" | "return" | "rule";
  table?: string;
  chain?: string;
  handle?: number;
  verdict?: string;
  to?: string;
  policy?: string;
  mark?: number;
  /** IP header and transport header in hex; on the first event of each base chain. */
  net?: string;
  transport?: string;
  iif?: number;
  oif?: number;
  lost?: string;
}

/** Beside this file; in a bundle (scripts/run-ts.mjs) below the working directory, the repository's root. */
function scriptPath(): string {
  const beside = fileURLToPath(new URL("./agent/agent.py", import.meta.url));
  return existsSync(beside) ? beside : resolvePath("fuzz/agent/agent.py");
}

export class Agent {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting: { resolve: (x: never) => void; reject: (e: Error) => void }[] = [];
  #stderr = "";

  /** Starts the process. `script` is the path of agent.py. Needs root. */
  constructor(script: string = scriptPath()) {
    this.#child = spawn("python3", ["-u", script], { stdio: "pipe" });
    this.#child.stderr.on("data", (d: Buffer) => (this.#stderr = (this.#stderr + d.toString()).slice(-4000)));
    createInterface({ input: this.#child.stdout }).on("line", (line) => {
      const next = this.#waiting.shift();
      const answer = JSON.parse(line) as { ok?: unknown; error?: string };
      if (answer.error !== undefined) next?.reject(new Error(`agent: ${answer.error}`));
      else next?.resolve(answer.ok as never);
    });
    this.#child.on("exit", (code) => {
      for (const w of this.#waiting.splice(0)) w.reject(new Error(`agent ended with ${code}: ${this.#stderr}`));
    });
    this.#child.stdin.on("error", () => {});
  }

  #ask<T>(request: Record<string, unknown>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    });
  }

  /** Makes namespaces. They are gone when the agent ends, or at destroy(). */
  create(names: string[]): Promise<void> {
    return this.#ask({ op: "create", names });
  }
  /** Takes a namespace's name away; it stays open here. */
  unname(name: string): Promise<void> {
    return this.#ask({ op: "unname", name });
  }
  destroy(): Promise<void> {
    return this.#ask({ op: "destroy" });
  }
  /** Runs commands inside namespaces, at most `width` at a time; results in order. */
  run(jobs: Job[], width = 4): Promise<JobResult[]> {
    return this.#ask({ op: "run", jobs, width });
  }
  /** Writes settings ([namespace, path below /proc/sys, value], a `*` for every interface); answers the refused ones. */
  writeSysctls(settings: [string, string, string][]): Promise<[string, string, string][]> {
    return this.#ask({ op: "write-sysctls", settings });
  }
  /** Settings of every namespace as sysctl(8) prints them. */
  readSysctls(
    names: readonly string[],
    conf: { ipv4: readonly string[]; ipv6: readonly string[] },
  ): Promise<Record<string, string>> {
    return this.#ask({ op: "read-sysctls", names, conf });
  }
  /** Opens server sockets; answers what went wrong, or null. */
  serve(servers: (ServerSpec & { ns: string })[]): Promise<string | null> {
    return this.#ask({ op: "serve", servers });
  }
  /**
   * Sends all probes at once; stops after `quiet` seconds without an event, or `limit` seconds. With `entries` also what connection
   * tracking then holds, by namespace.
   */
  probes(
    probes: (Omit<Probe, "ns"> & { ns: string })[],
    quiet: number,
    limit: number,
    entries = false,
  ): Promise<{ results: RawResult[]; entries: Record<string, RawEntry[]> }> {
    return this.#ask({ op: "probes", probes, quiet, limit, entries });
  }
  /** Empties connection tracking and route exceptions everywhere. */
  forget(): Promise<void> {
    return this.#ask({ op: "forget" });
  }
  traceOn(): Promise<void> {
    return this.#ask({ op: "trace-on" });
  }
  traceOff(): Promise<Record<string, TraceEvent[]>> {
    return this.#ask({ op: "trace-off" });
  }
  /** Ends the process; the kernel removes its namespaces. */
  close(): void {
    this.#child.stdin.end();
    this.#child.kill("SIGKILL");
  }
}
