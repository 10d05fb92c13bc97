/** The process that holds a lab: started, and asked. It is agent/agent.py, which tells what it understands. */
import { spawn } from "node:child_process";
import { connect, Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { LabError } from "./parts.ts";
import { shippedFile } from "./shipped.ts";
import { labFolder, processId, type ProcessId, type VmState } from "./state.ts";

/** A request's answer, by the agent's word for it. */
interface Reply {
  ok?: unknown;
  error?: string;
}

/** One connection to an agent; requests on it are answered in order. */
export class AgentClient {
  readonly #socket: Duplex;
  readonly #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];
  readonly #lab: string;

  constructor(socket: Duplex, lab: string) {
    this.#socket = socket;
    this.#lab = lab;
    const lines = createInterface({ input: socket, crlfDelay: Number.POSITIVE_INFINITY });
    lines.on("line", (line) => {
      const reply = JSON.parse(line) as Reply;
      const asked = this.#waiting.shift();
      if (reply.error === undefined) asked?.resolve(reply.ok);
      else asked?.reject(new LabError(`lab ${this.#lab}: ${reply.error}`));
    });
    // What is not answered when the connection ends never will be.
    lines.on("close", () => this.#gone());
    lines.on("error", () => this.#gone());
    socket.on("error", () => this.#gone());
  }

  #gone(): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new LabError(`lab ${this.#lab} is gone`));
  }

  /** Asks; rejects with LabError for what the agent refuses, and when the lab is gone. `T` is what the request answers. */
  ask<T>(request: { op: string; [field: string]: unknown }): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(new LabError(`lab ${this.#lab} is gone`));
        return;
      }
      this.#waiting.push({ resolve: (value) => resolve(value as T), reject });
      this.#socket.write(`${JSON.stringify(request)}\n`);
    });
  }

  close(): void {
    this.#socket.end();
    if (this.#socket instanceof Socket) this.#socket.unref();
  }
}

/** Connects to the agent of a lab. Rejects with LabError when it does not answer. */
export function connectAgent(lab: string): Promise<AgentClient> {
  const path = join(labFolder(lab), "agent.sock");
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => resolve(new AgentClient(socket, lab)));
    socket.once("error", (error) => reject(new LabError(`lab ${lab} does not answer: ${error.message}`)));
  });
}

/** An agent that runs, and lives until `commit` no longer than this process. */
export interface StartedAgent {
  client: AgentClient;
  /** Lets it live on. */
  commit(): Promise<void>;
}

/** An agent's process that has nothing to do as yet: it starts while others compute what it will be asked. */
export interface WarmAgent {
  /**
   * Gives it a lab, whose folder is there. `known` is called with its process before it makes anything, and with its machine, if it has one of its
   * own. Rejects with LabError with what it said when it cannot work.
   */
  begin(lab: string, known: (agent: ProcessId, vm?: VmState) => void): Promise<StartedAgent>;
  /** Whether it makes its namespaces in a machine of its own. */
  readonly isVm?: boolean;
  /** Ends it, if it was given nothing. */
  dismiss(): void;
}

/** Starts an agent's process. It ends with this one. */
export function warmAgent(): WarmAgent {
  const child = spawn("python3", ["-B", "-E", "-s", "-S", shippedFile("agent/agent.py")], {
    // What it lives by is the fourth: Node.js closes the first when the process that it started ends, which is not the one that stays.
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true,
    cwd: "/",
  });
  const { stdout, stderr } = child;
  const lifeline = child.stdio[3];
  if (stdout === null || stderr === null || !(lifeline instanceof Socket))
    throw new LabError("the lab's process has no pipes");
  lifeline.on("error", () => undefined);
  const said: string[] = [];
  createInterface({ input: stderr }).on("line", (line) => said.push(line));
  const failed = new Promise<never>((_, reject) => {
    child.on("error", () => reject(new LabError("python3 is not here: a lab needs Python 3")));
  });
  failed.catch(() => undefined);
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await Promise.race([lines.next(), failed]);
    if (done === true) throw new LabError(`the lab's process cannot start: ${said.at(-1) ?? "it said nothing"}`);
    const word = JSON.parse(value) as Record<string, unknown>;
    if (typeof word["error"] === "string") throw new LabError(`the lab's process cannot start: ${word["error"]}`);
    return word;
  };
  const dismiss = (): void => {
    for (const stream of [lifeline, stdout, stderr]) stream.destroy();
    child.unref();
  };
  return {
    dismiss,
    async begin(lab, known) {
      const pid = Number((await next())["pid"]);
      known(processId(pid));
      lifeline.write(`go ${pid} ${lab} ${labFolder(lab)}\n`);
      await next();
      stdout.destroy();
      stderr.destroy();
      const client = await connectAgent(lab);
      return {
        client,
        async commit() {
          await client.ask({ op: "commit" });
          dismiss();
        },
      };
    },
  };
}
