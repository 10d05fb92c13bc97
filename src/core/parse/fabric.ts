/** fabric.json: what lies between the nodes. */
import type { Fabric, Segment } from "../model/snapshot.ts";
import { errorAt, field, objects, parseJson, sourceOf, strings, type JsonDoc, type JsonObject } from "./json-lines.ts";
import { documentObject, expectFormat } from "./json-object.ts";

function parseSegment(doc: JsonDoc, o: JsonObject): Segment {
  const list = field(doc, o, "attached", "array");
  const attached = list.map((each) => {
    if (!Array.isArray(each) || each.length !== 2)
      throw errorAt(doc, list, '"attached" should hold pairs [node, link]');
    const [node, dev] = each;
    if (typeof node !== "string" || typeof dev !== "string" || node === "" || dev === "")
      throw errorAt(doc, each, "a pair [node, link] should hold two names");
    return { node, dev };
  });
  return { name: field(doc, o, "name", "string"), attached, source: sourceOf(doc, o) };
}

/**
 * Reads fabric.json (format kubewalk.fabric/v1); `file` is its path in the snapshot.
 * Throws ParseError when it is malformed, of another format, or attaches one link twice.
 */
export function parseFabric(text: string, file: string): Fabric {
  const doc = parseJson(text, file);
  const o = documentObject(doc);
  expectFormat(doc, o, "kubewalk.fabric/v1");
  field(doc, o, "segments", "array");
  const segments = objects(doc, o, "segments");
  const seen = new Set<string>();
  const parsed = segments.map((each) => {
    const segment = parseSegment(doc, each);
    for (const { node, dev } of segment.attached) {
      // A link is a plug: it is in one segment.
      if (seen.has(`${node}/${dev}`)) throw errorAt(doc, each, `${dev} of ${node} is attached twice`);
      seen.add(`${node}/${dev}`);
    }
    return segment;
  });
  return { segments: parsed, routers: strings(doc, o, "routers"), external: strings(doc, o, "external") };
}
