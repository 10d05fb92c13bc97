/** netns.json: what one recorded network namespace is. */
import { ParseError } from "../model/source.ts";
import { documentObject } from "./json-object.ts";
import { field, optional, parseJson, shown, sourceOf, type JsonDoc, type JsonObject } from "./json-lines.ts";

export interface NetnsInfo {
  inode: number;
  /** Path of the namespace on the node, null when none leads to it. */
  path: string | null;
  pod: { namespace: string; name: string } | null;
}

/** Reads netns.json; `file` is its path in the snapshot. Throws ParseError when it is malformed. */
export function parseNetns(text: string, file: string): NetnsInfo {
  const doc = parseJson(text, file);
  const value = documentObject(doc);
  const pod = optional(doc, value, "pod", "object");
  return {
    inode: field(doc, value, "inode", "integer"),
    path: optional(doc, value, "path", "string"),
    pod: pod === null ? null : podName(doc, pod),
  };
}

function podName(doc: JsonDoc, pod: JsonObject): NetnsInfo["pod"] {
  const namespace = field(doc, pod, "namespace", "string");
  const name = field(doc, pod, "name", "string");
  // Both become part of a place's name, NODE/pod/NAMESPACE/NAME.
  for (const part of [namespace, name])
    if (!/^[^/\s]+$/.test(part)) throw new ParseError(sourceOf(doc, pod), `${shown(part)} is no name of a pod`);
  return { namespace, name };
}
