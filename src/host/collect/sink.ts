/** Where a snapshot's files go as they come. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { SnapshotFiles } from "../../core/parse/snapshot.ts";
import { decodeText } from "../snapshot/decode.ts";

export interface SnapshotSink {
  /** Adds a file by its path in the snapshot. Resolves when there is room for the next. Rejects when it cannot be written. */
  add(path: string, bytes: Buffer): Promise<void>;
  /** All files are there. Resolves when the snapshot can be read. */
  close(): Promise<void>;
  /** The snapshot is not wanted after all. */
  abandon(): Promise<void>;
}

/** Writes below a folder, which is made. What is in it already stays. */
export function folderSink(folder: string): SnapshotSink {
  return {
    async add(path, bytes) {
      const file = join(folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    },
    close: async () => undefined,
    abandon: async () => undefined,
  };
}

/** Keeps all files in memory; `files` is what `assembleSnapshot` reads. For a few nodes. */
export function memorySink(): SnapshotSink & { files: SnapshotFiles } {
  const contents = new Map<string, Buffer>();
  return {
    files: {
      paths: () => contents.keys(),
      read(path) {
        const bytes = contents.get(path);
        return bytes === undefined ? undefined : decodeText(bytes, path);
      },
    },
    async add(path, bytes) {
      contents.set(path, bytes);
    },
    close: async () => undefined,
    abandon: async () => undefined,
  };
}
