/** Where some of the lines of large ASCII files begin, noted while they are parsed: a single line is found later without the whole file. */

/** From a mark to the next there are at least so many lines. */
const APART = 256;

/** Marks of one file, while it is parsed. */
export class FileMarks {
  /** Line numbers, from 1, ascending, and the offset at which each begins. */
  readonly lines: number[] = [];
  readonly offsets: number[] = [];
  length = 0;
  private next = 1;

  /** Notes that `line` begins at `offset`, if it is far enough from the last one noted. */
  note(line: number, offset: number): void {
    if (line < this.next) return;
    this.lines.push(line);
    this.offsets.push(offset);
    this.next = line + APART;
  }

  /** The stretch of the file that holds `line`: the line that it begins with, and its offsets. Undefined when no mark is before it. */
  around(line: number): { first: number; start: number; end: number } | undefined {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.lines[middle]! <= line) low = middle + 1;
      else high = middle;
    }
    const first = this.lines[low - 1];
    if (first === undefined) return undefined;
    return { first, start: this.offsets[low - 1]!, end: this.offsets[low] ?? this.length };
  }
}

/** Marks by file. */
export type LineMarks = Map<string, FileMarks>;
