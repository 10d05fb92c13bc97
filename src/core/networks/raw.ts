/** Reads recorded custom resources, which come as they are: every part may be absent or of another kind than it should be. */
import type { Cluster } from "../model/cluster.ts";

export type Raw = Readonly<Record<string, unknown>>;

const EMPTY: Raw = {};

/** The value as an object; one without fields when it is none. */
export function object(value: unknown): Raw {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : EMPTY;
}

/** The value as a list; empty when it is none. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The value as a text that says something; null otherwise. */
export function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

/** The texts of a list, the rest left out. */
export function texts(value: unknown): string[] {
  return list(value).filter((each) => typeof each === "string");
}

/** The value as a whole number; null otherwise. */
export function whole(value: unknown): number | null {
  return typeof value === "number" && Number.isInteger(value) ? value : null;
}

/** The fields of an object that are texts: labels, annotations, attributes. */
export function textMap(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object(value)).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** A recorded object's own name, labels and annotations, and its spec. */
export interface Resource {
  namespace: string;
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  /** Whether it is being deleted. */
  deleting: boolean;
  /** Seconds since 1970 of its creation; null when not said. */
  created: number | null;
  spec: Raw;
  status: Raw;
}

/** Seconds since 1970 of an RFC 3339 time; null when it is none. */
export function seconds(value: unknown): number | null {
  const time = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time / 1000;
}

/** The recorded objects of a resource (`ippools.crd.projectcalico.org`), by name as the API server lists them; nameless ones left out. */
export function resources(cluster: Cluster, resource: string): Resource[] {
  const out = (cluster.raw.get(resource) ?? []).flatMap((item): Resource[] => {
    const meta = object(object(item)["metadata"]);
    const name = text(meta["name"]);
    if (name === null) return [];
    return [
      {
        namespace: text(meta["namespace"]) ?? "",
        name,
        labels: textMap(meta["labels"]),
        annotations: textMap(meta["annotations"]),
        deleting: text(meta["deletionTimestamp"]) !== null,
        created: seconds(meta["creationTimestamp"]),
        spec: object(object(item)["spec"]),
        status: object(object(item)["status"]),
      },
    ];
  });
  const key = (each: Resource): string => `${each.namespace}/${each.name}`;
  return out.toSorted((x, y) => (key(x) < key(y) ? -1 : key(x) > key(y) ? 1 : 0));
}
