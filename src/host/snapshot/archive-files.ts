/** A snapshot in a .tar, .tar.gz or .tgz. */
import { constants } from "node:buffer";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { PassThrough, Transform, type TransformCallback } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { extract, type Header } from "tar-stream";
import type { SnapshotFiles } from "../../core/parse/snapshot.ts";
import { ASCII_PADDING } from "../../core/parse/ascii-bytes.ts";
import { asciiBytes, LARGE_FILE, padded } from "./ascii-file.ts";
import { decodeText } from "./decode.ts";
import { LARGE_TEXT, reason } from "./folder-files.ts";
import { SnapshotError } from "./snapshot-error.ts";

/** Two blocks of zeros end an archive (POSIX pax, ustar Interchange Format). */
const END_OF_ARCHIVE = 1024;

/** Passes everything on, and remembers the last bytes. */
class Tail extends Transform {
  private tail = Buffer.alloc(0);
  length = 0;

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.length += chunk.length;
    this.tail = Buffer.concat([this.tail, chunk.subarray(-END_OF_ARCHIVE)]).subarray(-END_OF_ARCHIVE);
    done(null, chunk);
  }

  isEnd(): boolean {
    return this.tail.length === END_OF_ARCHIVE && this.tail.every((byte) => byte === 0);
  }
}

/** The path of an entry without `.` and doubled slashes. Throws SnapshotError when it is absolute or climbs. */
function entryPath(archive: string, name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/") || parts.includes(".."))
    throw new SnapshotError(archive, `the entry ${name} leads out of the archive`);
  return parts.join("/");
}

/** Entries that macOS adds beside each file. */
const isAppleDouble = (path: string): boolean => path.split("/").some((part) => part.startsWith("._"));

/** The bytes of each file of the archive by path. */
async function unpack(archive: string, gzip: boolean): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const tar = extract();
  const tail = new Tail();
  const done = pipeline(createReadStream(archive), gzip ? createGunzip() : new PassThrough(), tail, tar);
  // The error is that of the loop below as well; here it must not count as unhandled.
  done.catch(() => {});
  for await (const entry of tar) {
    const header: Header = entry.header;
    const path = entryPath(archive, header.name);
    if (header.type === "symlink") throw new SnapshotError(archive, `the entry ${path} is a symbolic link`);
    if (header.type === "link") {
      const linked = files.get(entryPath(archive, header.linkname ?? ""));
      if (linked === undefined)
        throw new SnapshotError(archive, `the entry ${path} is a link to what is not before it`);
      files.set(path, linked);
    }
    const isFile = header.type === "file" || header.type === "contiguous-file";
    const size = header.size ?? 0;
    if (isFile && size > constants.MAX_STRING_LENGTH)
      throw new SnapshotError(archive, `the entry ${path} is too large: ${size} bytes`);
    const bytes = padded(isFile ? size : 0).subarray(0, isFile ? size : 0);
    let at = 0;
    for await (const chunk of entry as AsyncIterable<Buffer>) if (isFile) at += chunk.copy(bytes, at);
    if (isFile && at < size) throw new SnapshotError(archive, `the archive is truncated within ${path}`);
    if (isFile && path !== "" && !isAppleDouble(path)) files.set(path, bytes);
  }
  await done;
  if (!tail.isEnd()) throw new SnapshotError(archive, "the archive is truncated: its end marker is missing");
  return files;
}

const isSnapshot = (path: string): boolean => path === "snapshot.json" || path.startsWith("nodes/");

/** What leads to the snapshot within the archive: nothing, or one folder. */
function prefixOf(archive: string, paths: Iterable<string>): string {
  const tops = new Set<string>();
  let found = false;
  let foundBelow = false;
  for (const path of paths) {
    found ||= isSnapshot(path);
    const slash = path.indexOf("/");
    tops.add(path.slice(0, Math.max(slash, 0)));
    foundBelow ||= slash > 0 && isSnapshot(path.slice(slash + 1));
  }
  if (found) return "";
  const [top] = tops;
  if (tops.size === 1 && top !== undefined && foundBelow) return `${top}/`;
  throw new SnapshotError(archive, "holds no snapshot: neither snapshot.json nor nodes/ is in it");
}

async function firstBytes(archive: string): Promise<Buffer> {
  const file = await open(archive);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** What is wrong with the archive, in words; the streams' own errors name themselves by code or message. */
function explain(archive: string, gzip: boolean, error: unknown): SnapshotError {
  if (error instanceof SnapshotError) return error;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const message = reason(error);
  if (code === "Z_BUF_ERROR" || /unexpected end/i.test(message))
    return new SnapshotError(archive, "the archive is truncated");
  if (typeof code === "string" && code.startsWith("Z_"))
    return new SnapshotError(archive, `the gzip data is damaged: ${message}`);
  if (/invalid tar header|invalid|tar/i.test(message))
    return new SnapshotError(
      archive,
      gzip ? "damaged, or no tar archive within gzip" : "no archive: neither gzip nor tar",
    );
  return new SnapshotError(archive, `cannot be read: ${message}`);
}

/**
 * Reads all of an archive into memory and returns its files, without the one folder that may surround them.
 * Rejects with SnapshotError when the file is empty, no archive, damaged or truncated, holds no snapshot, or has entries
 * that lead out of it.
 */
export async function archiveFiles(archive: string): Promise<SnapshotFiles> {
  let gzip = false;
  let files: Map<string, Buffer>;
  try {
    const magic = await firstBytes(archive);
    if (magic.length === 0) throw new SnapshotError(archive, "the file is empty");
    // RFC 1952, 2.3.1: ID1, ID2.
    gzip = magic[0] === 0x1f && magic[1] === 0x8b;
    files = await unpack(archive, gzip);
  } catch (error) {
    throw explain(archive, gzip, error);
  }
  if (files.size === 0) throw new SnapshotError(archive, "the archive is empty");
  const prefix = prefixOf(archive, files.keys());
  const contents = new Map<string, Buffer | string>();
  /** Large files that are known to be ASCII. */
  const ascii = new Set<string>();
  for (const [path, bytes] of files) if (path.startsWith(prefix)) contents.set(path.slice(prefix.length), bytes);
  return {
    paths: () => contents.keys(),
    read(path) {
      const found = contents.get(path);
      if (found === undefined || typeof found === "string") return found;
      const text = decodeText(found, path);
      if (text.length >= LARGE_TEXT) contents.set(path, text);
      return text;
    },
    ascii(path) {
      const found = contents.get(path);
      if (found === undefined || typeof found === "string" || found.length < LARGE_FILE) return undefined;
      // The zeros after it were made with it.
      const bytes = asciiBytes(Buffer.from(found.buffer, found.byteOffset, found.length + ASCII_PADDING), found.length);
      if (bytes !== undefined) ascii.add(path);
      return bytes;
    },
    part(path, start, end) {
      const found = ascii.has(path) ? contents.get(path) : undefined;
      return typeof found === "string" ? found.slice(start, end) : found?.toString("latin1", start, end);
    },
  };
}
