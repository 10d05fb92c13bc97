/**
 * Changes of the cluster's objects that faults make. They are kept with the lab's notes, so that whoever looks at the lab later sees the
 * objects as they are now.
 */
import type { WrittenObject } from "../../../core/networks/render/objects.ts";
import { LabError, type Intended, type Lab } from "../parts.ts";

/** Key of the notes. */
const NOTE = "objects";

type Fields = Record<string, unknown>;

/** An object as it is now; null: it is gone. */
interface Edit {
  kind: string;
  namespace: string;
  name: string;
  value: Fields | null;
  /** The fault that made it so. */
  by: string;
}

type Named = Pick<WrittenObject, "kind" | "namespace" | "name">;

const same = (a: Named, b: Named): boolean =>
  a.kind === b.kind && a.name === b.name && (a.namespace || "default") === (b.namespace || "default");

const edits = (notes: ReadonlyMap<string, unknown>): Edit[] => (notes.get(NOTE) ?? []) as Edit[];

/** The objects of a lab as they are now: those of its scenario, with what faults changed. */
export function objectsNow({
  intended,
  notes,
}: {
  intended: Intended;
  notes: ReadonlyMap<string, unknown>;
}): WrittenObject[] {
  let objects = [...intended.objects];
  for (const edit of edits(notes)) {
    const at = objects.findIndex((each) => same(each, edit));
    const { value } = edit;
    if (value === null) objects = objects.filter((each) => !same(each, edit));
    else if (at >= 0) objects = objects.with(at, { ...objects[at]!, value });
    else {
      const { kind, namespace, name } = edit;
      const apiVersion = String(value["apiVersion"] ?? "v1");
      objects.push({ apiVersion, kind, namespace, name, value, file: `fault ${edit.by}`, line: 1, lineOf: () => 1 });
    }
  }
  return objects;
}

function put(lab: Lab, edit: Edit): void {
  const others = edits(lab.notes).filter((each) => !(same(each, edit) && each.by === edit.by));
  lab.notes.set(NOTE, [...others, edit]);
}

/** Changes an object: `change` gets a copy of it as it is now. Throws LabError when there is none. */
export function changeObject(lab: Lab, by: string, named: Named, change: (value: Fields) => void): void {
  const found = objectsNow(lab).find((each) => same(each, named));
  if (found === undefined) throw new LabError(`${by}: the lab has no ${named.kind} ${named.namespace}/${named.name}`);
  const value = structuredClone(found.value);
  change(value);
  put(lab, { ...named, value, by });
}

/** Adds an object. */
export function addObject(lab: Lab, by: string, value: Fields): void {
  const { name, namespace = "" } = value["metadata"] as { name: string; namespace?: string };
  put(lab, { kind: String(value["kind"]), namespace, name, value, by });
}

/** Removes an object. */
export function removeObject(lab: Lab, by: string, named: Named): void {
  const { kind, namespace, name } = named;
  put(lab, { kind, namespace, name, value: null, by });
}

/** Takes back all that a fault changed. */
export function restoreObjects(lab: Lab, by: string): void {
  lab.notes.set(
    NOTE,
    edits(lab.notes).filter((each) => each.by !== by),
  );
}
