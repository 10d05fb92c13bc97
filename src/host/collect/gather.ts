/** Asks many nodes, some at a time, and passes their files on as they come. */
import { attribute, type KnownPods } from "./attribute.ts";
import type { Extent } from "./node-script.ts";
import { NodeArchiveError, nodeFiles } from "./node-archive.ts";
import type { SnapshotSink } from "./sink.ts";
import { NodeError, type NodeSource } from "./source.ts";

/** What became of one node. */
export interface NodeResult {
  /** How it was called. */
  label: string;
  /** Its name in the snapshot; null when it was never told. */
  name: string | null;
  /** `partial`: what came before it went wrong is in the snapshot. */
  state: "whole" | "partial" | "failed";
  /** What went wrong, for people; null when nothing did. */
  error: string | null;
  /** When its own clock said that the capture began; null when it did not say. */
  startedAt: Date | null;
  /** Duration of the capture on the node, in seconds. */
  seconds: number | null;
  /** Seconds by which its clock is ahead of the one here, and by how much that may be wrong; null for what was not just taken. */
  clock: { ahead: number; error: number } | null;
  files: number;
  bytes: number;
  /** What changed while it was captured: files, or `netns` for namespaces that came or went. */
  changed: string[];
  /** Secrets that were removed on the node. */
  removed: number;
  /** Running pods of the node, by the cluster's objects, whose namespace was not found. */
  podsNotFound: string[];
}

export interface GatherOptions {
  /** How many nodes at a time. */
  parallel: number;
  /** Milliseconds for one node. */
  timeout: number;
  pods: KnownPods;
  /** Ends everything; what was collected until then stays. */
  signal: AbortSignal;
  /** Whether the archives are being made now, so that clocks can be compared. */
  live: boolean;
  /** What is asked for, of sources that can be asked for less than all; all when not given. */
  extent?: Extent | null;
  /** Milliseconds since 1970. */
  now: () => number;
  onNode?: (result: NodeResult, done: number, total: number) => void;
}

interface Head {
  name: string;
  startedAt: number;
}

const parsed = (bytes: Buffer): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
};

function headOf(bytes: Buffer): Head {
  const { format, name, startedAt } = parsed(bytes);
  if (format !== "kubewalk.node/v1" || typeof name !== "string" || !/^[^/\s]+$/.test(name) || /^\.\.?$/.test(name))
    throw new NodeArchiveError("node.json in the archive does not say which node it is of");
  return { name, startedAt: typeof startedAt === "number" ? startedAt : 0 };
}

/** Why a node could not be asked, in words. */
function explained(error: unknown, signal: AbortSignal, timeout: number): string {
  const reason: unknown = signal.reason;
  if (signal.aborted && reason instanceof DOMException && reason.name === "TimeoutError")
    return `it did not answer within ${timeout / 1000} s`;
  if (signal.aborted) return "interrupted";
  if (error instanceof NodeError || error instanceof NodeArchiveError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

/** What cannot be blamed on a node ends everything: the snapshot cannot be written. */
class SinkError extends Error {
  constructor(override readonly cause: unknown) {
    super("the snapshot cannot be written");
  }
}

class Gathering {
  private readonly names = new Map<string, string>();

  constructor(
    private readonly sink: SnapshotSink,
    private readonly options: GatherOptions,
  ) {}

  async one(source: NodeSource): Promise<NodeResult> {
    const { timeout, signal, now } = this.options;
    const result: NodeResult = {
      label: source.label,
      name: source.name,
      state: "failed",
      error: null,
      startedAt: null,
      seconds: null,
      clock: null,
      files: 0,
      bytes: 0,
      changed: [],
      removed: 0,
      podsNotFound: [],
    };
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(new DOMException("", "TimeoutError")), timeout);
    const interrupt = (): void => patience.abort(signal.reason);
    signal.addEventListener("abort", interrupt, { once: true });
    if (signal.aborted) {
      clearTimeout(timer);
      return { ...result, error: "interrupted" };
    }
    const asked = now();
    const taken = new Set<string>();
    try {
      for await (const { path, bytes } of nodeFiles(source.open(patience.signal, this.options.extent))) {
        if (path === "node.json") this.begin(result, source, headOf(bytes), asked);
        if (result.name === null) throw new NodeArchiveError("node.json is not the first file in the archive");
        if (path === "collect.json") this.end(result, bytes);
        await this.store(result, path, bytes, taken);
      }
      result.state = "whole";
    } catch (error) {
      if (error instanceof SinkError) throw error.cause;
      result.error = explained(error, patience.signal, timeout);
      result.state = result.files > 1 ? "partial" : "failed";
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", interrupt);
    }
    const { name } = result;
    if (name !== null && result.state === "whole")
      result.podsNotFound = (this.options.pods.onNode.get(name) ?? [])
        .map((pod) => `${pod.namespace}/${pod.name}`)
        .filter((pod) => !taken.has(pod));
    return result;
  }

  private begin(result: NodeResult, source: NodeSource, head: Head, asked: number): void {
    result.name ??= head.name;
    const other = this.names.get(result.name);
    if (other !== undefined) {
      const name = result.name;
      result.name = source.name;
      throw new NodeArchiveError(
        `it says that it is ${name}, as ${other} did; KUBEWALK_NAME=NAME tells the script otherwise`,
      );
    }
    this.names.set(result.name, source.label);
    if (head.startedAt <= 0) return;
    result.startedAt = new Date(head.startedAt * 1000);
    if (!this.options.live) return;
    // It began after it was asked, and before its first bytes came.
    const arrived = this.options.now();
    const middle = (asked + arrived) / 2;
    result.clock = { ahead: (head.startedAt * 1000 - middle) / 1000, error: (arrived - asked) / 2000 };
  }

  private end(result: NodeResult, bytes: Buffer): void {
    const { startedAt, endedAt, changed, removed } = parsed(bytes);
    if (typeof startedAt === "number" && typeof endedAt === "number" && endedAt > 0)
      result.seconds = endedAt - startedAt;
    if (Array.isArray(changed)) result.changed = changed.filter((each) => typeof each === "string");
    if (Array.isArray(removed)) result.removed = removed.length;
  }

  private async store(result: NodeResult, path: string, bytes: Buffer, taken: Set<string>): Promise<void> {
    const stored = /^netns\/[^/]+\/netns\.json$/.test(path)
      ? Buffer.from(attribute(bytes.toString("utf8"), this.options.pods, taken))
      : bytes;
    try {
      await this.sink.add(`nodes/${result.name}/${path}`, stored);
    } catch (error) {
      throw new SinkError(error);
    }
    result.files++;
    result.bytes += stored.length;
  }
}

/**
 * Asks every source, `parallel` at a time, and gives the files to `sink`. A node that fails or hangs costs its own time and is named in
 * the results, which are in the order of the sources. When `signal` fires the rest is not asked. Rejects only when the sink does.
 */
export async function gather(
  sources: readonly NodeSource[],
  sink: SnapshotSink,
  options: GatherOptions,
): Promise<NodeResult[]> {
  const gathering = new Gathering(sink, options);
  const results: NodeResult[] = [];
  let next = 0;
  let done = 0;
  const worker = async (): Promise<void> => {
    while (next < sources.length) {
      const index = next++;
      const result = await gathering.one(sources[index]!);
      results[index] = result;
      done++;
      options.onNode?.(result, done, sources.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.parallel, sources.length) }, worker));
  return results;
}
