/** `sysctl -a`: one `KEY = VALUE` a line. */
import { ParseError } from "../model/source.ts";
import type { Sysctls } from "../model/sysctl.ts";
import { forEachLine } from "./lines.ts";

/**
 * Reads what `sysctl -a` prints; `file` is its path in the snapshot. A value may be empty; tabs within it stay.
 * sysctl(8) repeats the key for every line of a value; the last one counts.
 * Throws ParseError when a line is no setting.
 */
export function parseSysctl(text: string, file: string): Sysctls {
  const values: Sysctls["values"] = new Map();
  forEachLine(text, file, (line, number) => {
    const equals = line.indexOf(" =");
    const key = line.slice(0, Math.max(equals, 0));
    if (equals <= 0 || key.includes(" ") || (line.length > equals + 2 && line.charCodeAt(equals + 2) !== 32))
      throw new ParseError({ file, line: number }, 'expected "KEY = VALUE"');
    values.set(key, { value: line.slice(equals + 3), line: number });
  });
  return { file, values };
}
