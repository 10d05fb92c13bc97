/** YAML (and JSON, which is YAML, too) that remembers on which line each value stands. */
import { isMap, isScalar, isSeq, LineCounter, parseAllDocuments } from "yaml";
import { ParseError, type Source } from "../../model/source.ts";

/** A value of a document. What is not there reads as null or empty. */
export class YamlValue {
  readonly #node: unknown;
  readonly #lines: LineCounter;
  readonly source: Source;

  constructor(node: unknown, lines: LineCounter, source: Source) {
    this.#node = node;
    this.#lines = lines;
    this.source = source;
  }

  #child(node: unknown, key?: unknown): YamlValue {
    const ranged = (key ?? node) as { range?: readonly number[] | null } | null;
    const offset = ranged?.range?.[0];
    const line = offset === undefined ? this.source.line : this.#lines.linePos(offset).line;
    return new YamlValue(node, this.#lines, { file: this.source.file, line });
  }

  /** The value of a field of a map; null when there is none, or it is null. */
  get(name: string): YamlValue | null {
    if (!isMap(this.#node)) return null;
    for (const { key, value } of this.#node.items)
      if (isScalar(key) && key.value === name && value !== null && !(isScalar(value) && value.value === null))
        return this.#child(value, key);
    return null;
  }

  /** What stands at the end of a path of fields. */
  at(...path: string[]): YamlValue | null {
    return path.reduce<YamlValue | null>((here, name) => here?.get(name) ?? null, this);
  }

  /** Elements of a list. */
  items(): YamlValue[] {
    return isSeq(this.#node) ? this.#node.items.map((each) => this.#child(each)) : [];
  }

  /** Names of a map's fields. */
  keys(): string[] {
    return isMap(this.#node) ? this.#node.items.flatMap(({ key }) => (isScalar(key) ? [String(key.value)] : [])) : [];
  }

  /** A scalar as text: `true`, `1450`, `eth0`; null for maps and lists. */
  text(): string | null {
    return isScalar(this.#node) && this.#node.value !== null ? String(this.#node.value) : null;
  }

  /** A boolean; null when it is none. */
  flag(): boolean | null {
    return isScalar(this.#node) && typeof this.#node.value === "boolean" ? this.#node.value : null;
  }
}

/** The documents of a text. Throws ParseError with the line where the YAML is malformed. */
export function readYaml(text: string, file: string): YamlValue[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, logLevel: "silent" });
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const line = lines.linePos(error.pos[0]).line;
      throw new ParseError({ file, line }, error.message.split("\n")[0]!.replace(/ at line \d+.*$/, ""));
    }
    return new YamlValue(document.contents, lines, { file, line: 1 });
  });
}
