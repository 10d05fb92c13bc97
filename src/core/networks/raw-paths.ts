/** Typed looks into objects that were recorded as they are (`Cluster.raw`): what is not there or of another type reads as null. */

/** An object of JSON or YAML whose fields nobody has checked as yet. */
export type Plain = Readonly<Record<string, unknown>>;

/** `value` as an object; null for arrays, null and everything else. */
export function plain(value: unknown): Plain | null {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Plain) : null;
}

/** What stands at the end of `path` in `value`; undefined when a step is missing. */
export function at(value: unknown, ...path: string[]): unknown {
  let here: unknown = value;
  for (const step of path) {
    const object = plain(here);
    if (object === null || !Object.hasOwn(object, step)) return undefined;
    here = object[step];
  }
  return here;
}

/** A string at `path`; null when there is none. */
export function textAt(value: unknown, ...path: string[]): string | null {
  const found = at(value, ...path);
  return typeof found === "string" ? found : null;
}

/** A number at `path`, also when it is written as a string of digits; null when there is none. */
export function numberAt(value: unknown, ...path: string[]): number | null {
  const found = at(value, ...path);
  if (typeof found === "number" && Number.isFinite(found)) return found;
  return typeof found === "string" && /^-?\d+$/.test(found) ? Number(found) : null;
}

/** A boolean at `path`; null when there is none. */
export function flagAt(value: unknown, ...path: string[]): boolean | null {
  const found = at(value, ...path);
  return typeof found === "boolean" ? found : null;
}

/** The list at `path`; empty when there is none. */
export function listAt(value: unknown, ...path: string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The strings of the list at `path`. */
export function textsAt(value: unknown, ...path: string[]): string[] {
  return listAt(value, ...path).filter((each) => typeof each === "string");
}

/** The string fields of the object at `path`: labels, data of a ConfigMap. */
export function mapAt(value: unknown, ...path: string[]): Map<string, string> {
  const map = new Map<string, string>();
  for (const [key, each] of Object.entries(plain(at(value, ...path)) ?? {}))
    if (typeof each === "string") map.set(key, each);
  return map;
}
