/** Words of one piece of a rule: a match, a target or an address, as iptables-save prints them. */

/** A value that is not what its option asks for. The caller adds file and line (ParseError). */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

const SPACE = 32;
const QUOTE = 34;
const BACKSLASH = 92;

/**
 * Splits `text` at single spaces, leaving quotes and backslashes as they stand, so that joining with spaces gives `text` again
 * (two spaces in a row make an empty word).
 * Throws Malformed when a quoted word has no end or goes on after its closing quote.
 */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  let start = 0;
  while (start <= text.length) {
    const end = wordEnd(text, start);
    words.push(text.slice(start, end));
    start = end + 1;
  }
  return words;
}

function wordEnd(text: string, start: number): number {
  if (text.charCodeAt(start) !== QUOTE) {
    const space = text.indexOf(" ", start);
    return space < 0 ? text.length : space;
  }
  let i = start + 1;
  while (i < text.length && text.charCodeAt(i) !== QUOTE) i += text.charCodeAt(i) === BACKSLASH ? 2 : 1;
  if (i >= text.length) throw new Malformed(`expected a closing quote after ${shorten(text.slice(start))}`);
  if (i + 1 < text.length && text.charCodeAt(i + 1) !== SPACE) {
    throw new Malformed(`expected a space after ${shorten(text.slice(start, i + 1))}`);
  }
  return i + 1;
}

/** At most 60 characters of `text`, for messages. */
export function shorten(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}

/** What a word means: without its quotes and escapes (xtables_save_string backwards). */
export function unquote(word: string): string {
  if (word.charCodeAt(0) !== QUOTE) return word;
  const body = word.slice(1, -1);
  return body.includes("\\") ? body.replace(/\\(.)/gs, "$1") : body;
}

/** How iptables prints free text: bare when it holds nothing but letters, digits, `_` and `-` (xtables_save_string, libxtables). */
export function quote(value: string): string {
  return /^[-_0-9a-zA-Z]+$/.test(value) ? value : `"${value.replace(/["\\']/g, "\\$&")}"`;
}

/** An option and whether `!` stands before it. */
export interface Option {
  readonly not: boolean;
  readonly name: string;
}

/** Reads the words of a piece in order. */
export class Words {
  private at = 0;
  private readonly seen: string[] = [];
  private readonly words: readonly string[];

  constructor(words: readonly string[]) {
    this.words = words;
  }

  /** The next option; null at the end. Throws Malformed for a word that is no option, or an option given twice. */
  option(): Option | null {
    this.skipEmpty();
    if (this.at >= this.words.length) return null;
    const not = this.words[this.at] === "!";
    if (not) this.at++;
    const name = this.words[this.at++];
    if (name === undefined || !name.startsWith("--")) {
      throw new Malformed(`expected an option, found ${shorten(name ?? "the end of the rule")}`);
    }
    if (this.seen.includes(name)) throw new Malformed(`${name} is given twice`);
    this.seen.push(name);
    return { not, name };
  }

  /** The value of the option just read, unquoted. Throws Malformed when there is none. */
  value(): string {
    this.skipEmpty();
    const word = this.words[this.at++];
    if (word === undefined) throw new Malformed(`${this.seen.at(-1) ?? "option"}: expected a value`);
    return unquote(word);
  }

  /** All words not read yet, as printed. */
  rest(): string[] {
    this.skipEmpty();
    const rest = this.words.slice(this.at);
    this.at = this.words.length;
    return rest;
  }

  /** Words of an option that is kept as text: its name, `!` included, and all up to the next option. */
  raw(option: Option): string[] {
    const out = option.not ? ["!", option.name] : [option.name];
    while (this.at < this.words.length) {
      const word = this.words[this.at]!;
      if (word === "!" || word.startsWith("--")) break;
      if (word !== "") out.push(word);
      this.at++;
    }
    return out;
  }

  private skipEmpty(): void {
    while (this.words[this.at] === "") this.at++;
  }
}
