/** Flags of Go programs (`--name value`, `--name=value`, `-name=value`) in a recorded command line. */

/** The value of a flag that takes one; the last one given counts (spf13/pflag). Null when it is not there. */
export function flagOf(words: readonly string[], name: string): string | null {
  let value: string | null = null;
  for (let at = 0; at < words.length; at++) {
    const flag = /^--?([^=]+)(?:=(.*))?$/s.exec(words[at]!);
    if (flag === null || flag[1] !== name) continue;
    value = flag[2] ?? words[at + 1] ?? "";
  }
  return value;
}

/** Whether a boolean flag is set: `--name`, `--name=true`; null when it is not there. */
export function switchOf(words: readonly string[], name: string): boolean | null {
  let value: boolean | null = null;
  for (const word of words) {
    const flag = /^--?([^=]+)(?:=(.*))?$/s.exec(word);
    if (flag?.[1] === name) value = flag[2] === undefined || flag[2] === "true" || flag[2] === "1";
  }
  return value;
}
