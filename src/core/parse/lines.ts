/** Lines of what a command printed. */
import { ParseError } from "../model/source.ts";

/**
 * Calls `visit` with the place of each line of `text`: from `start` to before `end`, where its newline is; lines count from 1.
 * `file` is the path in the snapshot, for messages.
 * Throws ParseError when the last line has no newline: every command read here ends its lines, so such a file is cut off.
 */
export function forEachSpan(
  text: string,
  file: string,
  visit: (start: number, end: number, number: number) => void,
): void {
  let number = 0;
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf("\n", start);
    number++;
    if (end < 0) throw new ParseError({ file, line: number }, "cut off: the last line has no newline");
    visit(start, end, number);
    start = end + 1;
  }
}

/** As forEachSpan, with the line itself. */
export function forEachLine(text: string, file: string, visit: (line: string, number: number) => void): void {
  forEachSpan(text, file, (start, end, number) => visit(text.slice(start, end), number));
}

/** Reads a decimal number without sign; null when `text` is anything else or exceeds `max`. */
export function decimal(text: string, max: number = Number.MAX_SAFE_INTEGER): number | null {
  if (!/^\d{1,20}$/.test(text)) return null;
  const n = Number(text);
  return n <= max ? n : null;
}
