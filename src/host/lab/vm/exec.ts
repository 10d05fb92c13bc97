/** A program run in a virtual machine with this process's own streams and terminal. */
import { constants } from "node:os";
import type { Writable } from "node:stream";
import { insideEnvironment } from "./environment.ts";
import { openSession, type Sink, type TerminalSize, type VmRequest, type VmSession } from "./session.ts";

const to =
  (stream: Writable): Sink =>
  (data) =>
    new Promise((resolve, reject) => {
      stream.write(data, (error) => (error ? reject(error) : resolve()));
    });

const sizeOf = ({ rows, columns }: NodeJS.WriteStream): TerminalSize => ({ rows, columns });

/** Until the program ends the terminal sends every key as it is, and the program's own terminal makes signals of some. */
async function withTerminal(session: VmSession): Promise<number> {
  const { stdin, stdout } = process;
  const resized = (): void => session.resize(sizeOf(stdout));
  stdin.setRawMode(true);
  stdout.on("resize", resized);
  try {
    return await session.status;
  } finally {
    stdin.setRawMode(false);
    stdout.off("resize", resized);
  }
}

/** An interrupt is the program's to take. */
async function withSignals(session: VmSession): Promise<number> {
  const interrupt = (): void => session.signal(constants.signals.SIGINT);
  const before = process.listeners("SIGINT");
  process.removeAllListeners("SIGINT");
  process.on("SIGINT", interrupt);
  try {
    return await session.status;
  } finally {
    process.off("SIGINT", interrupt);
    for (const each of before) process.on("SIGINT", each);
  }
}

async function feed(session: VmSession): Promise<void> {
  for await (const data of process.stdin as AsyncIterable<Uint8Array>) await session.send(data);
  session.endInput();
}

/**
 * Runs a program in the machine of a lab; `env` is added to its environment. Resolves to its exit status; 0 when nobody reads its output
 * any more. Rejects with LabError when the lab is gone.
 */
export async function execInVm(lab: string, argv: readonly string[], env: Record<string, string>): Promise<number> {
  const terminal = process.stdin.isTTY && process.stdout.isTTY;
  const request: VmRequest = { argv, env: insideEnvironment(env), ...(terminal ? sizeOf(process.stdout) : {}) };
  const session = await openSession(lab, request, to(process.stdout), to(process.stderr));
  // What cannot be sent any more is of no use to a program that is over.
  feed(session).catch(() => undefined);
  try {
    return await (terminal ? withTerminal(session) : withSignals(session));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EPIPE") return 0;
    throw error;
  } finally {
    // Reading it would keep this process.
    process.stdin.destroy();
  }
}
