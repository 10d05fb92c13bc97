/** snapshot.json: what a snapshot says of itself. */
import { errorAt, field, optional, parseJson, shown, strings } from "./json-lines.ts";
import { documentObject, expectFormat } from "./json-object.ts";

export interface SnapshotInfo {
  /** RFC 3339 time, as it stands. */
  takenAt: string | null;
  nodes: string[];
  /** Every other field, as it stands. */
  info: Record<string, unknown>;
}

/**
 * Reads snapshot.json (format kubewalk.snapshot/v1); `file` is its path in the snapshot.
 * Throws ParseError when it is malformed or of another format, or a node's name could not be a folder's.
 */
export function parseSnapshotJson(text: string, file: string): SnapshotInfo {
  const doc = parseJson(text, file);
  const o = documentObject(doc);
  expectFormat(doc, o, "kubewalk.snapshot/v1");
  field(doc, o, "nodes", "array");
  const nodes = strings(doc, o, "nodes");
  for (const [i, node] of nodes.entries()) {
    if (!/^[^/\s]+$/.test(node) || node === "." || node === "..")
      throw errorAt(doc, o, `${shown(node)} is no name of a node`);
    if (nodes.indexOf(node) !== i) throw errorAt(doc, o, `the node ${shown(node)} is listed twice`);
  }
  const { format: _format, takenAt: _takenAt, nodes: _nodes, ...info } = o;
  return { takenAt: optional(doc, o, "takenAt", "string"), nodes, info };
}
