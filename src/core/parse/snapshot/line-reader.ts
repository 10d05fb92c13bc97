/** Single lines of files, found without splitting the files. */
import { ParseError } from "../../model/source.ts";
import type { LineMarks } from "../line-marks.ts";
import type { SnapshotFiles } from "./aspect-reader.ts";

/** Every STRIDE-th line's offset is kept: a look-up scans at most that many lines. */
const STRIDE = 256;

/** Characters of text that are kept for the next look-up, beyond the file last asked for. */
const KEPT = 16_000_000;

/** Parts of files that are kept, of some hundred lines each. */
const PARTS = 256;

interface Indexed {
  text: string;
  /** Offsets of lines 1, 1 + STRIDE, … */
  offsets: readonly number[];
}

function indexLines(text: string): number[] {
  const offsets = [0];
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (++line % STRIDE === 1) offsets.push(at + 1);
  }
  return offsets;
}

/** The line that begins `skip` lines after `start`; empty when there is none. */
function lineFrom(text: string, start: number, skip: number): string {
  let at = start;
  for (let i = 0; i < skip; i++) {
    const end = text.indexOf("\n", at);
    if (end < 0) return "";
    at = end + 1;
  }
  const end = text.indexOf("\n", at);
  // Whoever keeps the line must not keep the text: a slice of it would be a view (V8's sliced strings).
  return ` ${text.slice(at, end < 0 ? text.length : end)}`.slice(1);
}

export class LineReader {
  private readonly files: SnapshotFiles;
  private readonly marks: LineMarks;
  /** Files that were asked for, the last one last. */
  private readonly recent = new Map<string, Indexed>();
  private kept = 0;
  /** Offsets and length of files that were asked for and are too large to be kept. */
  private readonly known = new Map<string, { offsets: readonly number[]; length: number }>();
  private readonly parts = new Map<string, string>();

  /** `marks`: where lines of large files begin, as far as it was noted. */
  constructor(files: SnapshotFiles, marks: LineMarks = new Map()) {
    this.files = files;
    this.marks = marks;
  }

  /** The text of a file; undefined when there is none, or it is no text. */
  text(file: string): string | undefined {
    return this.recent.get(file)?.text ?? this.readText(file);
  }

  /** Line `number`, from 1, of a file, without its line end; empty when there is none. */
  line(file: string, number: number): string {
    const stride = Math.floor((number - 1) / STRIDE);
    const skip = (number - 1) % STRIDE;
    if (!this.recent.has(file)) {
      const near = this.marks.get(file)?.around(number);
      const marked = near === undefined ? undefined : this.part(file, near.start, near.end);
      if (near !== undefined && marked !== undefined) return lineFrom(marked, 0, number - near.first);
      const known = this.known.get(file);
      const start = known?.offsets[stride];
      const part =
        known === undefined || start === undefined
          ? undefined
          : this.part(file, start, known.offsets[stride + 1] ?? known.length);
      if (part !== undefined) return lineFrom(part, 0, skip);
    }
    const found = this.indexed(file);
    const offset = found?.offsets[stride];
    return found === undefined || offset === undefined ? "" : lineFrom(found.text, offset, skip);
  }

  /** A part of a file that was read before; undefined where files are read as a whole. */
  private part(file: string, start: number, end: number): string | undefined {
    const key = `${start} ${file}`;
    let part = this.parts.get(key);
    if (part === undefined) {
      part = this.files.part?.(file, start, end);
      if (part === undefined) return undefined;
      this.parts.set(key, part);
      for (const oldest of this.parts.keys()) {
        if (this.parts.size <= PARTS) break;
        this.parts.delete(oldest);
      }
    }
    return part;
  }

  private readText(file: string): string | undefined {
    try {
      return this.files.read(file);
    } catch (error) {
      if (error instanceof ParseError) return undefined;
      throw error;
    }
  }

  private indexed(file: string): Indexed | undefined {
    let found = this.recent.get(file);
    if (found === undefined) {
      const text = this.readText(file);
      if (text === undefined) return undefined;
      found = { text, offsets: this.known.get(file)?.offsets ?? indexLines(text) };
      this.kept += text.length;
    } else this.recent.delete(file);
    this.recent.set(file, found);
    for (const [name, old] of this.recent) {
      if (this.kept <= KEPT || name === file) break;
      this.recent.delete(name);
      this.known.set(name, { offsets: old.offsets, length: old.text.length });
      this.kept -= old.text.length;
    }
    return found;
  }
}
