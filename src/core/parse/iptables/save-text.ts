/**
 * The bytes of a save. Comparing and hashing four bytes at a time is several times faster than charCodeAt, which looks at the kind of
 * string for every character; that pays for the copy.
 */
import { ASCII_PADDING, type AsciiBytes } from "../ascii-bytes.ts";
import { BACKSLASH, NEWLINE, QUOTE, SPACE } from "./characters.ts";

/** ASCII text to compare with, as the words and bytes that SaveText.has reads. */
export class Literal {
  readonly length: number;
  readonly words: readonly number[];
  readonly rest: readonly number[];

  constructor(text: string) {
    const bytes = new TextEncoder().encode(text);
    const view = new DataView(bytes.buffer);
    const whole = bytes.length >> 2;
    this.length = bytes.length;
    this.words = Array.from({ length: whole }, (_, k) => view.getInt32(4 * k));
    this.rest = [...bytes.subarray(4 * whole)];
  }
}

/** Bytes that `sameAhead` compares at once. */
const STEP = 1 << 13;

export class SaveText {
  /** UTF-8, with zeros after `length`, so many that any Literal can be looked for at any place of it; a zero says that the text ends. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** What gives slices when every character is a byte: then they need no decoding. */
  private readonly ascii: Pick<AsciiBytes, "slice" | "same"> | null;
  private readonly decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  private readonly view: DataView;

  /**
   * `detached`: slices are texts of their own. Otherwise they may be views of the whole (V8's sliced strings), which costs less and keeps the
   * whole in memory.
   */
  constructor(text: string | AsciiBytes, detached = false) {
    if (typeof text !== "string") {
      this.bytes = text.bytes;
      this.length = text.length;
      this.ascii = text;
    } else {
      const encoder = new TextEncoder();
      const bytes = new Uint8Array(text.length + ASCII_PADDING);
      const { read, written } = encoder.encodeInto(text, bytes);
      if (read === text.length && written === text.length) {
        this.bytes = bytes;
        this.length = text.length;
        this.ascii = detached ? null : text;
      } else {
        const encoded = encoder.encode(text);
        this.bytes = new Uint8Array(encoded.length + ASCII_PADDING);
        this.bytes.set(encoded);
        this.length = encoded.length;
        this.ascii = null;
      }
    }
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }

  slice(start: number, end: number): string {
    return this.ascii !== null ? this.ascii.slice(start, end) : this.decoder.decode(this.bytes.subarray(start, end));
  }

  /** Four bytes as one number, the first the most significant. */
  word(at: number): number {
    return this.view.getInt32(at);
  }

  /** Whether the `length` bytes at `a` and at `b` are the same. */
  same(a: number, b: number, length: number): boolean {
    const view = this.view;
    let i = 0;
    for (; i + 4 <= length; i += 4) if (view.getInt32(a + i) !== view.getInt32(b + i)) return false;
    // Up to three bytes are left: what follows them is shifted out.
    return i === length || (view.getInt32(a + i) ^ view.getInt32(b + i)) >>> (8 * (4 - length + i)) === 0;
  }

  /** Whether the `length` bytes at `a` are those at `b` of `other`; both texts are that long. */
  sameAs(a: number, other: SaveText, b: number, length: number): boolean {
    const mine = this.view;
    const theirs = other.view;
    let i = 0;
    for (; i + 4 <= length; i += 4) if (mine.getInt32(a + i) !== theirs.getInt32(b + i)) return false;
    return i === length || (mine.getInt32(a + i) ^ theirs.getInt32(b + i)) >>> (8 * (4 - length + i)) === 0;
  }

  /** As sameAs, quicker for long stretches; may say no of equal text beyond ASCII. */
  sameStretch(a: number, other: SaveText, b: number, length: number): boolean {
    const mine = this.view;
    const theirs = other.view;
    const whole = length & ~7;
    // Eight bytes at a time as one floating-point number: no text is a zero with a sign, and what is no number (NaN) counts as different.
    for (let i = 0; i < whole; i += 8) if (mine.getFloat64(a + i) !== theirs.getFloat64(b + i)) return false;
    return this.sameAs(a + whole, other, b + whole, length - whole);
  }

  /**
   * How many bytes from `a` on are surely those of `other` from `b` on, in steps of 8 KiB; 0 where only slow comparisons can be had. Of two
   * nodes' saves, megabytes are the same at a stretch.
   */
  sameAhead(a: number, other: SaveText, b: number): number {
    const { ascii } = this;
    if (ascii === null || ascii.same === undefined) return 0;
    const most = Math.min(this.length - a, other.length - b);
    let same = 0;
    while (same + STEP <= most && ascii.same(a + same, other.bytes, b + same, STEP)) same += STEP;
    return same;
  }

  /** Whether the text has `literal` at `at`. */
  has(literal: Literal, at: number): boolean {
    const { words, rest } = literal;
    for (let k = 0; k < words.length; k++) if (this.view.getInt32(at + 4 * k) !== words[k]) return false;
    const tail = at + 4 * words.length;
    for (let k = 0; k < rest.length; k++) if (this.bytes[tail + k] !== rest[k]) return false;
    return true;
  }

  /** A number for the bytes [start, end), the same for the same bytes. */
  hash(start: number, end: number): number {
    const view = this.view;
    let hash = end - start;
    let i = start;
    for (; i + 4 <= end; i += 4) hash = mix(hash ^ view.getInt32(i));
    return i === end ? hash : mix(hash ^ (view.getInt32(i) >>> (8 * (4 - end + i))));
  }

  /** The place of the first byte at or after `at` that is a `"`, a `\\` or a control character, the zero after the text among these. */
  plainEnd(at: number): number {
    const { bytes, view } = this;
    let i = at;
    for (;;) {
      const word = view.getInt32(i);
      if ((hasZero(word ^ EACH_QUOTE) | hasZero(word ^ EACH_BACKSLASH) | hasLess(word, EACH_SPACE)) !== 0) break;
      i += 4;
    }
    let code = bytes[i]!;
    while (code >= SPACE && code !== QUOTE && code !== BACKSLASH) code = bytes[++i]!;
    return i;
  }

  /** The place of the next space, newline or end at or after `at`. */
  wordEnd(at: number): number {
    const bytes = this.bytes;
    let i = at;
    while (!endsWord(bytes[i]!)) i++;
    return i;
  }

  /** The place of the next newline, or the text's length. */
  lineEnd(at: number): number {
    const place = this.bytes.indexOf(NEWLINE, at);
    return place < 0 ? this.length : place;
  }
}

/** Whether a word ends before a byte: a space, a newline, or the zero after the text. */
export function endsWord(code: number): boolean {
  return code <= SPACE && (code === SPACE || code === NEWLINE || code === 0);
}

const EACH_BYTE = 0x01010101;
const EACH_SPACE = EACH_BYTE * SPACE;
const EACH_QUOTE = EACH_BYTE * QUOTE;
const EACH_BACKSLASH = EACH_BYTE * BACKSLASH;

/** Not zero if one of the four bytes is less than that of `bound`, each at most 127; may also be so without, after such a byte only. */
function hasLess(word: number, bound: number): number {
  return (word - bound) & ~word & 0x80808080;
}

/** Not zero if one of the four bytes is zero, and only then (Hacker's Delight, 6-1). */
function hasZero(word: number): number {
  return hasLess(word, EACH_BYTE);
}

function mix(hash: number): number {
  const h = Math.imul(hash, 0x9e3779b1);
  return h ^ (h >>> 15);
}
