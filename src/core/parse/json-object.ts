/** Documents that are one object, and name their own format. */
import { ParseError } from "../model/source.ts";
import { field, isObject, shown, type JsonDoc, type JsonObject } from "./json-lines.ts";

/** The document as one object. Throws ParseError when it is anything else. */
export function documentObject(doc: JsonDoc): JsonObject {
  if (!isObject(doc.value))
    throw new ParseError({ file: doc.file, line: 1 }, `should be an object, not ${shown(doc.value)}`);
  return doc.value;
}

/** Throws ParseError unless the object's `format` is `format`. */
export function expectFormat(doc: JsonDoc, o: JsonObject, format: string): void {
  const found = field(doc, o, "format", "string");
  if (found !== format)
    throw new ParseError({ file: doc.file, line: doc.line(o) }, `the format is ${shown(found)}, not "${format}"`);
}
