/** Loads a snapshot from wherever it lies. */
import { stat } from "node:fs/promises";
import { ParseError } from "../../core/model/source.ts";
import type { Snapshot } from "../../core/model/snapshot.ts";
import { assembleSnapshot, type Progress, type SnapshotFiles } from "../../core/parse/snapshot.ts";
import { archiveFiles } from "./archive-files.ts";
import { folderFiles, reason } from "./folder-files.ts";
import { SnapshotError } from "./snapshot-error.ts";

export interface LoadOptions {
  /** Called after each namespace. */
  onProgress?: (progress: Progress) => void;
}

async function openFiles(path: string): Promise<SnapshotFiles> {
  let stats;
  try {
    stats = await stat(path);
  } catch (error) {
    const absent = error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
    throw new SnapshotError(path, absent ? "there is no such file or folder" : `cannot be read: ${reason(error)}`);
  }
  if (stats.isFile()) return archiveFiles(path);
  if (!stats.isDirectory()) throw new SnapshotError(path, "neither a folder nor an archive");
  const files = folderFiles(path);
  let folder: string | undefined;
  for (const each of files.paths()) {
    if (each === "snapshot.json" || each.startsWith("nodes/")) return files;
    folder ??= /^([^/]+)\/(?:snapshot\.json$|nodes\/)/.exec(each)?.[1];
  }
  const hint = folder === undefined ? "" : `; there is one in ${path.replace(/\/+$/, "")}/${folder}`;
  throw new SnapshotError(path, `holds no snapshot: neither snapshot.json nor nodes/ is in it${hint}`);
}

/**
 * Loads the snapshot in a folder or a .tar, .tar.gz or .tgz (told apart by content; one folder around it is allowed).
 * Files of a folder are read again when their text is asked for; an archive is kept in memory.
 * Rejects with SnapshotError when there is no snapshot to read, with ParseError when snapshot.json or fabric.json is
 * malformed. Everything else that is wrong is in the snapshot's `problems` and `missing`.
 */
export async function loadSnapshot(path: string, options: LoadOptions = {}): Promise<Snapshot> {
  const files = await openFiles(path);
  try {
    return assembleSnapshot(files, options.onProgress);
  } catch (error) {
    if (error instanceof ParseError && error.source.file === "nodes")
      throw new SnapshotError(path, "holds no node: nodes/ is not in it");
    throw error;
  }
}
