/** A JSON reader for what the built-in one cannot do: lines, repeated names, messages that are the same in every runtime. */
import { ParseError } from "../model/source.ts";
import type { JsonObject, JsonValue } from "./json-value.ts";

/** Deeper nesting than any tool prints; what reads the values may recurse safely. */
export const MAX_DEPTH = 512;

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

/** A JSON text as a value (RFC 8259) and the line of each object and array; says in plain words what is wrong with a text. */
export class JsonScanner {
  /** Where each object and array of the document begins, from line 1. */
  readonly lines = new Map<object, number>();
  private readonly text: string;
  private readonly file: string;
  private readonly keepFirst: readonly string[];
  private at = 0;
  private lineNo = 1;
  private depth = 0;

  /** Of a name that an object repeats the last value counts, or the first when it is one of `keepFirst`. */
  constructor(text: string, file: string, keepFirst: readonly string[]) {
    this.text = text;
    this.file = file;
    this.keepFirst = keepFirst;
  }

  /** The whole text as one value. Throws ParseError when it is malformed, cut off, blank or nested more than MAX_DEPTH deep. */
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
