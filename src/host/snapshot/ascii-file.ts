/** Large files as bytes, for what reads bytes as fast as text: no decoding, and no text that stays in memory. */
import { isAscii } from "node:buffer";
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { ASCII_PADDING, type AsciiBytes } from "../../core/parse/ascii-bytes.ts";

/** Of this size and above, in bytes, it pays to read a file as bytes. */
export const LARGE_FILE = 1 << 20;

/** Room for `length` bytes and the zeros that follow them. */
export function padded(length: number): Buffer {
  // Larger than what Buffer takes from its pool, so the zeros are written once.
  const bytes = Buffer.allocUnsafeSlow(length + ASCII_PADDING);
  bytes.fill(0, length);
  return bytes;
}

/**
 * So many bytes are decoded at once where parts are asked for that stand close to each other: so near, in bytes. (From a million on Node
 * would keep the text outside of the heap, and the pressure of such memory sets off collections.)
 */
const CHUNK = 1 << 19;
const NEAR = 512;

/** Parts of ASCII bytes as strings. */
class AsciiSlicer implements AsciiBytes {
  private chunk = "";
  private chunkStart = 0;
  private lastEnd = 0;

  constructor(
    readonly bytes: Buffer,
    readonly length: number,
    readonly release: (() => void) | undefined,
  ) {}

  same(start: number, other: Uint8Array, at: number, length: number): boolean {
    return this.bytes.compare(other, at, at + length, start, start + length) === 0;
  }

  slice(start: number, end: number): string {
    const near = start >= this.lastEnd && start < this.lastEnd + NEAR;
    this.lastEnd = end;
    const at = start - this.chunkStart;
    if (at >= 0 && end - this.chunkStart <= this.chunk.length) return this.chunk.slice(at, end - this.chunkStart);
    if (!near || end - start > NEAR) return this.bytes.toString("latin1", start, Math.min(end, this.length));
    this.chunkStart = start;
    this.chunk = this.bytes.toString("latin1", start, Math.min(start + CHUNK, this.length));
    return this.chunk.slice(0, end - start);
  }
}

/** The first `length` of padded bytes as ASCII; undefined when some are not. `release` is what its `release` does. */
export function asciiBytes(bytes: Buffer, length: number, release?: () => void): AsciiBytes | undefined {
  return isAscii(bytes.subarray(0, length)) ? new AsciiSlicer(bytes, length, release) : undefined;
}

/** Reads `length` bytes from `position` on into `bytes`; how many there were. */
function readInto(file: number, bytes: Buffer, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const count = readSync(file, bytes, done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Spare room for files: of hundreds of files only one or two are held at once, and new memory costs more than reading into it. */
export class Spare {
  private readonly buffers: Buffer[] = [];

  /** Room for `length` bytes and the zeros that are to follow them. */
  take(length: number): Buffer {
    const at = this.buffers.findIndex((each) => each.length >= length + ASCII_PADDING);
    if (at < 0) return padded(Math.ceil(length * MARGIN));
    return this.buffers.splice(at, 1)[0]!;
  }

  give(buffer: Buffer): void {
    if (this.buffers.length === MOST_SPARE) this.buffers.shift();
    this.buffers.push(buffer);
  }
}

/** The next node's file is often a little larger. */
const MARGIN = 1.05;
const MOST_SPARE = 2;

/**
 * A file's bytes: as ASCII when it is large and is ASCII, otherwise as they are. Undefined when it changes while it is read. Throws what
 * node:fs throws.
 */
export function readBytes(path: string, spare: Spare): AsciiBytes | Buffer | undefined {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    if (size < LARGE_FILE) {
      const bytes = Buffer.allocUnsafe(size);
      return readInto(file, bytes, size, 0) === size ? bytes : undefined;
    }
    const bytes = spare.take(size);
    if (readInto(file, bytes, size, 0) !== size) return undefined;
    // What a smaller file leaves behind must not follow the text.
    bytes.fill(0, size, size + ASCII_PADDING);
    return asciiBytes(bytes, size, () => spare.give(bytes)) ?? bytes.subarray(0, size);
  } finally {
    closeSync(file);
  }
}

/**
 * Reads files of which most are small, one after the other, into the same room: a buffer of its own for each of the hundred thousand files of a
 * large cluster costs more than reading it, and sets off collections.
 */
export class SmallFiles {
  private readonly room = Buffer.allocUnsafeSlow(LARGE_FILE);

  /** A file's bytes, good until the next one is read. Throws what node:fs throws. */
  read(path: string): Buffer {
    const file = openSync(path, "r");
    try {
      const length = readInto(file, this.room, LARGE_FILE, 0);
      return length < LARGE_FILE ? this.room.subarray(0, length) : readFileSync(path);
    } finally {
      closeSync(file);
    }
  }
}

/** Bytes `start` to before `end` of a file, as characters. Throws what node:fs throws. */
export function readPart(path: string, start: number, end: number): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(end - start);
    return bytes.toString("latin1", 0, readInto(file, bytes, end - start, start));
  } finally {
    closeSync(file);
  }
}
