/**
 * Reads the options of one rule, the hot part of a save: one pass over the bytes, no copy of any piece that was met before.
 *
 * A rule is a row of pieces: `-s 10.0.0.0/8`, `! -p tcp`, `-m conntrack ! --ctstate NEW`, and last `-j TARGET …`. A piece goes to the
 * next single-letter option, so it can be looked up, and shared between rules, as a whole. The forms of which nearly every rule has its
 * own (addresses, comments, jumps, DNAT) are read where they stand.
 */
import type { XtMatch, XtTarget } from "../../model/xtables.ts";
import { ChainNames } from "./chain-names.ts";
import { BACKSLASH, BANG, DASH, NEWLINE, QUOTE, SPACE, UPPER_D, isLetter } from "./characters.ts";
import { Ip4Reader } from "./ip4-reader.ts";
import { ipMatch } from "./matches-ip.ts";
import { moduleMatches } from "./matches.ts";
import { PieceTable } from "./pieces.ts";
import { Literal, type SaveText, endsWord } from "./save-text.ts";
import { extensionTarget } from "./targets.ts";
import { Malformed, shorten, splitWords } from "./words.ts";

/** Codes of letters. */
const c = 99;
const d = 100;
const g = 103;
const j = 106;
const m = 109;
const r = 114;
const s = 115;
const t = 116;

const COMMENT = new Literal('-m comment --comment "');
const COMMENT_OPTION = new Literal("--comment");
const HELPER_OPTION = new Literal("--helper");
const DNAT = new Literal("-j DNAT --to-destination ");

const NO_TARGET: XtTarget = { t: "none" };

export class RuleReader {
  /** What `read` found, the first `count` of `matches`; good until its next call. */
  readonly matches: XtMatch[] = [];
  count = 0;
  target: XtTarget = NO_TARGET;
  /** Newlines within quoted text of the rule just read (iptables prints a comment's newline as it is). */
  newlines = 0;

  private readonly text: SaveText;
  private readonly bytes: Uint8Array;
  private readonly v6: boolean;
  private readonly ip4: Ip4Reader;
  private readonly matchPieces: PieceTable;
  private readonly matchesOf: (readonly XtMatch[])[] = [];
  /** Where each match's piece stood when it was met first, and its length; 0 for one that has a newline. */
  private readonly matchStarts: number[] = [];
  private readonly matchLengths: number[] = [];
  /** The piece that came after each piece the last time, -1 for none; rules repeat in patterns. */
  private readonly followers: number[] = [];
  private lastPiece = -1;
  private readonly targetPieces: PieceTable;
  private readonly targetOf: XtTarget[] = [];
  private readonly chains: ChainNames;
  /** Whether objects are made of what is read. */
  private making = true;
  /** The comment read last, and where its text stands: rules of one chain often have the same. */
  private comment: XtMatch = { m: "comment", text: "" };
  private commentStart = 0;
  /** Before the first comment: longer than any text, so that none is the same. */
  private commentLength = Number.MAX_SAFE_INTEGER;
  /** Comments by their text: rules of a Service's endpoints, which stand far from each other, have the same. */
  private readonly comments: PieceTable;
  private readonly commentOf: XtMatch[] = [];

  /** Reads rules of the table whose chains are `chains`, ip6tables' when `v6`. */
  constructor(text: SaveText, v6: boolean, chains: ChainNames) {
    this.text = text;
    this.bytes = text.bytes;
    this.v6 = v6;
    this.chains = chains;
    this.ip4 = new Ip4Reader(text);
    this.comments = new PieceTable(text, 0);
    this.matchPieces = new PieceTable(text, 0);
    this.targetPieces = new PieceTable(text, 0);
  }

  /**
   * As `read`, without what it leaves in `matches` and `target`: several times cheaper, as nothing is made. Throws Malformed for the same
   * rules.
   */
  check(at: number): number {
    this.making = false;
    try {
      return this.read(at);
    } finally {
      this.making = true;
    }
  }

  /**
   * Reads what follows the chain's name, from `at` (a space, a newline or the end) to the end of the line; returns the place of the
   * newline, or the text's length. Leaves `matches`, `count`, `target` and `newlines`. Throws Malformed.
   */
  read(at: number): number {
    const bytes = this.bytes;
    this.count = 0;
    this.target = NO_TARGET;
    this.newlines = 0;
    let i = at;
    while (bytes[i] === SPACE) {
      const start = i + 1;
      if (endsWord(bytes[start]!)) {
        i++;
        continue;
      }
      const not = bytes[start] === BANG && bytes[start + 1] === SPACE;
      const dash = not ? start + 2 : start;
      const letter = bytes[dash + 1]!;
      if (bytes[dash] !== DASH || !isLetter(letter) || !endsWord(bytes[dash + 2]!)) {
        throw new Malformed(`expected a match such as -s or -m, or -j and a target, found ${this.wordAt(dash)}`);
      }
      i = -1;
      if (letter === j || letter === g) i = this.readTarget(start, not, letter);
      else if (letter === s || letter === d) i = this.readNetwork(dash, not, letter);
      else if (letter === m && bytes[dash + 3] === c) i = this.readComment(dash, not);
      if (i < 0) i = this.readMatch(start, not, letter);
    }
    return i;
  }

  private wordAt(at: number): string {
    return shorten(this.text.slice(at, this.text.wordEnd(at)) || "the end of the line");
  }

  /** `-s A.B.C.D/LENGTH`; -1 for any other form. */
  private readNetwork(dash: number, not: boolean, letter: number): number {
    if (this.v6 || !this.ip4.scanPrefix(dash + 3)) return -1;
    const end = this.ip4.position;
    if (!endsWord(this.bytes[end]!)) return -1;
    if (this.making) this.matches[this.count++] = { m: letter === s ? "src" : "dst", not, prefix: this.ip4.prefix() };
    return end;
  }

  /** `-m comment --comment "…"` without escapes and control characters; -1 for any other form. */
  private readComment(dash: number, not: boolean): number {
    const { text, bytes } = this;
    if (not || !text.has(COMMENT, dash)) return -1;
    const from = dash + COMMENT.length;
    const again = from + this.commentLength;
    // The last comment with the quote after it.
    if (again < text.length && endsWord(bytes[again + 1]!) && text.same(from, this.commentStart, again + 1 - from)) {
      if (this.making) this.matches[this.count++] = this.comment;
      return again + 1;
    }
    const close = text.plainEnd(from);
    if (bytes[close] !== QUOTE || !endsWord(bytes[close + 1]!)) return -1;
    if (!this.making) return close + 1;
    const hash = text.hash(from, close);
    let piece = this.comments.find(hash, from, close);
    if (piece < 0) {
      piece = this.comments.add(hash, from, close);
      this.commentOf.push({ m: "comment", text: text.slice(from, close) });
    }
    this.comment = this.commentOf[piece]!;
    this.commentStart = from;
    this.commentLength = close - from;
    this.matches[this.count++] = this.comment;
    return close + 1;
  }

  /** Whether a piece that goes up to `at` ends there: at the end of the line, or before the next single-letter option. */
  private endsPiece(at: number): boolean {
    const { bytes } = this;
    const code = bytes[at];
    if (code !== SPACE) return code === NEWLINE || at === this.text.length;
    const dash = bytes[at + 1] === BANG && bytes[at + 2] === SPACE ? at + 3 : at + 1;
    return bytes[dash] === DASH && isLetter(bytes[dash + 1]!) && endsWord(bytes[dash + 2]!);
  }

  /** The piece at `start` when it is the one that came after the last piece before; its end, or -1. */
  private readExpected(start: number): number {
    const { text } = this;
    const piece = this.lastPiece < 0 ? -1 : this.followers[this.lastPiece]!;
    if (piece < 0) return -1;
    const length = this.matchLengths[piece]!;
    const end = start + length;
    if (length === 0 || end > text.length || !text.same(start, this.matchStarts[piece]!, length)) return -1;
    if (!this.endsPiece(end)) return -1;
    this.takePiece(piece);
    return end;
  }

  private takePiece(piece: number): void {
    this.lastPiece = piece;
    if (!this.making) return;
    const found = this.matchesOf[piece]!;
    for (let k = 0; k < found.length; k++) this.matches[this.count++] = found[k]!;
  }

  private readMatch(start: number, not: boolean, letter: number): number {
    const expected = this.readExpected(start);
    if (expected >= 0) return expected;
    const { bytes, text, newlines } = this;
    let i = not ? start + 4 : start + 2;
    for (; bytes[i] !== NEWLINE && bytes[i] !== 0; i++) {
      if (bytes[i] !== SPACE) continue;
      const next = bytes[i + 1];
      if (next === DASH) {
        if (endsWord(bytes[i + 3]!) && isLetter(bytes[i + 2]!) && !this.isBeforeText(i)) break;
      } else if (next === QUOTE) {
        i = this.closingQuote(i + 1);
      } else if (next === BANG && bytes[i + 2] === SPACE && bytes[i + 3] === DASH) {
        if (endsWord(bytes[i + 5]!) && isLetter(bytes[i + 4]!)) break;
      }
    }
    const end = this.withoutSpaces(i);
    const hash = text.hash(start, end);
    let piece = this.matchPieces.find(hash, start, end);
    if (piece < 0) {
      const made = this.makeMatches(text.slice(not ? start + 5 : start + 3, end), not, letter);
      piece = this.matchPieces.add(hash, start, end);
      this.matchesOf.push(made);
      this.matchStarts.push(start);
      this.matchLengths.push(this.newlines === newlines ? end - start : 0);
      this.followers.push(-1);
    }
    if (this.lastPiece >= 0) this.followers[this.lastPiece] = piece;
    this.takePiece(piece);
    return i;
  }

  /** Whether the space at `at` stands between --comment or --helper and its text, which may look like an option (`--comment -j`). */
  private isBeforeText(at: number): boolean {
    const last = this.bytes[at - 1];
    if (last === t) return this.text.has(COMMENT_OPTION, at - COMMENT_OPTION.length);
    return last === r && this.text.has(HELPER_OPTION, at - HELPER_OPTION.length);
  }

  /** The place of the quote that closes the one at `open`. */
  private closingQuote(open: number): number {
    const bytes = this.bytes;
    for (let i = open + 1; i < this.text.length; i++) {
      const code = bytes[i]!;
      if (code === QUOTE) return i;
      if (code === BACKSLASH) i++;
      if (bytes[i] === NEWLINE) this.newlines++;
    }
    throw new Malformed(`expected a closing quote after ${shorten(this.text.slice(open, open + 80).split("\n")[0]!)}`);
  }

  /** The end of a piece that goes up to `end`, without spaces at its end (older versions print some at the end of a line). */
  private withoutSpaces(end: number): number {
    let i = end;
    while (this.bytes[i - 1] === SPACE) i--;
    return i;
  }

  /** The matches of a piece met for the first time; `value` is what follows the letter. */
  private makeMatches(value: string, not: boolean, letter: number): readonly XtMatch[] {
    if (letter !== m) return [ipMatch(String.fromCharCode(letter), not, value, this.v6)];
    if (not) throw new Malformed("expected ! before an option of -m, not before -m itself");
    const [module = "", ...words] = splitWords(value);
    if (module === "") throw new Malformed("-m: expected a module");
    const made = moduleMatches(module, words, this.v6);
    return "m" in made ? [made] : made;
  }

  private readTarget(start: number, not: boolean, letter: number): number {
    if (not) throw new Malformed("expected a match after !, found a target");
    const bytes = this.bytes;
    const name = start + 3;
    if (letter === j) {
      if (bytes[name] === UPPER_D) {
        const end = this.readDnat(start);
        if (end >= 0) return end;
      }
      const number = this.chains.numberAt(name);
      const end = this.chains.end;
      if (number >= 0 && bytes[end] !== SPACE) {
        if (this.making) this.target = this.chains.jumpTo(number);
        return end;
      }
    }
    return this.readOtherTarget(start, letter);
  }

  /** `-j DNAT --to-destination A.B.C.D:PORT`; -1 for any other form. */
  private readDnat(start: number): number {
    if (this.v6 || !this.text.has(DNAT, start)) return -1;
    if (!this.ip4.scanNatRange(start + DNAT.length)) return -1;
    const end = this.ip4.position;
    const after = this.bytes[end]!;
    if (after === SPACE || !endsWord(after)) return -1;
    if (this.making)
      this.target = { t: "dnat", range: this.ip4.natRange(), random: false, randomFully: false, persistent: false };
    return end;
  }

  private readOtherTarget(start: number, letter: number): number {
    const { bytes, text } = this;
    let i = start + 2;
    for (; bytes[i] !== NEWLINE && bytes[i] !== 0; i++) {
      if (bytes[i] === SPACE && bytes[i + 1] === QUOTE) i = this.closingQuote(i + 1);
    }
    const end = this.withoutSpaces(i);
    const hash = text.hash(start, end);
    let piece = this.targetPieces.find(hash, start, end);
    if (piece < 0) {
      const made = this.makeTarget(start + 3, end, letter === g);
      piece = this.targetPieces.add(hash, start, end);
      this.targetOf.push(made);
    }
    this.target = this.targetOf[piece]!;
    return i;
  }

  private makeTarget(start: number, end: number, goto: boolean): XtTarget {
    const [name = "", ...words] = splitWords(this.text.slice(start, end));
    if (name === "") throw new Malformed(`${goto ? "-g" : "-j"}: expected a target`);
    const chain = this.chains.find(start, this.text.wordEnd(start));
    if (chain !== undefined) {
      if (words.length === 0) return { t: goto ? "goto" : "jump", chain };
      throw new Malformed(`expected the end of the line after chain ${name}, found ${shorten(words.join(" "))}`);
    }
    // No extension is named with small letters or `-`, so such a name can only be a chain's.
    if (goto || !/^[A-Z0-9_]+$/.test(name))
      throw new Malformed(`expected a chain declared in this table, found ${shorten(name)}`);
    return extensionTarget(name, words, this.v6);
  }
}
