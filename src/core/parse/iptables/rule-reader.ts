/**
 * Reads the options of one rule, the hot part of a save: one pass over the characters, no copy of any piece that was met before.
 *
 * A rule is a row of pieces: `-s 10.0.0.0/8`, `! -p tcp`, `-m conntrack ! --ctstate NEW`, and last `-j TARGET …`. A piece goes to the
 * next single-letter option, so it can be looked up, and shared between rules, as a whole. The forms of which nearly every rule has its
 * own (addresses, comments, jumps, DNAT) are read where they stand.
 */
import type { XtMatch, XtTarget } from "../../model/xtables.ts";
import { ChainNames } from "./chain-names.ts";
import { BACKSLASH, BANG, DASH, NEWLINE, QUOTE, SPACE, UPPER_D, endsWord, isLetter } from "./characters.ts";
import { Ip4Reader } from "./ip4-reader.ts";
import { ipMatch } from "./matches-ip.ts";
import { moduleMatches } from "./matches.ts";
import { PieceTable } from "./pieces.ts";
import { extensionTarget } from "./targets.ts";
import { Malformed, shorten, splitWords } from "./words.ts";

const c = 99;
const d = 100;
const g = 103;
const j = 106;
const m = 109;
const s = 115;
const t = 116;

const NO_TARGET: XtTarget = { t: "none" };
const NO_COMMENT: Extract<XtMatch, { m: "comment" }> = { m: "comment", text: "" };
const COMMENT = '-m comment --comment "';
const DNAT = "-j DNAT --to-destination ";

export class RuleReader {
  /** What `read` found, the first `count` of `matches`; good until its next call. */
  readonly matches: XtMatch[] = [];
  count = 0;
  target: XtTarget = NO_TARGET;
  /** Newlines within quoted text of the rule just read (iptables prints a comment's newline as it is). */
  newlines = 0;

  private readonly text: string;
  private readonly v6: boolean;
  private readonly ip4: Ip4Reader;
  private readonly matchPieces: PieceTable;
  private readonly matchesOf: (readonly XtMatch[])[] = [];
  private targetPieces: PieceTable;
  private targetOf: XtTarget[] = [];
  private chains: ChainNames;
  private comment = NO_COMMENT;
  /** The first backslash at or after the rules read so far. */
  private backslash = -1;

  constructor(text: string, v6: boolean) {
    this.text = text;
    this.v6 = v6;
    this.ip4 = new Ip4Reader(text);
    this.matchPieces = new PieceTable(text);
    this.targetPieces = new PieceTable(text);
    this.chains = new ChainNames(text);
  }

  /** Begins a table: jumps of its rules are to `chains`. */
  table(chains: ChainNames): void {
    this.chains = chains;
    this.targetPieces = new PieceTable(this.text);
    this.targetOf = [];
  }

  /**
   * Reads what follows the chain's name, from `at` (a space, a newline or the end) to the end of the line; returns the place of the
   * newline, or the text's length. Leaves `matches`, `count`, `target` and `newlines`. Throws Malformed.
   */
  read(at: number): number {
    const text = this.text;
    this.count = 0;
    this.target = NO_TARGET;
    this.newlines = 0;
    let i = at;
    while (text.charCodeAt(i) === SPACE) {
      const start = i + 1;
      const first = text.charCodeAt(start);
      if (endsWord(first)) {
        i++;
        continue;
      }
      const not = first === BANG && text.charCodeAt(start + 1) === SPACE;
      const dash = not ? start + 2 : start;
      const letter = text.charCodeAt(dash + 1);
      if (text.charCodeAt(dash) !== DASH || !isLetter(letter) || !endsWord(text.charCodeAt(dash + 2))) {
        throw new Malformed(`expected a match such as -s or -m, or -j and a target, found ${this.wordAt(dash)}`);
      }
      i = -1;
      if (letter === j || letter === g) i = this.readTarget(start, not, letter);
      else if (letter === s || letter === d) i = this.readNetwork(dash, not, letter);
      else if (letter === m && text.charCodeAt(dash + 3) === c) i = this.readComment(dash, not);
      if (i < 0) i = this.readMatch(start, not, letter);
    }
    return i;
  }

  private wordAt(at: number): string {
    let end = at;
    while (!endsWord(this.text.charCodeAt(end))) end++;
    return end === at ? "the end of the line" : shorten(this.text.slice(at, end));
  }

  /** `-s A.B.C.D/LENGTH`; -1 for any other form. */
  private readNetwork(dash: number, not: boolean, letter: number): number {
    const prefix = this.v6 ? null : this.ip4.prefix(dash + 3);
    if (prefix === null || !endsWord(this.text.charCodeAt(this.ip4.position))) return -1;
    this.matches[this.count++] = { m: letter === s ? "src" : "dst", not, prefix };
    return this.ip4.position;
  }

  /** `-m comment --comment "…"` without escapes or newlines; -1 for any other form. */
  private readComment(dash: number, not: boolean): number {
    const text = this.text;
    if (not || !text.startsWith(COMMENT, dash)) return -1;
    const from = dash + COMMENT.length;
    const close = text.indexOf('"', from);
    if (this.backslash < from) {
      this.backslash = text.indexOf("\\", from);
      if (this.backslash < 0) this.backslash = text.length;
    }
    if (close < 0 || this.backslash < close || !endsWord(text.charCodeAt(close + 1))) return -1;
    const last = this.comment.text;
    let same = last.length === close - from;
    for (let k = 0; same && k < last.length; k++) same = last.charCodeAt(k) === text.charCodeAt(from + k);
    if (!same) {
      const comment = text.slice(from, close);
      if (comment.includes("\n")) return -1;
      this.comment = { m: "comment", text: comment };
    }
    this.matches[this.count++] = this.comment;
    return close + 1;
  }

  private readMatch(start: number, not: boolean, letter: number): number {
    const text = this.text;
    const length = text.length;
    let hash = not ? letter + 256 : letter;
    let i = not ? start + 4 : start + 2;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code === NEWLINE) break;
      if (code === SPACE) {
        const next = text.charCodeAt(i + 1);
        if (next === DASH) {
          if (endsWord(text.charCodeAt(i + 3)) && isLetter(text.charCodeAt(i + 2)) && !this.isCommentText(i)) break;
        } else if (next === QUOTE) {
          const close = this.closingQuote(i + 1);
          for (; i < close; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
        } else if (next === BANG && text.charCodeAt(i + 2) === SPACE && text.charCodeAt(i + 3) === DASH) {
          if (endsWord(text.charCodeAt(i + 5)) && isLetter(text.charCodeAt(i + 4))) break;
        }
      }
      hash = (Math.imul(hash, 31) + code) | 0;
    }
    const end = withoutSpaces(text, i);
    let piece = this.matchPieces.find(hash, start, end);
    if (piece < 0) {
      const made = this.makeMatches(text.slice(not ? start + 5 : start + 3, end), not, letter);
      piece = this.matchPieces.add(hash, start, end);
      this.matchesOf.push(made);
    }
    const found = this.matchesOf[piece]!;
    for (let k = 0; k < found.length; k++) this.matches[this.count++] = found[k]!;
    return i;
  }

  /** Whether the space at `at` stands between --comment and its text, which may look like an option (`--comment -j`). */
  private isCommentText(at: number): boolean {
    return this.text.charCodeAt(at - 1) === t && this.text.startsWith("--comment", at - 9);
  }

  /** The place of the quote that closes the one at `open`. */
  private closingQuote(open: number): number {
    const text = this.text;
    for (let i = open + 1; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === QUOTE) return i;
      if (code === BACKSLASH) i++;
      else if (code === NEWLINE) this.newlines++;
    }
    throw new Malformed(`expected a closing quote after ${shorten(text.slice(open, open + 80).split("\n")[0]!)}`);
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
    const text = this.text;
    const name = start + 3;
    let i = name;
    while (!endsWord(text.charCodeAt(i))) i++;
    const bare = text.charCodeAt(i) !== SPACE;
    const jump = bare && letter === j ? this.chains.jump(name, i) : undefined;
    if (jump !== undefined) {
      this.target = jump;
      return i;
    }
    if (!bare && text.charCodeAt(name) === UPPER_D) {
      const end = this.readDnat(start);
      if (end >= 0) return end;
    }
    return this.readOtherTarget(start, letter);
  }

  /** `-j DNAT --to-destination A.B.C.D:PORT`; -1 for any other form. */
  private readDnat(start: number): number {
    if (this.v6 || !this.text.startsWith(DNAT, start)) return -1;
    const range = this.ip4.natRange(start + DNAT.length);
    const end = this.ip4.position;
    const after = this.text.charCodeAt(end);
    if (range === null || after === SPACE || !endsWord(after)) return -1;
    this.target = { t: "dnat", range, random: false, randomFully: false, persistent: false };
    return end;
  }

  private readOtherTarget(start: number, letter: number): number {
    const text = this.text;
    const length = text.length;
    let hash = letter;
    let i = start + 2;
    for (; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code === NEWLINE) break;
      if (code === SPACE && text.charCodeAt(i + 1) === QUOTE) {
        const close = this.closingQuote(i + 1);
        for (; i < close; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
      }
      hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
    }
    const end = withoutSpaces(text, i);
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
    const chain = this.chains.find(start, start + name.length);
    if (chain !== undefined) {
      if (words.length === 0) return { t: goto ? "goto" : "jump", chain: chain.name };
      throw new Malformed(`expected the end of the line after chain ${name}, found ${shorten(words.join(" "))}`);
    }
    // No extension is named with small letters or `-`, so such a name can only be a chain's.
    if (goto || !/^[A-Z0-9_]+$/.test(name)) throw new Malformed(`expected a chain declared in this table, found ${shorten(name)}`);
    return extensionTarget(name, words, this.v6);
  }
}

/** The end of a piece that goes up to `end`, without spaces at its end (older versions print some at the end of a line). */
function withoutSpaces(text: string, end: number): number {
  let i = end;
  while (text.charCodeAt(i - 1) === SPACE) i--;
  return i;
}
