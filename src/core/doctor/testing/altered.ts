/** Recordings of real clusters with some of their files altered, for tests of checks. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { folderFiles } from "../../../host/snapshot/folder-files.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { assembleSnapshot } from "../../parse/snapshot.ts";

const FIXTURES = fileURLToPath(new URL("../../../../../shared/fixtures/", import.meta.url));

/** The new text of a file, or what becomes of its text ("" when there was no such file); null takes the file away. */
export type Edit = string | ((text: string) => string) | null;

/** Whether the recording is there; a test that needs it skips when it is not. */
export const hasRecording = (name: string): boolean => existsSync(`${FIXTURES}${name}/snapshot`);

/**
 * The recording `name` with these files altered, by their paths in the snapshot. Throws when an edit changes nothing, because the test
 * would then prove nothing.
 */
export function altered(name: string, edits: Readonly<Record<string, Edit>> = {}): Snapshot {
  const files = folderFiles(`${FIXTURES}${name}/snapshot`);
  const texts = new Map<string, string | null>();
  for (const [path, edit] of Object.entries(edits)) {
    const before = files.read(path);
    const after = typeof edit === "function" ? edit(before ?? "") : edit;
    if (after === (before ?? null)) throw new Error(`the edit of ${path} changes nothing`);
    texts.set(path, after);
  }
  const removed = (path: string): boolean => texts.get(path) === null;
  return assembleSnapshot({
    *paths() {
      const seen = new Set<string>();
      for (const path of files.paths()) {
        seen.add(path);
        if (!removed(path)) yield path;
      }
      for (const path of texts.keys()) if (!seen.has(path) && !removed(path)) yield path;
    },
    read: (path) => (texts.has(path) ? (texts.get(path) ?? undefined) : files.read(path)),
  });
}
