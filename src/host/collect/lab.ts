/** What a lab writes as a snapshot, collected like any other. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listFolder } from "../snapshot/folder-files.ts";
import type { Collected, CollectOptions } from "./collect.ts";
import type { NodeResult } from "./gather.ts";

/** When something was taken, RFC 3339 in whole seconds. */
const timeOf = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

function emptyResult(name: string, startedAt: Date): NodeResult {
  return {
    label: name,
    name,
    state: "whole",
    error: null,
    startedAt,
    seconds: null,
    clock: null,
    files: 0,
    bytes: 0,
    changed: [],
    removed: 0,
    podsNotFound: [],
  };
}

/**
 * Has `write` make the lab's snapshot in a folder and passes it on to the sink. A lab has no secrets and one clock. Rejects with what
 * `write` and the sink throw.
 */
export async function collectLabFolder(
  write: (folder: string, takenAt: string) => Promise<void>,
  { sink, signal, version, onNode }: CollectOptions,
): Promise<Collected> {
  const folder = await mkdtemp(join(tmpdir(), "kubewalk-lab-"));
  const nodes = new Map<string, NodeResult>();
  const began = Date.now();
  try {
    await write(folder, timeOf(began));
    const seconds = (Date.now() - began) / 1000;
    for (const path of listFolder(folder)) {
      signal.throwIfAborted();
      const bytes = readFileSync(join(folder, path));
      const node = /^nodes\/([^/]+)\//.exec(path)?.[1];
      if (node !== undefined) {
        let result = nodes.get(node);
        if (result === undefined) nodes.set(node, (result = emptyResult(node, new Date(began))));
        result.files++;
        result.bytes += bytes.length;
        result.seconds = seconds;
      }
      await sink.add(path, path === "snapshot.json" ? withWay(bytes, version) : bytes);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const results = [...nodes.values()];
  for (const [i, result] of results.entries()) onNode?.(result, i + 1, results.length);
  return { nodes: results, missing: new Map(), removed: new Map(), interrupted: false };
}

/** snapshot.json, which also says how it was taken. */
function withWay(bytes: Buffer, version: string): Buffer {
  const head = JSON.parse(bytes.toString("utf8")) as Record<string, unknown>;
  const collected = { by: `kubewalk ${version}`, way: "lab", nodes: {} };
  return Buffer.from(`${JSON.stringify({ ...head, collected }, null, 1)}\n`);
}
