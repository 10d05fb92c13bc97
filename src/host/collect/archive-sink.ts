/** A snapshot written as a .tar.gz while it is collected. */
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";
import { reason } from "../snapshot/folder-files.ts";
import { SnapshotError } from "../snapshot/snapshot-error.ts";
import type { SnapshotSink } from "./sink.ts";

/** The folder within the archive, so that unpacking by hand makes one folder. */
const TOP = "snapshot";

/**
 * Writes `archive`; until it is closed the file has `.partial` after its name. One file is in memory at a time, beside those that wait for
 * their turn. Methods reject with SnapshotError when the file cannot be written.
 */
export function archiveSink(archive: string): SnapshotSink {
  const partial = `${archive}.partial`;
  const tar = pack();
  let failure: Error | null = null;
  const written = pipeline(tar, createGzip({ level: 6 }), createWriteStream(partial)).catch((error: unknown) => {
    failure = new SnapshotError(archive, `cannot be written: ${reason(error)}`);
  });
  let last: Promise<void> = Promise.resolve();
  const check = (): void => {
    if (failure !== null) throw failure;
  };
  const entry = (name: string, bytes: Buffer): Promise<void> =>
    new Promise((resolve) => {
      if (failure !== null) return resolve();
      const header = { name: `${TOP}/${name}`, size: bytes.length, mode: 0o644, mtime: new Date(0), uid: 0, gid: 0 };
      // An error ends the pipeline, which says why.
      tar.entry(header, bytes, () => resolve());
      void written.then(resolve);
    });
  return {
    add(path, bytes) {
      last = last.then(() => entry(path, bytes)).then(check);
      return last;
    },
    async close() {
      await last;
      tar.finalize();
      await written;
      check();
      await rename(partial, archive);
    },
    async abandon() {
      tar.destroy();
      await written;
      await rm(partial, { force: true });
    },
  };
}
