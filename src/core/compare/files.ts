/** Configuration files and command lines of the nodes' programs, line by line; and what lies between the nodes. */
import type { Snapshot } from "../model/snapshot.ts";
import { compareItems, type Item } from "./items.ts";
import type { Report } from "./report.ts";

/** Files that programs write as they run: addresses that are handed out, logs, what CNI plugins remember, BPF maps. */
const WRITTEN = /\/files\/(?:var|run|tmp|proc|sys)\/|\/bpf\//;

/** A command line is one long line. */
const isConfiguration = (path: string): boolean => !WRITTEN.test(path);

const nodeOf = (path: string): string => path.split("/", 2)[1] ?? "";

/** The first line in which the texts differ, from 1. */
function firstDifference(a: readonly string[], b: readonly string[]): number {
  let i = 0;
  while (i < a.length && i < b.length && a[i] === b[i]) i++;
  return i + 1;
}

/** Compares the configuration of the machines that both snapshots have. */
export function compareFiles(before: Snapshot, after: Snapshot, machines: ReadonlySet<string>, report: Report): void {
  const paths = new Set([...before.files, ...after.files].filter((path) => isConfiguration(path)));
  for (const path of [...paths].toSorted()) {
    const at = `${nodeOf(path)}/host`;
    if (!machines.has(at)) continue;
    const [a, b] = [before.text(path), after.text(path)];
    if (a === b) continue;
    const what = path.split("/").slice(2).join("/");
    const [x, y] = [(a ?? "").split("\n"), (b ?? "").split("\n")];
    const line = a === undefined || b === undefined ? 1 : firstDifference(x, y);
    const sideOf = (lines: readonly string[]): { text: string; source: { file: string; line: number } } => ({
      text: (lines[line - 1] ?? "").replaceAll("\0", " ").trim(),
      source: { file: path, line },
    });
    if (a === undefined) report.added(at, "file", what, sideOf(y));
    else if (b === undefined) report.removed(at, "file", what, sideOf(x));
    else report.changed(at, "file", what, sideOf(x), sideOf(y), []);
  }
}

function segments(snapshot: Snapshot): Item[] {
  return (snapshot.fabric?.segments ?? []).map((segment) => {
    const attached = segment.attached.map(({ node, dev }) => `${node} ${dev}`).toSorted();
    const text = `${segment.name}: ${attached.join(", ")}`;
    return {
      key: segment.name,
      what: segment.name,
      fields: { attached: attached.join(", ") },
      text,
      source: segment.source,
    };
  });
}

/** Compares who is attached to which segment. */
export function compareFabric(before: Snapshot, after: Snapshot, report: Report): void {
  if (before.fabric === null && after.fabric === null) return;
  if (before.fabric === null || after.fabric === null)
    report.unknown.push({
      at: "cluster",
      what: "fabric.json",
      why: before.fabric === null ? "not recorded before" : "not recorded after",
    });
  else compareItems("cluster", "segment", segments(before), segments(after), report);
}
