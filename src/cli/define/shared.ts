/** What every command's definition needs. */
import { Option } from "commander";
import type { Io } from "../io.ts";
import type { OpenSession, Session } from "../session.ts";
import { progressLine, warnOfProblems } from "../terminal.ts";

/** What a run needs of the world beside its streams. */
export interface Host {
  io: Io;
  /** Loads the engine; called at most once, by commands that need it. */
  openSession: OpenSession;
  /** Milliseconds of some clock. */
  now(): number;
}

export function colorOption(): Option {
  return new Option("--color <when>", "colour the text").choices(["auto", "always", "never"]).default("auto");
}

/** `-o text` (the default) or `-o json`. */
export function outputOption(): Option {
  return new Option("-o, --output <format>", "format").choices(["text", "json"]).default("text");
}

/** Loads the snapshot with progress on stderr, and warns of what could not be read in it. */
export async function open(host: Host, path: string): Promise<Session> {
  const progress = progressLine(host.io, host.now);
  try {
    const session = await host.openSession(path, progress.show);
    await progress.end();
    await warnOfProblems(session.snapshot, host.io);
    return session;
  } catch (error) {
    await progress.end();
    throw error;
  }
}
