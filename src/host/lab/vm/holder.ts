/** The process that holds a virtual machine (agent/vm/holder.py), started. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { LabError } from "../parts.ts";
import { shippedFile } from "../shipped.ts";
import { processId, type ProcessId } from "../state.ts";
import type { VmTools } from "./needs.ts";

/** A machine that runs, and lives until `commit` no longer than this process. */
export interface StartedVm {
  /** Release of the kernel in it. */
  kernel: string;
  /** Lets it live on. */
  commit(): Promise<void>;
}

/** The last lines of a file, for a message; nothing when there is none. */
function tail(path: string, lines: number): string {
  try {
    const printed = readFileSync(path, "utf8")
      .split(/\r?\n/)
      .filter((line) => line.trim() !== "");
    return printed.slice(-lines).join("; ");
  } catch {
    return "";
  }
}

/** An emulated machine on a slow host takes some seconds; one that hangs is not waited for for ever. */
const PATIENCE = 120_000;

/**
 * Starts QEMU and resolves when the program in the machine is there. `known` is called with the holder's process before QEMU is started,
 * and with QEMU's before it is waited for. Rejects with LabError with what the machine's console or QEMU said.
 */
export async function startVm(
  { python }: VmTools,
  folder: string,
  argv: readonly string[],
  known: (holder: ProcessId, qemu: ProcessId | null) => void,
): Promise<StartedVm> {
  const child = spawn(python, ["-B", "-E", "-s", "-S", shippedFile("agent/vm/holder.py"), folder, ...argv], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    detached: true,
    cwd: "/",
  });
  const { stdout, stderr, pid } = child;
  const lifeline = child.stdio[3];
  if (pid === undefined || stdout === null || stderr === null || !(lifeline instanceof Socket))
    throw new LabError(`${python} cannot be run`);
  lifeline.on("error", () => undefined);
  const complaints: string[] = [];
  createInterface({ input: stderr }).on("line", (line) => complaints.push(line));
  const holder = processId(pid);
  known(holder, null);
  lifeline.write("go\n");
  const words = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<Record<string, unknown>> => {
    const { value, done } = await words.next();
    const word = done === true ? {} : (JSON.parse(value) as Record<string, unknown>);
    if (done !== true && word["error"] === undefined) return word;
    const said = [tail(join(folder, "qemu.log"), 2), tail(join(folder, "console.log"), 3), complaints.at(-1) ?? ""];
    const why = said.filter((each) => each !== "").join("; ");
    throw new LabError(`the virtual machine does not start: ${why === "" ? "it said nothing" : why}`);
  };
  known(holder, processId(Number((await next())["qemu"])));
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  try {
    const { ready } = await next();
    const kernel = (ready as { kernel: string }).kernel;
    return {
      kernel,
      async commit() {
        lifeline.write("commit\n");
        await next();
        for (const stream of [lifeline, stdout, stderr]) stream.destroy();
        child.unref();
      },
    };
  } finally {
    clearTimeout(timer);
  }
}
