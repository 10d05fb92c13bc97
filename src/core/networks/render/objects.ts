/** Kubernetes objects from YAML, as a person writes them: any number of documents, Lists among them. */
import { LineCounter, parseAllDocuments } from "yaml";
import { ParseError } from "../../model/source.ts";

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
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/**
 * Reads the objects of one file. Throws ParseError with the line for what is no YAML and for documents without apiVersion and kind;
 * empty documents are passed over.
 */
export function readObjects(text: string, file: string): WrittenObject[] {
  const lines = new LineCounter();
  const found: WrittenObject[] = [];
  const add = (value: unknown, line: number): void => {
    if (!isRecord(value)) throw new ParseError({ file, line }, "expected an object with apiVersion and kind");
    const kind = textOf(value["kind"]);
    const apiVersion = textOf(value["apiVersion"]);
    if (kind.endsWith("List") && Array.isArray(value["items"])) {
      for (const item of value["items"])
        add(isRecord(item) ? { apiVersion, kind: kind.slice(0, -"List".length), ...item } : item, line);
      return;
    }
    if (kind === "") throw new ParseError({ file, line }, 'expected an object with a "kind"');
    if (apiVersion === "") throw new ParseError({ file, line }, `expected an "apiVersion" in this ${kind}`);
    const metadata = isRecord(value["metadata"]) ? value["metadata"] : {};
    found.push({
      apiVersion,
      kind,
      namespace: textOf(metadata["namespace"]),
      name: textOf(metadata["name"]),
      value,
      file,
      line,
    });
  };
  for (const document of parseAllDocuments(text, { lineCounter: lines, prettyErrors: false })) {
    const [error] = document.errors;
    if (error !== undefined) throw new ParseError({ file, line: lines.linePos(error.pos[0]).line }, error.message);
    const value: unknown = document.toJS();
    if (value === null || value === undefined) continue;
    // The content's first line, past comments and the document's marker.
    add(value, lines.linePos(document.contents?.range?.[0] ?? document.range[0]).line);
  }
  return found;
}

/** Groups whose objects are stored as other groups' resources: Calico's API server keeps its objects as CRDs. */
const GROUPS: Record<string, string> = { "projectcalico.org": "crd.projectcalico.org" };

/** The resource's name as `kubectl get` takes it and snapshots name their files: `pods`, `ippools.crd.projectcalico.org`. */
export function resourceOf({ apiVersion, kind }: Pick<WrittenObject, "apiVersion" | "kind">): string {
  const lower = kind.toLowerCase();
  const plural = /[^aeiou]y$/.test(lower)
    ? `${lower.slice(0, -1)}ies`
    : /(?:s|x|ch|sh)$/.test(lower)
      ? `${lower}es`
      : `${lower}s`;
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  return group === "" ? plural : `${plural}.${GROUPS[group] ?? group}`;
}
