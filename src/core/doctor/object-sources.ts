/** Where the objects of a recorded list stand: `kubectl get RESOURCE -A -o json` as it was printed. */
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";

const known = new WeakMap<Snapshot, Map<string, readonly Source[]>>();

/** Lines on which the elements of the list's `items` begin. */
function itemLines(text: string): number[] {
  const found: number[] = [];
  let line = 1;
  let depth = 0;
  let inString = false;
  // What stands before the bracket at depth 1: the name of the field whose value it opens.
  let name = "";
  let wordFrom = 0;
  let items = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\n") line++;
    if (inString) {
      if (c === "\\") i++;
      else if (c === '"') {
        inString = false;
        if (depth === 1) name = text.slice(wordFrom, i);
      }
    } else if (c === '"') {
      inString = true;
      wordFrom = i + 1;
    } else if (c === "{" || c === "[") {
      if (c === "[" && depth === 1 && name === "items") items = true;
      if (c === "{" && depth === 2 && items) found.push(line);
      depth++;
    } else if (c === "}" || c === "]") {
      depth--;
      if (depth === 1) items = false;
    }
  }
  return found;
}

/** Of every object of `cluster/RESOURCE.json` the place where it begins, in the order of `cluster.raw`. */
export function objectSources(snapshot: Snapshot, resource: string): readonly Source[] {
  let byResource = known.get(snapshot);
  if (byResource === undefined) known.set(snapshot, (byResource = new Map()));
  let sources = byResource.get(resource);
  if (sources === undefined) {
    const file = `cluster/${resource}.json`;
    sources = itemLines(snapshot.text(file) ?? "").map((line) => ({ file, line }));
    byResource.set(resource, sources);
  }
  return sources;
}
