/** Reads the files of one namespace, and says of each aspect that could not be had why. */
import type { Aspect } from "../../model/namespace.ts";
import { ParseError } from "../../model/source.ts";
import type { AsciiBytes } from "../ascii-bytes.ts";
import type { CommandRecord } from "../commands.ts";
import { failureMeans, failureText, kernelHasNone, wasInterrupted } from "./failure.ts";
import type { NodeFacts } from "./node-facts.ts";
import type { SnapshotMemory } from "./snapshot-memory.ts";

/** The files of a snapshot. */
export interface SnapshotFiles {
  /** Paths within the snapshot, `nodes/n1/host/addr.json`. */
  paths(): Iterable<string>;
  /** The text of a file; undefined when there is none. Throws ParseError when it is no text. */
  read(path: string): string | undefined;
  /** A large ASCII file as its bytes; undefined for any other, of which `read` tells. */
  ascii?(path: string): AsciiBytes | undefined;
  /** Characters `start` to before `end` of a large ASCII file that was read before; undefined for any other. */
  part?(path: string, start: number, end: number): string | undefined;
}

/** What of one node serves all of its namespaces. */
export interface NodeContext {
  files: SnapshotFiles;
  node: string;
  /** commands.json by output file; null when it was not recorded. */
  commands: ReadonlyMap<string, CommandRecord> | null;
  facts: NodeFacts;
  problems: ParseError[];
  /** What is learned from each file for the next. */
  memory: SnapshotMemory;
}

/** `json`: the command prints something even when there is nothing. `text`: it then prints nothing. */
export type Format = "json" | "text";

/** How many bytes the text takes as UTF-8. */
function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    // A surrogate pair is two units and four bytes, so each half counts as two.
    if (c > 0x7f) length += c > 0x7ff && (c < 0xd800 || c > 0xdfff) ? 2 : 1;
  }
  return length;
}

/** Whether there is nothing but white space, as trim() has it. */
function isBlank({ bytes, length }: AsciiBytes): boolean {
  for (let i = 0; i < length; i++) if (bytes[i] !== 32 && (bytes[i]! < 9 || bytes[i]! > 13)) return false;
  return true;
}

export class AspectReader {
  readonly missing = new Map<Aspect, string>();
  readonly context: NodeContext;
  /** `nodes/n1/host`. */
  readonly dir: string;

  constructor(context: NodeContext, dir: string) {
    this.context = context;
    this.dir = dir;
  }

  path(name: string): string {
    return `${this.dir}/${name}`;
  }

  /** How the command ended whose output went to `name`; undefined when nothing was recorded of it. */
  record(name: string): CommandRecord | undefined {
    return this.context.commands?.get(this.path(name).slice(`nodes/${this.context.node}/`.length));
  }

  /** Runs `parse`; an error of the input becomes a problem of the snapshot and the reason why `aspect` is missing. */
  guard<T>(aspect: Aspect | null, parse: () => T): T | undefined {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof ParseError)) throw error;
      this.context.problems.push(error);
      if (aspect !== null) this.missing.set(aspect, error.message);
      return undefined;
    }
  }

  /** The text of a file that is no aspect; undefined when it is absent, blank or unreadable. */
  plain(name: string): string | undefined {
    const text = this.guard(null, () => this.context.files.read(this.path(name)));
    return text === undefined || text.trim() === "" ? undefined : text;
  }

  /**
   * The text of `aspect`'s file; undefined when there is nothing to parse, either because the system has nothing
   * of the kind or because it could not be had, which `missing` then tells.
   */
  text(aspect: Aspect, name: string, format: Format): string | undefined {
    const text = this.guard(aspect, () => this.context.files.read(this.path(name)));
    const blank = text === undefined || text.trim() === "";
    return this.usable(aspect, name, format, text, blank, () => utf8Length(text ?? ""));
  }

  /** As `text`, as bytes where the files give them. */
  private save(aspect: Aspect, name: string): string | AsciiBytes | undefined {
    const bytes = this.guard(aspect, () => this.context.files.ascii?.(this.path(name)));
    if (bytes === undefined) return this.text(aspect, name, "text");
    return this.usable(aspect, name, "text", bytes, isBlank(bytes), () => bytes.length);
  }

  /** `content`, if the command that printed it ended well and all of it is there. `length` is that of the file in bytes. */
  private usable<T>(
    aspect: Aspect,
    name: string,
    format: Format,
    content: T | undefined,
    blank: boolean,
    length: () => number,
  ): T | undefined {
    if (this.missing.has(aspect)) return undefined;
    const record = this.record(name);
    if (record !== undefined && record.exit !== 0) {
      const means = failureMeans(aspect, record, this.context.facts);
      if (means === "empty") return undefined;
      if (means === "usable" && !blank) return content;
      this.missing.set(aspect, failureText(record));
      return undefined;
    }
    if (record !== undefined && wasInterrupted(record)) {
      this.missing.set(aspect, failureText(record));
      return undefined;
    }
    const printed = record?.bytes ?? null;
    if (record !== undefined && printed !== null && printed !== length()) {
      this.missing.set(aspect, `${name} has ${length()} bytes, but ${record.command} printed ${printed}`);
      return undefined;
    }
    if (!blank) return content;
    if (kernelHasNone(aspect, this.context.facts)) return undefined;
    if (record === undefined) this.missing.set(aspect, `${name} was not recorded`);
    else if (format === "json")
      this.missing.set(
        aspect,
        `${record.command}: exit 0, yet ${name} is absent or empty, and the command always prints something`,
      );
    return undefined;
  }

  /** What `parse` makes of `aspect`'s file; `none` when there is nothing or it could not be had. */
  read<T>(aspect: Aspect, name: string, format: Format, none: T, parse: (text: string, file: string) => T): T {
    const text = this.text(aspect, name, format);
    if (text === undefined) return none;
    return this.guard(aspect, () => parse(text, this.path(name))) ?? none;
  }

  /** As `read` of a text, for what can be parsed from bytes. */
  readSave<T>(aspect: Aspect, name: string, parse: (text: string | AsciiBytes, file: string) => T): T | undefined {
    const text = this.save(aspect, name);
    return text === undefined ? undefined : this.guard(aspect, () => parse(text, this.path(name)));
  }
}
