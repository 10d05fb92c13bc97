/** Reads the archive that the script on a node prints. */
import { Readable } from "node:stream";
import { extract } from "tar-stream";

export interface NodeFile {
  /** Within the node's folder of a snapshot: `host/addr.json`. */
  path: string;
  bytes: Buffer;
}

/** The archive of a node ended too early, or is none. What came before counts. */
export class NodeArchiveError extends Error {
  override readonly name = "NodeArchiveError";
}

/** A file of a node's may be this large, in bytes; what is larger is no ruleset. */
const LARGEST = 2 ** 30;

const cleanPath = (name: string): string => {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/") || parts.includes(".."))
    throw new NodeArchiveError(`the entry ${name} leads out of the archive`);
  return parts.join("/");
};

/**
 * The files of the archive in `input`, in their order, one in memory at a time. Throws NodeArchiveError after the last whole file when
 * the archive is cut off or damaged, and whatever `input` throws.
 */
export async function* nodeFiles(input: AsyncIterable<Buffer>): AsyncGenerator<NodeFile, void, undefined> {
  const tar = extract();
  const source = Readable.from(input, { objectMode: false });
  let inputError: unknown;
  source.on("error", (error) => {
    inputError = error;
    tar.destroy(error);
  });
  source.pipe(tar);
  let ended = false;
  try {
    for await (const entry of tar) {
      const { name, size = 0, type } = entry.header;
      const path = cleanPath(name);
      if (size > LARGEST) throw new NodeArchiveError(`${path} is too large: ${size} bytes`);
      const chunks: Buffer[] = [];
      let length = 0;
      for await (const chunk of entry as AsyncIterable<Buffer>) {
        chunks.push(chunk);
        length += chunk.length;
      }
      if (length < size) throw new NodeArchiveError(`the archive ends within ${path}`);
      if (type !== "file") continue;
      if (path === "collect.json") ended = true;
      yield { path, bytes: Buffer.concat(chunks) };
    }
  } catch (error) {
    if (inputError !== undefined) throw inputError;
    if (error instanceof NodeArchiveError) throw error;
    const message = error instanceof Error ? error.message : String(error);
    if (/unexpected end/i.test(message)) throw new NodeArchiveError("the archive ends too early");
    throw new NodeArchiveError(`not what the script prints: ${message}`);
  } finally {
    source.destroy();
    tar.destroy();
  }
  if (!ended) throw new NodeArchiveError("the archive ends too early");
}
