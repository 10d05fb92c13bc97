/**
 * JSON that remembers on which line each object and array begins, so that every fact can name its line.
 * Tools print either one long line (iproute2, nft), which goes to the built-in parser, or indented text (kubectl, `-p`),
 * which goes to the scanner here.
 */
import { ParseError } from "../model/source.ts";
import type { Source } from "../model/source.ts";

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

export interface JsonDoc {
  readonly file: string;
  readonly value: JsonValue;
  /** The line, from 1, on which this object or array of the document begins. */
  line(o: object): number;
}

/** Deeper nesting than any tool prints; what reads the values may recurse safely. */
const MAX_DEPTH = 512;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

const isDigit = (c: number): boolean => c >= 48 && c <= 57;

const ESCAPES: Record<string, string> = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** RFC 8259, one pass, recursion bounded by MAX_DEPTH. */
class Scanner {
  readonly lines = new Map<object, number>();
  private readonly text: string;
  private readonly file: string;
  private readonly keepFirst: readonly string[];
  private at = 0;
  private lineNo = 1;
  private depth = 0;

  constructor(text: string, file: string, keepFirst: readonly string[]) {
    this.text = text;
    this.file = file;
    this.keepFirst = keepFirst;
  }

  document(): JsonValue {
    const value = this.value(this.space());
    this.space();
    if (this.at < this.text.length) throw this.unexpected("the end of the document");
    return value;
  }

  private fail(message: string): ParseError {
    return new ParseError({ file: this.file, line: this.lineNo }, message);
  }

  private unexpected(wanted: string): ParseError {
    if (this.at >= this.text.length) return this.fail(`JSON is cut off: expected ${wanted}`);
    const column = this.at - this.text.lastIndexOf("\n", this.at - 1);
    const found = JSON.stringify(String.fromCodePoint(this.text.codePointAt(this.at) ?? 0));
    return this.fail(`malformed JSON: expected ${wanted}, found ${found} in column ${column}`);
  }

  /** Skips white space; returns the character that follows (NaN at the end) without taking it. */
  private space(): number {
    const text = this.text;
    let at = this.at;
    let c = text.charCodeAt(at);
    while (c === 32 || c === 10 || c === 13 || c === 9) {
      if (c === 10) this.lineNo++;
      c = text.charCodeAt(++at);
    }
    this.at = at;
    return c;
  }

  private value(c: number): JsonValue {
    switch (c) {
      case QUOTE:
        return this.string();
      case OPEN_OBJECT:
        return this.object();
      case OPEN_ARRAY:
        return this.array();
      case 116:
        return this.word("true", true);
      case 102:
        return this.word("false", false);
      case 110:
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private word<T extends boolean | null>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) {
      if (word.startsWith(this.text.slice(this.at))) this.at = this.text.length;
      throw this.unexpected("a value");
    }
    this.at += word.length;
    return value;
  }

  private enter(container: object): void {
    if (++this.depth > MAX_DEPTH) throw this.fail(`JSON is nested more than ${MAX_DEPTH} deep`);
    this.lines.set(container, this.lineNo);
    this.at++;
  }

  private object(): JsonObject {
    const out: JsonObject = {};
    this.enter(out);
    let c = this.space();
    if (c !== CLOSE_OBJECT) {
      for (;;) {
        if (c !== QUOTE) throw this.unexpected("a name in quotes");
        const name = this.string();
        if (this.space() !== COLON) throw this.unexpected('":"');
        this.at++;
        const value = this.value(this.space());
        this.set(out, name, value);
        c = this.space();
        if (c === CLOSE_OBJECT) break;
        if (c !== COMMA) throw this.unexpected('"," or "}"');
        this.at++;
        c = this.space();
      }
    }
    this.at++;
    this.depth--;
    return out;
  }

  private set(out: JsonObject, name: string, value: JsonValue): void {
    if (name === "__proto__") {
      // Assigning it would set the prototype instead of making a property.
      Object.defineProperty(out, name, { value, enumerable: true, configurable: true, writable: true });
    } else if (this.keepFirst.length === 0 || !this.keepFirst.includes(name) || !Object.hasOwn(out, name))
      out[name] = value;
  }

  private array(): JsonValue[] {
    const out: JsonValue[] = [];
    this.enter(out);
    let c = this.space();
    if (c !== CLOSE_ARRAY) {
      for (;;) {
        out.push(this.value(c));
        c = this.space();
        if (c === CLOSE_ARRAY) break;
        if (c !== COMMA) throw this.unexpected('"," or "]"');
        this.at++;
        c = this.space();
      }
    }
    this.at++;
    this.depth--;
    return out;
  }

  private string(): string {
    const text = this.text;
    const start = ++this.at;
    let at = start;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === QUOTE) {
        this.at = at + 1;
        return text.slice(start, at);
      }
      if (c === BACKSLASH) return this.escaped(start, at);
      if (!(c >= 32)) throw this.badInString(at);
      at++;
    }
  }

  private badInString(at: number): ParseError {
    this.at = at;
    return this.unexpected(at >= this.text.length ? "the end of a string" : "no control character in a string");
  }

  /** The rest of a string whose first escape stands at `at`. */
  private escaped(start: number, at: number): string {
    const text = this.text;
    let out = text.slice(start, at);
    let from = at;
    for (;;) {
      const c = text.charCodeAt(at);
      if (c === QUOTE) {
        this.at = at + 1;
        return out + text.slice(from, at);
      }
      if (!(c >= 32)) throw this.badInString(at);
      if (c !== BACKSLASH) {
        at++;
        continue;
      }
      out += text.slice(from, at);
      const letter = text.charAt(at + 1);
      if (letter === "u") {
        const hex = text.slice(at + 2, at + 6);
        if (!/^[0-9a-fA-F]{4}$/.test(hex)) {
          this.at = Math.min(at + 2, text.length);
          throw this.unexpected("four hexadecimal digits");
        }
        out += String.fromCharCode(Number.parseInt(hex, 16));
        at += 6;
      } else {
        const plain = ESCAPES[letter];
        if (plain === undefined) {
          this.at = at + 1;
          throw this.unexpected("an escape");
        }
        out += plain;
        at += 2;
      }
      from = at;
    }
  }

  private number(): number {
    const text = this.text;
    const start = this.at;
    let at = start;
    let c = text.charCodeAt(at);
    if (c === 45) c = text.charCodeAt(++at);
    const firstDigit = at;
    let n = 0;
    while (isDigit(c)) {
      n = n * 10 + c - 48;
      c = text.charCodeAt(++at);
    }
    const digits = at - firstDigit;
    if (digits === 0) {
      this.at = at;
      throw this.unexpected(at === start ? "a value" : "a digit");
    }
    if (digits > 1 && text.charCodeAt(firstDigit) === 48) {
      this.at = firstDigit + 1;
      throw this.unexpected("no digit after a leading zero");
    }
    // 46 is ".", 69 and 101 are "E" and "e".
    if (c !== 46 && c !== 69 && c !== 101 && digits <= 15) {
      this.at = at;
      return firstDigit === start ? n : -n;
    }
    if (c === 46) at = this.digits(at + 1);
    c = text.charCodeAt(at);
    if (c === 69 || c === 101) {
      c = text.charCodeAt(at + 1);
      at = this.digits(c === 43 || c === 45 ? at + 2 : at + 1);
    }
    this.at = at;
    return Number(text.slice(start, at));
  }

  /** The end of at least one digit that begins at `at`. */
  private digits(at: number): number {
    const start = at;
    while (isDigit(this.text.charCodeAt(at))) at++;
    if (at === start) {
      this.at = at;
      throw this.unexpected("a digit");
    }
    return at;
  }
}

/** Whether brackets outside strings nest deeper than MAX_DEPTH; `text` is well-formed JSON. */
function tooDeep(text: string): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      for (i++; text.charCodeAt(i) !== QUOTE; i++) if (text.charCodeAt(i) === BACKSLASH) i++;
    } else if (c === OPEN_ARRAY || c === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true;
    } else if (c === CLOSE_ARRAY || c === CLOSE_OBJECT) depth--;
  }
  return false;
}

const onlyLine = (): number => 1;

/** Whether nothing but white space follows the first newline. */
function isOneLine(text: string): boolean {
  const newline = text.indexOf("\n");
  return newline < 0 || text.slice(newline).trim() === "";
}

/**
 * Reads one JSON document. `file` is its path in the snapshot, for messages.
 * Integers beyond 2^53 become the nearest double. Of a name that an object repeats the last value counts, or the first
 * when it is one of `keepFirst`.
 * Throws ParseError with the line when the text is malformed, cut off, blank or nested more than 512 deep.
 */
export function parseJson(text: string, file: string, keepFirst: readonly string[] = []): JsonDoc {
  if (keepFirst.length === 0 && isOneLine(text)) {
    const value = builtIn(text);
    if (value !== undefined && !tooDeep(text)) return { file, value, line: onlyLine };
    // The scanner says what is wrong, in the same words in every runtime.
  }
  const scanner = new Scanner(text, file, keepFirst);
  const value = scanner.document();
  return { file, value, line: (o) => scanner.lines.get(o) ?? 1 };
}

function builtIn(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
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
