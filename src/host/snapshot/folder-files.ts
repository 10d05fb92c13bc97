/** A snapshot in a folder. */
import { readdirSync, realpathSync, statSync } from "node:fs";
import { join, sep } from "node:path";
import type { SnapshotFiles } from "../../core/parse/snapshot.ts";
import { readBytes, readPart, SmallFiles, Spare } from "./ascii-file.ts";
import { decodeText } from "./decode.ts";
import { SnapshotError } from "./snapshot-error.ts";

const errorCode = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** What the system said, without the path that the message has anyway. */
export const reason = (error: unknown): string =>
  error instanceof Error ? error.message.replace(/,.*$/s, "") : String(error);

class FolderLister {
  readonly paths: string[] = [];

  constructor(
    private readonly asked: string,
    private readonly root: string,
  ) {}

  list(prefix: string): void {
    const entries = readdirSync(join(this.root, prefix), { withFileTypes: true });
    for (const entry of entries) {
      const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) this.list(path);
      else if (entry.isFile()) this.paths.push(path);
      else if (entry.isSymbolicLink()) this.link(path);
      // Pipes, sockets and devices are no recordings; reading them might never end.
    }
  }

  private link(path: string): void {
    let target: string;
    try {
      target = realpathSync(join(this.root, path));
    } catch (error) {
      // A link to nothing is as good as no file.
      if (errorCode(error) === "ENOENT") return;
      throw error;
    }
    if (!target.startsWith(this.root + sep)) throw new SnapshotError(this.asked, `${path} leads out of the snapshot`);
    const stat = statSync(target);
    if (stat.isDirectory()) throw new SnapshotError(this.asked, `${path} is a symbolic link to a folder`);
    if (stat.isFile()) this.paths.push(path);
  }
}

/** Paths of all files below `folder`, sorted by code unit. Throws SnapshotError when a link leads out or it cannot be read. */
export function listFolder(folder: string): string[] {
  try {
    const lister = new FolderLister(folder, realpathSync(folder));
    lister.list("");
    return lister.paths.toSorted((a, b) => (a < b ? -1 : 1));
  } catch (error) {
    if (error instanceof SnapshotError) throw error;
    throw new SnapshotError(folder, `cannot be read: ${reason(error)}`);
  }
}

/**
 * Of this size and above, in characters, the text of a file is kept: what was parsed from it may hold on to it anyway, as parts of a text
 * are views of the whole (V8's sliced strings), and reading it again would make a second one.
 */
export const LARGE_TEXT = 1 << 20;

/** So many characters of large texts are kept beside the last one: of hundreds of nodes' rules, which are mostly the same, few are looked at again. */
const KEPT_CHARACTERS = 64_000_000;

/** Large texts, the last ones read. */
class KeptTexts {
  private readonly texts = new Map<string, string>();
  private characters = 0;

  get(path: string): string | undefined {
    return this.texts.get(path);
  }

  add(path: string, text: string): void {
    this.texts.set(path, text);
    this.characters += text.length;
    // A Map gives its keys in the order in which they came.
    for (const [oldest, old] of this.texts) {
      if (this.characters <= KEPT_CHARACTERS || oldest === path) break;
      this.texts.delete(oldest);
      this.characters -= old.length;
    }
  }
}

/** The files below `folder`, read when they are asked for; a file that vanishes in between is absent. */
export function folderFiles(folder: string): SnapshotFiles {
  const paths = new Set(listFolder(folder));
  const kept = new KeptTexts();
  /** Large files that are known to be ASCII. */
  const ascii = new Set<string>();
  const spare = new Spare();
  const small = new SmallFiles();
  /** What was read to no avail when bytes were asked for; text is asked for next. */
  let ahead: { path: string; bytes: Buffer } | null = null;
  const reading = <T>(path: string, read: (full: string) => T): T | undefined => {
    if (!paths.has(path)) return undefined;
    try {
      return read(join(folder, path));
    } catch (error) {
      if (errorCode(error) === "ENOENT") return undefined;
      throw new SnapshotError(folder, `${path} cannot be read: ${reason(error)}`);
    }
  };
  return {
    paths: () => paths,
    read(path) {
      const known = kept.get(path);
      if (known !== undefined) return known;
      const bytes = ahead?.path === path ? ahead.bytes : reading(path, (full) => small.read(full));
      ahead = null;
      if (bytes === undefined) return undefined;
      const text = decodeText(bytes, path);
      if (text.length >= LARGE_TEXT) {
        kept.add(path, text);
        if (text.length === bytes.length) ascii.add(path);
      }
      return text;
    },
    ascii(path) {
      const found = reading(path, (full) => readBytes(full, spare));
      if (found === undefined) return undefined;
      if (Buffer.isBuffer(found)) {
        ahead = { path, bytes: found };
        return undefined;
      }
      ascii.add(path);
      return found;
    },
    part: (path, start, end) => (ascii.has(path) ? reading(path, (full) => readPart(full, start, end)) : undefined),
  };
}
