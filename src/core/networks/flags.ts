/**
 * Flags of Go programs in a recorded command line: `--name value`, `--name=value`, `-name=value` (flag, spf13/pflag). Whether the word
 * after a flag is its value hangs on the flag, so readers ask for each by what it is: one with a value, or a switch.
 */

/** A word that is a flag (not a number below zero): its name, `-` for `_` as Kubernetes reads it (component-base/cli/flag), and what stands behind its `=`. */
function flagIn(word: string | undefined): { name: string; value: string | undefined } | null {
  const [, name, value] = /^--?([A-Za-z][^=]*)(?:=(.*))?$/s.exec(word ?? "") ?? [];
  return name === undefined ? null : { name: name.replaceAll("_", "-"), value };
}

/** Whether Go takes a text for true (strconv.ParseBool). */
export function isTrue(text: string): boolean {
  return ["1", "t", "T", "true", "TRUE", "True"].includes(text);
}

/** Values of a flag that takes one, in their order; none when it is not there. */
export function flagValues(words: readonly string[], name: string): string[] {
  return words.flatMap((word, at) => {
    const flag = flagIn(word);
    return flag?.name === name ? [flag.value ?? words[at + 1] ?? ""] : [];
  });
}

/** The value of a flag that takes one; of several the last counts. Null when it is not there. */
export function flagOf(words: readonly string[], name: string): string | null {
  return flagValues(words, name).at(-1) ?? null;
}

/** Whether a switch is on: `--name`, `--name=true`; null when it is not there. */
export function switchOf(words: readonly string[], name: string): boolean | null {
  const flag = words.map(flagIn).findLast((each) => each?.name === name);
  return flag === undefined || flag === null ? null : flag.value === undefined || isTrue(flag.value);
}

/** All flags by name, the last of several. Of flags that nobody knows, those with another flag behind them count as switches: "true". */
export function allFlags(words: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>();
  words.forEach((word, at) => {
    const flag = flagIn(word);
    if (flag === null) return;
    const next = words[at + 1];
    flags.set(flag.name, flag.value ?? (next === undefined || flagIn(next) !== null ? "true" : next));
  });
  return flags;
}

/**
 * The words up to the first that is neither a flag nor a flag's value: Go's own flag package reads no further, where pflag does.
 * `switches`: flags that take no value.
 */
export function wordsOfFlags(words: readonly string[], switches: ReadonlySet<string>): readonly string[] {
  for (let at = 0; at < words.length; at++) {
    const flag = flagIn(words[at]);
    if (flag === null) return words.slice(0, at);
    if (flag.value === undefined && !switches.has(flag.name)) at++;
  }
  return words;
}
