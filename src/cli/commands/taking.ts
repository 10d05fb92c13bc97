/** What taking a snapshot needs of the command line: its file, progress, Ctrl-C, and the report. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../../package.json";
import { archiveSink } from "../../host/collect/archive-sink.ts";
import { PieceError } from "../../host/collect/assemble.ts";
import { UnknownNodeError, type Collected, type CollectOptions } from "../../host/collect/collect.ts";
import { folderSink, type SnapshotSink } from "../../host/collect/sink.ts";
import type { NodeResult } from "../../host/collect/gather.ts";
import { KubeError } from "../../host/collect/kube/kube-error.ts";
import { NodeError } from "../../host/collect/source.ts";
import { SnapshotError } from "../../host/snapshot/snapshot-error.ts";
import type { Host } from "../define/shared.ts";
import { EXIT, UsageError } from "../exit.ts";
import { lines, type Io } from "../io.ts";
import { collectedLines, nodeLine, reportOf } from "../text/collect.ts";

export interface TakingOptions {
  /** Null: named after the time. */
  archive: string | null;
  parallel: number;
  /** Milliseconds for one node. */
  timeout: number;
  format: "text" | "json";
  /** Names and public addresses are replaced before the snapshot is written where others may see it. */
  redact: boolean;
}

/** `kubewalk-2026-03-01T12-00-00Z.tar.gz`: no colons, which some file systems refuse. */
const fileName = (): string =>
  `kubewalk-${new Date()
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replaceAll(":", "-")}.tar.gz`;

/** Until `end`, Ctrl-C and the like end the work instead of the process; a second one ends the process. */
function interruptible(io: Io): { signal: AbortSignal; end: () => void } {
  const controller = new AbortController();
  const before = process.listeners("SIGINT");
  process.removeAllListeners("SIGINT");
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort(new Error("interrupted"));
    void io.err.write("interrupted: cleaning up; what was collected is kept\n").catch(() => undefined);
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, stop);
  return {
    signal: controller.signal,
    end() {
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, stop);
      for (const listener of before) process.on("SIGINT", listener);
    },
  };
}

function asUsage(error: unknown): unknown {
  const expected =
    error instanceof KubeError ||
    error instanceof UnknownNodeError ||
    error instanceof NodeError ||
    error instanceof PieceError ||
    error instanceof SnapshotError;
  return expected ? new UsageError(error.message) : error;
}

/** What is collected goes into a folder of the user's own first, is redacted into the archive, and the folder is removed. */
async function redactingSink(archive: string, io: Io): Promise<SnapshotSink> {
  const folder = await mkdtemp(join(tmpdir(), "kubewalk-"));
  const inFolder = folderSink(folder);
  const remove = (): Promise<void> => rm(folder, { recursive: true, force: true });
  return {
    add: inFolder.add,
    async close() {
      try {
        const { redactInto } = await import("../../host/collect/redacted.ts");
        const { warnOfRedaction } = await import("./redact.ts");
        const { left, notes } = await redactInto(folder, archive, null);
        await warnOfRedaction(left, notes, io);
      } finally {
        await remove();
      }
    },
    abandon: remove,
  };
}

/**
 * Takes a snapshot into its file by `take`, with progress on stderr and the report on stdout. Resolves to the exit status. Rejects with
 * UsageError for what cannot be reached, read or written; nothing is left of the file then.
 */
export async function taking(
  options: TakingOptions,
  host: Host,
  take: (options: CollectOptions) => Promise<Collected>,
): Promise<number> {
  const { io } = host;
  const archive = options.archive ?? fileName();
  const { parallel, timeout, format } = options;
  const sink = options.redact ? await redactingSink(archive, io) : archiveSink(archive);
  const { signal, end } = interruptible(io);
  const began = host.now();
  const onNode = (node: NodeResult, done: number, total: number): void => {
    void io.err.write(`${nodeLine(node, done, total)}\n`).catch(() => undefined);
  };
  try {
    const collected = await take({ sink, parallel, timeout, version, signal, onNode });
    await sink.close();
    const seconds = (host.now() - began) / 1000;
    const text =
      format === "json"
        ? [JSON.stringify(reportOf(collected, archive, seconds), null, 2)]
        : collectedLines(collected, archive, seconds);
    await io.out.write(lines(text));
    if (collected.interrupted) return EXIT.interrupted;
    return collected.nodes.every((node) => node.state === "whole") ? EXIT.answered : EXIT.failed;
  } catch (error) {
    await sink.abandon();
    if (signal.aborted) return EXIT.interrupted;
    throw asUsage(error);
  } finally {
    end();
  }
}

/** Runs what has no file, with errors in words. */
export async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asUsage(error);
  }
}
