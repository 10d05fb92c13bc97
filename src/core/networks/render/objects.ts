/** Kubernetes objects from YAML, as a person writes them: any number of documents, Lists among them. */
import { isNode, LineCounter, parseAllDocuments } from "yaml";
import { ParseError } from "../../model/source.ts";
import { isRecord, textOf } from "./plain.ts";

/** Names of fields and numbers of list items, from the object down. */
export type FieldPath = readonly (string | number)[];

export interface WrittenObject {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  /** The object as it stands. */
  value: Record<string, unknown>;
  /** Where its document begins. */
  file: string;
  line: number;
  /** Line of a field, or of the nearest one around it that was written. */
  lineOf(path: FieldPath): number;
}

/** Where the fields of one document stand. */
type Place = (path: FieldPath) => number;

/** The objects in a value: itself, or a List's items. `path` leads from the document to the value. */
function objectsIn(value: unknown, file: string, path: FieldPath, place: Place): WrittenObject[] {
  const line = place(path);
  if (!isRecord(value)) throw new ParseError({ file, line }, "expected an object with apiVersion and kind");
  const kind = textOf(value["kind"]);
  const apiVersion = textOf(value["apiVersion"]);
  const items = value["items"];
  if (kind.endsWith("List") && Array.isArray(items)) {
    const typed = { apiVersion, kind: kind.slice(0, -"List".length) };
    return items.flatMap((item: unknown, i) =>
      objectsIn(isRecord(item) ? { ...typed, ...item } : item, file, [...path, "items", i], place),
    );
  }
  if (kind === "") throw new ParseError({ file, line }, 'expected an object with a "kind"');
  if (apiVersion === "") throw new ParseError({ file, line }, `expected an "apiVersion" in this ${kind}`);
  const metadata = isRecord(value["metadata"]) ? value["metadata"] : {};
  const name = textOf(metadata["name"]);
  // Configuration of programs, such as KubeProxyConfiguration, is no object of the API and has no name.
  if (name === "" && !apiVersion.includes(".config.k8s.io/"))
    throw new ParseError({ file, line }, `expected a name in the metadata of this ${kind}`);
  const namespace = textOf(metadata["namespace"]);
  return [{ apiVersion, kind, namespace, name, value, file, line, lineOf: (below) => place([...path, ...below]) }];
}

/**
 * Reads the objects of one file. Throws ParseError with the line for what is no YAML and for documents without apiVersion, kind and name;
 * empty documents are passed over.
 */
export function readObjects(text: string, file: string): WrittenObject[] {
  const lines = new LineCounter();
  const found: WrittenObject[] = [];
  for (const document of parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })) {
    const [error] = document.errors;
    if (error !== undefined) throw new ParseError({ file, line: lines.linePos(error.pos[0]).line }, error.message);
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    // The content's first line, past comments and the document's marker.
    const place: Place = (path) => {
      for (let length = path.length; length > 0; length--) {
        const node = document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return lines.linePos(document.contents?.range?.[0] ?? document.range[0]).line;
    };
    found.push(...objectsIn(value, file, [], place));
  }
  return found;
}

/** Kind, namespace and name, for people: `Pod shop/web-1`. */
export function titleOf({ kind, namespace, name }: Pick<WrittenObject, "kind" | "namespace" | "name">): string {
  return name === "" ? kind : `${kind} ${namespace === "" ? "" : `${namespace}/`}${name}`;
}

/** An error about an object, with the line where it stands. */
export function errorOf(object: WrittenObject, message: string): ParseError {
  const { file, line } = object;
  return new ParseError({ file, line }, `${titleOf(object)}: ${message}`);
}

/** An object that nobody wrote, because a program writes it itself. */
export function madeObject(value: {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
}): WrittenObject {
  const { apiVersion, kind, metadata } = value;
  const { name, namespace = "" } = metadata;
  return { apiVersion, kind, namespace, name, value, file: `${kind} ${name}`, line: 1, lineOf: () => 1 };
}

/** Throws ParseError when an object was written twice. */
export function checkUnique(objects: readonly WrittenObject[]): void {
  const seen = new Map<string, WrittenObject>();
  for (const each of objects) {
    const key = `${resourceOf(each)} ${each.namespace}/${each.name}`;
    const other = seen.get(key);
    if (other !== undefined) throw errorOf(each, `stands at ${other.file}:${other.line}, too`);
    seen.set(key, each);
  }
}

/** Groups whose objects are stored as other groups' resources: Calico's API server keeps its objects as CRDs. */
const GROUPS: Record<string, string> = { "projectcalico.org": "crd.projectcalico.org" };

/** The resource's name as `kubectl get` takes it and snapshots name their files: `pods`, `ippools.crd.projectcalico.org`. */
export function resourceOf({ apiVersion, kind }: Pick<WrittenObject, "apiVersion" | "kind">): string {
  const lower = kind.toLowerCase();
  // Endpoints are many from the start.
  const plural =
    lower === "endpoints"
      ? lower
      : /[^aeiou]y$/.test(lower)
        ? `${lower.slice(0, -1)}ies`
        : /(?:s|x|ch|sh)$/.test(lower)
          ? `${lower}es`
          : `${lower}s`;
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  return group === "" ? plural : `${plural}.${GROUPS[group] ?? group}`;
}
