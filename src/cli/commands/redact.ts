/** `kubewalk redact`: a snapshot that can be shown to strangers. */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ParseError } from "../../core/model/source.ts";
import type { SnapshotFiles } from "../../core/parse/snapshot.ts";
import { redact, type RedactMap } from "../../core/redact/redact.ts";
import { archiveFiles } from "../../host/snapshot/archive-files.ts";
import { folderFiles } from "../../host/snapshot/folder-files.ts";
import { packSnapshot } from "../../host/snapshot/pack.ts";
import { SnapshotError } from "../../host/snapshot/snapshot-error.ts";
import { EXIT, UsageError } from "../exit.ts";
import type { Io } from "../io.ts";

export interface RedactOptions {
  /** Archive to write. */
  output: string;
  /** File of replacements; undefined for none. */
  map: string | undefined;
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function isMap(value: unknown): value is RedactMap {
  const map = value as Partial<RedactMap> | null;
  return (
    typeof map === "object" &&
    map?.format === "kubewalk.redact-map/v1" &&
    typeof map.secret === "string" &&
    typeof map.names === "object" &&
    Object.values(map.names).every((name) => typeof name === "string")
  );
}

/** The map in `path`; null when there is no such file. Rejects with UsageError for one that is none. */
async function readMap(path: string): Promise<RedactMap | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw new UsageError(`${path}: cannot be read: ${message(error)}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${path}: malformed JSON: ${message(error)}`);
  }
  if (!isMap(value)) throw new UsageError(`${path}: is no map of kubewalk redact (kubewalk.redact-map/v1)`);
  return value;
}

async function open(path: string): Promise<SnapshotFiles> {
  try {
    return (await stat(path)).isDirectory() ? folderFiles(path) : await archiveFiles(path);
  } catch (error) {
    if (error instanceof SnapshotError) throw new UsageError(error.message);
    throw new UsageError(`${path}: cannot be read: ${message(error)}`);
  }
}

/** Files of which every byte is text; a file that is none is left out, and told. */
function textFiles(
  files: SnapshotFiles,
  left: string[],
): { paths: () => string[]; read: (path: string) => string | undefined } {
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

/** Writes a file as a whole, for its owner alone. */
async function writePrivate(path: string, text: string): Promise<void> {
  try {
    await writeFile(`${path}.partial`, text, { mode: 0o600 });
    await rename(`${path}.partial`, path);
  } catch (error) {
    throw new UsageError(`${path}: cannot be written: ${message(error)}`);
  }
}

/**
 * Writes the redacted snapshot, and the map when it is asked for. Resolves to the exit status. Rejects with UsageError when something cannot
 * be read or written, or a JSON file is none.
 */
export async function redactSnapshot(path: string, options: RedactOptions, io: Io): Promise<number> {
  if (!/\.(?:tar\.gz|tgz)$/.test(options.output))
    throw new UsageError(`--output must end in .tar.gz or .tgz, not "${options.output}"`);
  const known = options.map === undefined ? null : await readMap(options.map);
  const left: string[] = [];
  const files = textFiles(await open(path), left);
  const folder = await mkdtemp(join(tmpdir(), "kubewalk-redact-"));
  try {
    const redacted = redact(files, randomBytes(32).toString("hex"), known);
    for (const file of redacted.files) {
      const target = join(folder, file.path);
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, file.text());
    }
    const count = await packSnapshot(folder, options.output);
    const map = redacted.map();
    if (options.map !== undefined) await writePrivate(options.map, `${JSON.stringify(map, null, 1)}\n`);
    for (const each of left) await io.err.write(`warning: ${each} is no text and was left out\n`);
    for (const note of redacted.notes) await io.err.write(`warning: ${note}\n`);
    const names = Object.keys(map.names).length;
    const addresses = Object.keys(map.addresses).length;
    await io.out.write(
      `${options.output}: ${count} files; replaced ${names} names and ${addresses} public addresses\n`,
    );
  } catch (error) {
    if (error instanceof SnapshotError || error instanceof ParseError) throw new UsageError(error.message);
    throw error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return EXIT.answered;
}
