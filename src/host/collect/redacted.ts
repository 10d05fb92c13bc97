/** A redacted snapshot, written as an archive. */
import { randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { ParseError } from "../../core/model/source.ts";
import type { SnapshotFiles } from "../../core/parse/snapshot.ts";
import { redact, type RedactFiles, type RedactMap } from "../../core/redact/redact.ts";
import { archiveFiles } from "../snapshot/archive-files.ts";
import { folderFiles, reason } from "../snapshot/folder-files.ts";
import { SnapshotError } from "../snapshot/snapshot-error.ts";
import { archiveSink } from "./archive-sink.ts";

/** Length of the secret that replacements of addresses follow from, in bytes. */
const SECRET_BYTES = 32;

export interface RedactedArchive {
  files: number;
  map: RedactMap;
  /** Files that are no text: they are left out. */
  left: string[];
  /** What is not as it was, although it should be. */
  notes: string[];
}

async function open(path: string): Promise<SnapshotFiles> {
  try {
    return (await stat(path)).isDirectory() ? folderFiles(path) : await archiveFiles(path);
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    throw new SnapshotError(path, `cannot be read: ${reason(error)}`);
  }
}

/** Files of which every byte is text. The names of the others go to `left`. */
function textFiles(files: SnapshotFiles, left: string[]): RedactFiles {
  const good: string[] = [];
  for (const path of files.paths()) {
    try {
      files.read(path);
      good.push(path);
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      left.push(path);
    }
  }
  return { paths: () => good, read: (path) => files.read(path) };
}

/**
 * Redacts the snapshot in `path`, a folder or an archive, into `archive`, a .tar.gz; with `known`, an earlier map, names and addresses
 * become what they became then. Rejects with SnapshotError when something cannot be read or written, and with ParseError for a JSON
 * file that is none; nothing is left of the archive then.
 */
export async function redactInto(path: string, archive: string, known: RedactMap | null): Promise<RedactedArchive> {
  const left: string[] = [];
  const files = textFiles(await open(path), left);
  const redacted = redact(files, randomBytes(SECRET_BYTES).toString("hex"), known);
  const sink = archiveSink(archive);
  try {
    for (const file of redacted.files) await sink.add(file.path, Buffer.from(file.text()));
    await sink.close();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
  return { files: redacted.files.length, map: redacted.map(), left, notes: redacted.notes };
}
