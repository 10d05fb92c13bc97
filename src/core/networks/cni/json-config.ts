/** Reads JSON that Go programs read with encoding/json: names of fields in any case, absent and null the same. */
import { IntentError } from "../network.ts";

export type JsonObject = Record<string, unknown>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The object that `text` holds. Throws IntentError, naming `what`, when it holds none. */
export function parseObject(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new IntentError(`${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(value)) throw new IntentError(`${what}: should be a JSON object`);
  return value;
}

/** A field by its name, exactly so or else in any case (encoding/json, Unmarshal); undefined when absent or null. */
export function fieldOf(o: JsonObject, name: string): unknown {
  const lower = name.toLowerCase();
  const value = Object.hasOwn(o, name) ? o[name] : Object.entries(o).find(([key]) => key.toLowerCase() === lower)?.[1];
  return value ?? undefined;
}

/** Fields of one type each; a field of another type is an IntentError that names `what` and the field. */
export function reader(o: JsonObject, what: string) {
  const typed = <T>(name: string, type: string, is: (value: unknown) => value is T): T | null => {
    const value = fieldOf(o, name);
    if (value === undefined) return null;
    if (!is(value)) throw new IntentError(`${what}: "${name}" should be ${type}`);
    return value;
  };
  return {
    has: (name: string): boolean => fieldOf(o, name) !== undefined,
    text: (name: string) => typed(name, "a string", (v) => typeof v === "string"),
    flag: (name: string) => typed(name, "true or false", (v) => typeof v === "boolean"),
    integer: (name: string) => typed(name, "an integer", (v): v is number => Number.isInteger(v)),
    object: (name: string) => typed(name, "an object", isObject),
    objects(name: string): JsonObject[] {
      const list = typed(name, "a list", (v): v is unknown[] => Array.isArray(v)) ?? [];
      return list.map((each) => {
        if (!isObject(each)) throw new IntentError(`${what}: "${name}" should be a list of objects`);
        return each;
      });
    },
    texts(name: string): string[] {
      const list = typed(name, "a list", (v): v is unknown[] => Array.isArray(v)) ?? [];
      return list.map((each) => {
        if (typeof each !== "string") throw new IntentError(`${what}: "${name}" should be a list of strings`);
        return each;
      });
    },
  };
}
