/**
 * JSON that remembers on which line each object and array begins, so that every fact can name its line; and typed reading of fields.
 */
import { ParseError } from "../model/source.ts";
import type { Source } from "../model/source.ts";
import { indexLines } from "./json-line-index.ts";
import { JsonScanner, MAX_DEPTH } from "./json-scanner.ts";
import type { JsonObject, JsonValue } from "./json-value.ts";

export type { JsonObject, JsonValue };

export interface JsonDoc {
  readonly file: string;
  readonly value: JsonValue;
  /** The line, from 1, on which this object or array of the document begins. */
  line(o: object): number;
}

/** Whether a value nests more than `left` deep. Walking the value is several times faster than counting brackets in the text. */
function nestsBeyond(value: JsonValue, left: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (left === 0) return true;
  if (Array.isArray(value)) return value.some((each) => nestsBeyond(each, left - 1));
  for (const name in value) if (nestsBeyond(value[name]!, left - 1)) return true;
  return false;
}

const onlyLine = (): number => 1;

/** Whether nothing but white space follows the first newline. */
function isOneLine(text: string): boolean {
  const newline = text.indexOf("\n");
  return newline < 0 || text.slice(newline).trim() === "";
}

function builtIn(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/**
 * Reads one JSON document. `file` is its path in the snapshot, for messages.
 * Integers beyond 2^53 become the nearest double. Of a name that an object repeats the last value counts, or the first
 * when it is one of `keepFirst`. Lines are found when the first one is asked for.
 * Throws ParseError with the line when the text is malformed, cut off, blank or nested more than 512 deep.
 */
export function parseJson(text: string, file: string, keepFirst: readonly string[] = []): JsonDoc {
  const value = keepFirst.length === 0 ? builtIn(text) : undefined;
  if (value !== undefined && !nestsBeyond(value, MAX_DEPTH)) {
    if (isOneLine(text)) return { file, value, line: onlyLine };
    let lines: ReadonlyMap<object, number> | null = null;
    return { file, value, line: (o) => (lines ??= indexLines(text, value, file)).get(o) ?? 1 };
  }
  // The scanner says what is wrong, in the same words in every runtime.
  const scanner = new JsonScanner(text, file, keepFirst);
  return { file, value: scanner.document(), line: (o) => scanner.lines.get(o) ?? 1 };
}

/** What a field may be asked to be. `integer` is a whole number of any size. */
export interface JsonTypes {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
  object: JsonObject;
  array: JsonValue[];
}

/** Whether a value is an object, not null and no array. */
export function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function is<K extends keyof JsonTypes>(value: JsonValue, type: K): boolean {
  switch (type) {
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** A value as a message shows it, shortened. */
export function shown(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "an array";
  if (isObject(value)) return "an object";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

/** Where an object of the document stands. */
export function sourceOf(doc: JsonDoc, o: object): Source {
  return { file: doc.file, line: doc.line(o) };
}

/** An error at the line of `o`, to be thrown. */
export function errorAt(doc: JsonDoc, o: object, message: string): ParseError {
  return new ParseError(sourceOf(doc, o), message);
}

/** The field `name` of `o`; null when it is absent or JSON null. Throws ParseError when it is of another type. */
export function optional<K extends keyof JsonTypes>(
  doc: JsonDoc,
  o: JsonObject,
  name: string,
  type: K,
): JsonTypes[K] | null {
  const value = o[name];
  if (value === undefined || value === null) return null;
  if (!is(value, type)) throw errorAt(doc, o, `"${name}" should be ${article(type)}, not ${shown(value)}`);
  return value as JsonTypes[K];
}

/** The field `name` of `o`. Throws ParseError when it is absent, null or of another type. */
export function field<K extends keyof JsonTypes>(doc: JsonDoc, o: JsonObject, name: string, type: K): JsonTypes[K] {
  const value = optional(doc, o, name, type);
  if (value === null) throw errorAt(doc, o, `"${name}" is missing; it should be ${article(type)}`);
  return value;
}

const article = (type: keyof JsonTypes): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

/** `value`, a part of `parent`, as an object. Throws ParseError at the parent's line when it is none. */
export function asObject(doc: JsonDoc, parent: object, value: JsonValue | undefined, what: string): JsonObject {
  if (!isObject(value)) throw errorAt(doc, parent, `${what} should be an object, not ${shown(value)}`);
  return value;
}

/** The objects of an array field; empty when the field is absent. Throws ParseError when an element is no object. */
export function objects(doc: JsonDoc, o: JsonObject, name: string): JsonObject[] {
  const list = optional(doc, o, name, "array");
  return list === null ? [] : list.map((each) => asObject(doc, list, each, `every element of "${name}"`));
}

/** The strings of an array field; empty when the field is absent. Throws ParseError when an element is no string. */
export function strings(doc: JsonDoc, o: JsonObject, name: string): string[] {
  const list = optional(doc, o, name, "array");
  if (list === null) return [];
  for (const each of list) {
    if (typeof each !== "string")
      throw errorAt(doc, list, `every element of "${name}" should be a string, not ${shown(each)}`);
  }
  return list as string[];
}

/** The document as an array of objects, which is what iproute2 prints. Throws ParseError otherwise. */
export function rows(doc: JsonDoc): JsonObject[] {
  const list = doc.value;
  if (!Array.isArray(list)) throw new ParseError({ file: doc.file, line: 1 }, `should be an array, not ${shown(list)}`);
  return list.map((each) => asObject(doc, list, each, "every element"));
}
