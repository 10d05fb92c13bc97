/** `kubewalk redact`: a snapshot that can be shown to strangers. */
import { readFile, rename, writeFile } from "node:fs/promises";
import { ParseError } from "../../core/model/source.ts";
import type { RedactMap } from "../../core/redact/redact.ts";
import { redactInto } from "../../host/collect/redacted.ts";
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
  try {
    const { files, map, left, notes } = await redactInto(path, options.output, known);
    if (options.map !== undefined) await writePrivate(options.map, `${JSON.stringify(map, null, 1)}\n`);
    await warnOfRedaction(left, notes, io);
    const names = Object.keys(map.names).length;
    const addresses = Object.keys(map.addresses).length;
    await io.out.write(
      `${options.output}: ${files} files; replaced ${names} names and ${addresses} public addresses\n`,
    );
  } catch (error) {
    if (error instanceof SnapshotError || error instanceof ParseError) throw new UsageError(error.message);
    throw error;
  }
  return EXIT.answered;
}

/** Says what redaction left out, and what it could not keep. */
export async function warnOfRedaction(left: readonly string[], notes: readonly string[], io: Io): Promise<void> {
  for (const each of left) await io.err.write(`warning: ${each} is no text and was left out\n`);
  for (const note of notes) await io.err.write(`warning: ${note}\n`);
}
