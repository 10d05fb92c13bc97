/** Bytes of a recorded file as text. */
import { constants, isAscii, isUtf8 } from "node:buffer";
import { ParseError } from "../../core/model/source.ts";

const NEWLINE = 10;

/** The line, from 1, of the first byte that is not UTF-8. A newline's byte is part of no other character. */
function firstBadLine(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline < 0 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
  return line;
}

/**
 * The text of a file whose path in the snapshot is `file`. ASCII, which nearly all is, takes one byte a character.
 * Throws ParseError when the bytes are not UTF-8, or more than a string can hold.
 */
export function decodeText(bytes: Buffer, file: string): string {
  if (bytes.length > constants.MAX_STRING_LENGTH)
    throw new ParseError({ file, line: 1 }, `too large: ${bytes.length} bytes`);
  if (isAscii(bytes)) return bytes.toString("latin1");
  if (!isUtf8(bytes)) throw new ParseError({ file, line: firstBadLine(bytes) }, "a byte that is not UTF-8");
  return bytes.toString("utf8");
}
