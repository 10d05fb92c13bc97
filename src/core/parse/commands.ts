/** commands.json: how each command of a node ended. */
import type { Source } from "../model/source.ts";
import { field, optional, parseJson, rows, sourceOf } from "./json-lines.ts";

export interface CommandRecord {
  /** Where its output went, within the node's folder: `host/addr.json`. */
  file: string;
  command: string;
  /** Null when it was ended by something else (a time-out, a signal). */
  exit: number | null;
  stderr: string;
  /** Length of the recorded output in bytes; null when the recorder did not note it. Tells a cut file from a whole one. */
  bytes: number | null;
  source: Source;
}

/**
 * Reads commands.json; `file` is its path in the snapshot. Returns the records by output file; the last of a file counts.
 * Throws ParseError when it is not an array of records.
 */
export function parseCommands(text: string, file: string): Map<string, CommandRecord> {
  const doc = parseJson(text, file);
  const records = new Map<string, CommandRecord>();
  for (const row of rows(doc)) {
    const source = sourceOf(doc, row);
    const record = {
      file: field(doc, row, "file", "string"),
      command: field(doc, row, "command", "string"),
      exit: optional(doc, row, "exit", "integer"),
      stderr: optional(doc, row, "stderr", "string") ?? "",
      bytes: optional(doc, row, "bytes", "integer"),
      source,
    };
    records.set(record.file, record);
  }
  return records;
}
