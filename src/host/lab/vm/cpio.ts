/** Archives as the kernel takes its first root from: cpio, "newc" (Linux Documentation/driver-api/early-userspace/buffer-format.rst). */

/** A file, a folder, or what the name says when there is no content. */
export interface CpioEntry {
  /** Without a slash at its beginning. */
  name: string;
  /** Permission bits with the type's: 0o100644 a file, 0o040755 a folder. */
  mode: number;
  content: Uint8Array;
}

const FILE = 0o100_000;
const FOLDER = 0o040_000;
const NONE = new Uint8Array(0);

export const cpioFile = (name: string, content: Uint8Array | string, permissions = 0o644): CpioEntry => ({
  name,
  mode: FILE | permissions,
  content: typeof content === "string" ? new TextEncoder().encode(content) : content,
});

/** Entries for every folder above the files, each once and before what is in it. */
export function withFolders(files: readonly CpioEntry[]): CpioEntry[] {
  const folders = new Set<string>();
  for (const { name } of files) {
    const parts = name.split("/").slice(0, -1);
    for (let i = 1; i <= parts.length; i++) folders.add(parts.slice(0, i).join("/"));
  }
  return [...[...folders].map((name): CpioEntry => ({ name, mode: FOLDER | 0o755, content: NONE })), ...files];
}

const hex = (n: number): string => n.toString(16).padStart(8, "0").toUpperCase();
const padding = (length: number): Uint8Array => new Uint8Array((4 - (length % 4)) % 4);

function pieces({ name, mode, content }: CpioEntry, inode: number): Uint8Array[] {
  // inode, mode, uid, gid, links, mtime, size, device (2), device that it is (2), length of the name, no checksum
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const head = new TextEncoder().encode(`070701${fields.map(hex).join("")}${name}\0`);
  return [head, padding(head.length), content, padding(content.length)];
}

/** The archive of entries in their order, not compressed. Names are ASCII. */
export function cpio(entries: readonly CpioEntry[]): Uint8Array {
  const end: CpioEntry = { name: "TRAILER!!!", mode: 0, content: NONE };
  const all = [...entries, end].flatMap((entry, i) => pieces(entry, i + 1));
  const archive = new Uint8Array(all.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of all) {
    archive.set(piece, at);
    at += piece.length;
  }
  return archive;
}
