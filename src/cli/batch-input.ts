/** Reads questions one after another from a JSON array or from JSON lines, as they arrive. */
import { ParseError } from "../core/model/source.ts";
import { parseJson, type JsonValue } from "../core/parse/json-lines.ts";

/** One question as it was written, and its line in the input, from 1. */
export interface BatchItem {
  value: JsonValue;
  line: number;
}

/** A stretch of input that should be one JSON value. */
interface Piece {
  text: string;
  line: number;
}

const NEWLINE = 10;
const isBlank = (code: number): boolean => code === 32 || (code >= 9 && code <= 13) || code === 0xfeff;

/** Cuts input into pieces, chunk by chunk: the elements of an array when it begins with `[`, else its lines. */
class Splitter {
  private mode: "unknown" | "array" | "lines" | "closed" = "unknown";
  /** What has arrived of the piece at hand. */
  private rest = "";
  /** Lines: of the piece at hand. Arrays: of the character at hand. */
  private line = 1;
  private elementLine = 1;
  private depth = 0;
  private inString = false;
  private escaped = false;
  /** A comma went before: an element must follow. */
  private expecting = false;
  private readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  private error(message: string): ParseError {
    return new ParseError({ file: this.file, line: this.line }, message);
  }

  *feed(chunk: string): Generator<Piece> {
    let at = 0;
    if (this.mode === "unknown") {
      while (at < chunk.length && isBlank(chunk.charCodeAt(at))) {
        if (chunk.charCodeAt(at) === NEWLINE) this.line++;
        at++;
      }
      if (at === chunk.length) return;
      this.mode = chunk[at] === "[" ? "array" : "lines";
      if (this.mode === "array") at++;
    }
    if (this.mode === "lines") yield* this.lines(chunk.slice(at));
    else yield* this.elements(chunk, at);
  }

  private *lines(chunk: string): Generator<Piece> {
    const parts = (this.rest + chunk).split("\n");
    this.rest = parts.pop() ?? "";
    for (const text of parts) {
      if (text.trim() !== "") yield { text, line: this.line };
      this.line++;
    }
  }

  private *elements(chunk: string, from: number): Generator<Piece> {
    let start = from;
    for (let i = from; i < chunk.length; i++) {
      const c = chunk[i]!;
      if (c === "\n") this.line++;
      if (this.inString) {
        if (this.escaped) this.escaped = false;
        else if (c === "\\") this.escaped = true;
        else if (c === '"') this.inString = false;
        continue;
      }
      if (this.mode === "closed") {
        if (!isBlank(chunk.charCodeAt(i))) throw this.error("something follows the end of the array");
        continue;
      }
      if (this.depth === 0 && (c === "," || c === "]")) {
        const text = this.rest + chunk.slice(start, i);
        this.rest = "";
        start = i + 1;
        const empty = text === "";
        if (empty && (c === "," || this.expecting)) {
          throw this.error(`malformed JSON: expected a question, found "${c}"`);
        }
        if (!empty) yield { text, line: this.elementLine };
        if (c === "]") this.mode = "closed";
        this.expecting = c === ",";
        continue;
      }
      if (this.rest === "" && i === start) {
        // Blanks before an element are no part of it.
        if (isBlank(chunk.charCodeAt(i))) {
          start = i + 1;
          continue;
        }
        this.elementLine = this.line;
      }
      if (c === '"') this.inString = true;
      else if (c === "{" || c === "[") this.depth++;
      else if (c === "}" || c === "]") this.depth--;
    }
    if (this.mode === "array") this.rest += chunk.slice(start);
  }

  *end(): Generator<Piece> {
    const text = this.rest;
    this.rest = "";
    if (this.mode === "lines" && text.trim() !== "") yield { text, line: this.line };
    if (this.mode === "array") {
      if (text !== "" && this.depth === 0 && !this.inString) yield { text, line: this.elementLine };
      throw this.error("malformed JSON: the array is not closed");
    }
  }
}

function parsePiece(piece: Piece, file: string): BatchItem {
  try {
    return { value: parseJson(piece.text, file).value, line: piece.line };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const { line } = error.source;
    const message = error.message.slice(`${file}:${line}: `.length);
    throw new ParseError({ file, line: piece.line + line - 1 }, message);
  }
}

/**
 * The questions of `chunks` in order, each as soon as it is complete. `file` is the input's name in messages.
 * Throws ParseError with file and line at the first one that is not JSON; those before it have been given.
 */
export async function* readQuestions(
  chunks: AsyncIterable<string | Uint8Array>,
  file: string,
): AsyncGenerator<BatchItem> {
  const splitter = new Splitter(file);
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    const text = typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    for (const piece of splitter.feed(text)) yield parsePiece(piece, file);
  }
  for (const piece of splitter.feed(decoder.decode())) yield parsePiece(piece, file);
  for (const piece of splitter.end()) yield parsePiece(piece, file);
}
