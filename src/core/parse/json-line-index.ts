/** The lines of a document's objects and arrays, found without reading its values a second time. */
import { JsonScanner } from "./json-scanner.ts";
import type { JsonValue } from "./json-value.ts";

const QUOTE = 34;
const BACKSLASH = 92;

/** What a text shows outside its strings. */
interface Outline {
  /** Lines on which objects and arrays begin, in the order of the text. */
  lines: number[];
  names: number;
  /** A name begins with a digit or an escape: JavaScript may keep it in another order than the text. */
  reordered: boolean;
}

/** The end of a string whose first character is at `at`. */
function closingQuote(text: string, at: number): number {
  for (let end = text.indexOf('"', at); ; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
}

/** Reads a well-formed text from bracket to bracket. */
function outline(text: string): Outline {
  const lines: number[] = [];
  let line = 1;
  let names = 0;
  let reordered = false;
  let first = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE:
        first = text.charCodeAt(i + 1);
        i = closingQuote(text, i + 1);
        break;
      case 58: // ":"
        names++;
        reordered ||= (first >= 48 && first <= 57) || first === BACKSLASH;
        break;
      case 91: // "["
      case 123: // "{"
        lines.push(line);
        break;
      case 10:
        line++;
        break;
      default:
    }
  }
  return { lines, names, reordered };
}

/** Values of the text's order, outer before inner; null when the value cannot be in that order. */
function inTextOrder(value: JsonValue, found: Outline): Map<object, number> | null {
  if (found.reordered) return null;
  const map = new Map<object, number>();
  let names = 0;
  const walk = (v: JsonValue): void => {
    if (typeof v !== "object" || v === null) return;
    map.set(v, found.lines[map.size] ?? 0);
    if (Array.isArray(v)) {
      for (const each of v) walk(each);
      return;
    }
    for (const name in v) {
      names++;
      walk(v[name]!);
    }
  };
  walk(value);
  // A name that an object repeats has gone from the value: fewer names than in the text.
  return names === found.names ? map : null;
}

/** The lines of `value` by those of `twin`, the same document read by the scanner. */
function byTwin(value: JsonValue, twin: JsonValue, lines: ReadonlyMap<object, number>): Map<object, number> {
  const map = new Map<object, number>();
  const walk = (v: JsonValue | undefined, t: JsonValue | undefined): void => {
    if (typeof v !== "object" || v === null || typeof t !== "object" || t === null) return;
    map.set(v, lines.get(t) ?? 1);
    if (Array.isArray(v)) v.forEach((each, i) => walk(each, Array.isArray(t) ? t[i] : undefined));
    else for (const [name, each] of Object.entries(v)) walk(each, Array.isArray(t) ? undefined : t[name]);
  };
  walk(value, twin);
  return map;
}

/** The line, from 1, on which each object and array of `value` begins in `text`, which JSON.parse made it from. */
export function indexLines(text: string, value: JsonValue, file: string): ReadonlyMap<object, number> {
  const direct = inTextOrder(value, outline(text));
  if (direct !== null) return direct;
  const scanner = new JsonScanner(text, file, []);
  return byTwin(value, scanner.document(), scanner.lines);
}
