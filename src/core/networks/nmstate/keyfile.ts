/** NetworkManager's keyfile format: sections, keys, comments (nm-settings-keyfile(5), GLib's GKeyFile). */
import type { Source } from "../../model/source.ts";
import type { Problems } from "./values.ts";

export interface KeyfileEntry {
  value: string;
  source: Source;
}

/** Sections by name, their keys by name; the last of two equal keys counts. */
export type Keyfile = Map<string, Map<string, KeyfileEntry>>;

/** Old names of sections (libnm-core: nm-keyfile-utils.c, alias_list). */
const ALIASES: Readonly<Record<string, string>> = {
  "802-3-ethernet": "ethernet",
  "802-11-wireless": "wifi",
};

/** Reads a keyfile; lines that are neither section, key nor comment become problems. */
export function parseKeyfile(text: string, file: string, problems: Problems): Keyfile {
  const sections: Keyfile = new Map();
  let section: Map<string, KeyfileEntry> | null = null;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    const source: Source = { file, line: index + 1 };
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const head = /^\[([^\]]+)\]$/.exec(line);
    if (head !== null) {
      const name = ALIASES[head[1]!] ?? head[1]!;
      section = sections.get(name) ?? new Map<string, KeyfileEntry>();
      sections.set(name, section);
      continue;
    }
    const pair = /^([^=]+?)\s*=\s*(.*)$/.exec(line);
    if (pair === null) problems.impossible(`"${line}" is neither a section nor a key with its value`, source);
    else if (section === null) problems.impossible(`"${line}" stands before the first section`, source);
    else section.set(pair[1]!, { value: pair[2]!, source });
  }
  return sections;
}

/** A list of values, separated and often ended by semicolons; commas are taken, too. */
export function listOf(entry: KeyfileEntry | undefined): string[] {
  return (entry?.value ?? "")
    .split(/[;,]/)
    .map((each) => each.trim())
    .filter((each) => each !== "");
}

/** Keys `address1`, `address2` … in the order of their numbers; `address` alone counts as 0. */
export function numbered(section: ReadonlyMap<string, KeyfileEntry>, names: readonly string[]): KeyfileEntry[] {
  return [...section]
    .flatMap(([key, entry]) => {
      const match = /^([a-z]+)(\d*)$/.exec(key);
      return match !== null && names.includes(match[1]!) ? [{ number: Number(match[2]), entry }] : [];
    })
    .toSorted((a, b) => a.number - b.number)
    .map((each) => each.entry);
}
