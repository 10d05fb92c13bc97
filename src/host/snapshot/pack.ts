/** Writes a snapshot's folder as an archive. */
import { createWriteStream } from "node:fs";
import { readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack, type Pack } from "tar-stream";
import { listFolder, reason } from "./folder-files.ts";
import { SnapshotError } from "./snapshot-error.ts";

/** The folder within the archive, so that unpacking by hand makes one folder. */
const TOP = "snapshot";

/** RFC 1952, 2.3.1: where the header names the operating system, and "unknown". */
const OS_BYTE = 9;
const OS_UNKNOWN = 255;

/** Makes the gzip header the same on every system; zlib writes no time of its own. */
class NeutralHeader extends Transform {
  private at = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const inChunk = OS_BYTE - this.at;
    if (inChunk >= 0 && inChunk < chunk.length) chunk[inChunk] = OS_UNKNOWN;
    this.at += chunk.length;
    done(null, chunk);
  }
}

function addFile(tar: Pack, name: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const header = { name, size: bytes.length, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
    tar.entry(header, bytes, (error) => (error ? reject(error) : resolve()));
  });
}

async function addAll(tar: Pack, folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await addFile(tar, `${TOP}/${path}`, await readFile(join(folder, path)));
  tar.finalize();
}

/**
 * Packs the snapshot in `folder` into `archive`, a .tar.gz: the same files give the same bytes, whatever their times and owners.
 * Returns the number of files. Rejects with SnapshotError when there is no snapshot in the folder, a link leads out of it,
 * or reading or writing fails; the archive is then as it was.
 */
export async function packSnapshot(folder: string, archive: string): Promise<number> {
  const paths = listFolder(folder);
  if (!paths.some((path) => path === "snapshot.json" || path.startsWith("nodes/")))
    throw new SnapshotError(folder, "holds no snapshot: neither snapshot.json nor nodes/ is in it");
  const partial = `${archive}.partial`;
  const tar = pack();
  try {
    const written = pipeline(tar, createGzip({ level: 9 }), new NeutralHeader(), createWriteStream(partial));
    await Promise.all([written, addAll(tar, folder, paths).catch((error: unknown) => tar.destroy(error as Error))]);
    await rename(partial, archive);
  } catch (error) {
    await rm(partial, { force: true });
    throw new SnapshotError(archive, `cannot be written: ${reason(error)}`);
  }
  return paths.length;
}
