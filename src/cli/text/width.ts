/** Text measured in terminal columns. */
import stringWidth from "string-width";

/** Columns that `text` takes; escape sequences take none. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

/** `text` with blanks after it up to `columns`; as it is when it is wider. */
export function pad(text: string, columns: number): string {
  const missing = columns - widthOf(text);
  return missing > 0 ? text + " ".repeat(missing) : text;
}

/** At most `columns` of `text`, with `…` for what was cut. `text` must not hold escape sequences. */
export function clip(text: string, columns: number): string {
  if (text.length <= columns / 2 || widthOf(text) <= columns) return text;
  if (columns < 1) return "";
  let out = "";
  let used = 0;
  for (const char of text) {
    const w = widthOf(char);
    if (used + w > columns - 1) break;
    out += char;
    used += w;
  }
  return `${out}…`;
}

/** Words joined by blanks into lines of at most `columns`, each after the first with `indent` before it. Words are never cut. */
export function wrapWords(words: readonly string[], columns: number, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of words) {
    if (line === "") line = word;
    else if (widthOf(line) + 1 + widthOf(word) <= columns) line += ` ${word}`;
    else {
      lines.push(line);
      line = indent + word;
    }
  }
  if (line !== "") lines.push(line);
  return lines;
}

/** Rows as columns two blanks apart, as kubectl prints them; the last column is not padded. */
export function table(rows: readonly (readonly string[])[], indent = ""): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
    });
  }
  return rows.map((row) => {
    const line = row.map((cell, i) => (i === row.length - 1 ? cell : pad(cell, widths[i]!))).join("  ");
    return `${indent}${line}`.trimEnd();
  });
}
