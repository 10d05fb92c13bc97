/** Written objects as they come: every part may be absent or of another kind than it should be. */

export type Fields = Record<string, unknown>;

export const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object in a field, made when it is not there. */
export function part(object: Fields, name: string): Fields {
  const there = object[name];
  if (isRecord(there)) return there;
  const made: Fields = {};
  object[name] = made;
  return made;
}

/** The objects of a list; empty when it is none. */
export const listOf = (value: unknown): Fields[] => (Array.isArray(value) ? value.filter(isRecord) : []);

/** The value as a text; "" when it is none. */
export const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** The texts of a list; empty when it is none. */
export const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];

/** The first of `make(from)`, `make(from + 1)` … that is not taken. */
export function nextFree(taken: ReadonlySet<string>, make: (n: number) => string, from: number): string {
  for (let n = from; ; n++) {
    const one = make(n);
    if (!taken.has(one)) return one;
  }
}
