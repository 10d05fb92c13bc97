/** Where a fact stands in a snapshot. */
export interface Source {
  /** Path within the snapshot, `nodes/n1/host/iptables-save.txt`. */
  file: string;
  /** Line, counted from 1. */
  line: number;
}

/** Malformed input: says which file and line, and what was expected there. */
export class ParseError extends Error {
  readonly source: Source;
  constructor(source: Source, message: string) {
    super(`${source.file}:${source.line}: ${message}`);
    this.name = "ParseError";
    this.source = source;
  }
}
