/** For tests: what the comparison finds in a recording of which some files were altered, and edits that keep lines apart. */
import { altered, type Edit } from "../../doctor/testing/altered.ts";
import { diff } from "../diff.ts";
import type { Diff } from "../types.ts";

type Row = Record<string, unknown>;

/** Differences and what is nobody's, with where the snapshot shows it as `FILE:LINE` within the node's folder. */
export interface Found {
  differences: { owner: string; at: string; kind: string; intended: unknown; actual: unknown; where: string | null }[];
  unowned: { at: string; kind: string; text: string; where: string }[];
}

/** Compares the recording `name` with these files altered, by their paths below `nodes/`. */
export function compared(name: string, edits: Readonly<Record<string, Edit>> = {}): Diff {
  return diff(altered(name, Object.fromEntries(Object.entries(edits).map(([path, edit]) => [`nodes/${path}`, edit]))));
}

/** What is found beside what is equal. */
export function found(name: string, edits: Readonly<Record<string, Edit>>): Found {
  const { differences, unowned, unknown } = compared(name, edits);
  if (unknown.length > 0) throw new Error(`not compared: ${JSON.stringify(unknown)}`);
  const where = (source: { file: string; line: number }): string =>
    `${source.file.replace(/^nodes\//, "")}:${source.line}`;
  return {
    differences: differences.map(({ source, ...each }) => ({ ...each, where: source === null ? null : where(source) })),
    unowned: unowned.map(({ source, ...each }) => ({ ...each, where: where(source) })),
  };
}

/** A JSON list with a row on each line, after `change` has had its way with it: row i, from 0, is on line i + 2. */
export function rows(change: (rows: Row[]) => Row[]): Edit {
  return (text) =>
    `[\n${change(JSON.parse(text) as Row[])
      .map((row) => JSON.stringify(row))
      .join(",\n")}\n]\n`;
}

/** The lines of a file after `change`. */
export function lines(change: (lines: string[]) => string[]): Edit {
  return (text) => change(text.split("\n")).join("\n");
}

/** The lines with `more` behind the one that holds `mark`, the last of several. Throws when none does. */
export function insertedAfter(all: readonly string[], mark: string, more: string): string[] {
  const at = all.findLastIndex((line) => line.includes(mark));
  if (at < 0) throw new Error(`no line has ${mark}`);
  return [...all.slice(0, at + 1), more, ...all.slice(at + 1)];
}

/** The lines with the first that holds `mark` behind the one that follows it. Throws when none does. */
export function swapped(all: readonly string[], mark: string): string[] {
  const at = all.findIndex((line) => line.includes(mark));
  const [line, next] = [all[at], all[at + 1]];
  if (line === undefined || next === undefined) throw new Error(`no two lines from ${mark} on`);
  return all.with(at, next).with(at + 1, line);
}
