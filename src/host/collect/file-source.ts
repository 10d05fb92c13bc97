/** Archives that the script printed into files. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { open } from "node:fs/promises";
import { NodeError, type NodeSource } from "./source.ts";

async function* bytesOf(path: string, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  const stats = await stat(path).catch(() => null);
  if (stats === null || !stats.isFile()) throw new NodeError(`${path}: there is no such file`);
  if (stats.size === 0) throw new NodeError(`${path}: the file is empty`);
  const file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
  await file.close();
  // RFC 1952, 2.3.1: ID1, ID2.
  const gzip = buffer[0] === 0x1f && buffer[1] === 0x8b;
  const bytes = createReadStream(path, { signal });
  // A cut archive is told by whoever reads its entries.
  const stream = gzip ? pipeline(bytes, createGunzip(), () => undefined) : bytes;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw new NodeError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** What `kubewalk collect --script` printed on a node, compressed with gzip or not. */
export function fileSource(path: string): NodeSource {
  return { label: path, name: null, open: (signal) => bytesOf(path, signal) };
}
