/** Chains of a large save whose rules are not read before someone asks for them: most are never looked at. */
import type { XtChain, XtRule } from "../../model/xtables.ts";
import { CLOSE_BRACKET, COLON, OPEN_BRACKET } from "./characters.ts";
import type { RuleReader } from "./rule-reader.ts";
import type { SaveText } from "./save-text.ts";

/** Reads rules that were checked before. */
export class BlockReader {
  private readonly text: SaveText;
  private readonly options: RuleReader;

  constructor(text: SaveText, options: RuleReader) {
    this.text = text;
    this.options = options;
  }

  /** The `count` rules from the line at `start` on, which is line `firstLine`; nothing stands between them. */
  read(start: number, firstLine: number, count: number): XtRule[] {
    const { text, options } = this;
    const { bytes } = text;
    const rules: XtRule[] = [];
    let at = start;
    let line = firstLine;
    while (rules.length < count) {
      let packets: number | null = null;
      let byteCount: number | null = null;
      if (bytes[at] === OPEN_BRACKET) {
        const colon = bytes.indexOf(COLON, at);
        const close = bytes.indexOf(CLOSE_BRACKET, colon);
        packets = this.number(at + 1, colon);
        byteCount = this.number(colon + 1, close);
        at = close + 2;
      }
      const end = options.read(text.wordEnd(at + "-A ".length));
      const matches = options.matches.slice(0, options.count);
      rules.push({ line, packets, bytes: byteCount, matches, target: options.target });
      line += options.newlines + 1;
      at = end + 1;
    }
    return rules;
  }

  private number(start: number, end: number): number {
    if (end - start > 15) return Number(this.text.slice(start, end));
    let value = 0;
    for (let i = start; i < end; i++) value = value * 10 + this.text.bytes[i]! - 48;
    return value;
  }
}

export class UnreadChain implements XtChain {
  readonly name: string;
  readonly line: number;
  policy: XtChain["policy"] = null;
  packets = 0;
  bytes = 0;
  /** How many rules wait to be read. */
  count = 0;
  private source: BlockReader | null = null;
  private start = 0;
  private firstLine = 0;
  private own: XtRule[] | null = null;

  constructor(name: string, line: number) {
    this.name = name;
    this.line = line;
  }

  /** Says where its rules stand. */
  wait(source: BlockReader, start: number, firstLine: number, count: number): void {
    this.source = source;
    this.start = start;
    this.firstLine = firstLine;
    this.count = count;
  }

  get rules(): XtRule[] {
    if (this.own === null) {
      this.own = this.source?.read(this.start, this.firstLine, this.count) ?? [];
      // The text need not be kept for this chain's sake.
      this.source = null;
    }
    return this.own;
  }
}
