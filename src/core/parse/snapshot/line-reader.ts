/** Single lines of files, found without splitting the files. */
import { ParseError } from "../../model/source.ts";
import type { SnapshotFiles } from "./aspect-reader.ts";

/** Every STRIDE-th line's offset is kept: a look-up scans at most that many lines. */
const STRIDE = 256;

/** Characters of text that are kept for the next look-up, beyond the file last asked for. */
const KEPT = 16_000_000;

interface Indexed {
  text: string;
  /** Offsets of lines 1, 1 + STRIDE, … */
  offsets: number[];
}

function indexLines(text: string): number[] {
  const offsets = [0];
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    if (++line % STRIDE === 1) offsets.push(at + 1);
  }
  return offsets;
}

export class LineReader {
  private readonly files: SnapshotFiles;
  /** Files that were asked for, the last one last. */
  private readonly recent = new Map<string, Indexed>();
  private kept = 0;

  constructor(files: SnapshotFiles) {
    this.files = files;
  }

  /** The text of a file; undefined when there is none, or it is no text. */
  text(file: string): string | undefined {
    return this.recent.get(file)?.text ?? this.readText(file);
  }

  /** Line `number`, from 1, of a file, without its line end; empty when there is none. */
  line(file: string, number: number): string {
    const found = this.indexed(file);
    const offset = found?.offsets[Math.floor((number - 1) / STRIDE)];
    if (found === undefined || offset === undefined) return "";
    let start = offset;
    for (let skip = (number - 1) % STRIDE; skip > 0; skip--) {
      const end = found.text.indexOf("\n", start);
      if (end < 0) return "";
      start = end + 1;
    }
    const end = found.text.indexOf("\n", start);
    return found.text.slice(start, end < 0 ? found.text.length : end);
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
      found = { text, offsets: indexLines(text) };
      this.kept += text.length;
    } else this.recent.delete(file);
    this.recent.set(file, found);
    for (const [name, old] of this.recent) {
      if (this.kept <= KEPT || name === file) break;
      this.recent.delete(name);
      this.kept -= old.text.length;
    }
    return found;
  }
}
