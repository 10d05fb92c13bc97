/** Names in any text: replaced where they are whole words, or a part of one that can only be the name. */

/** Characters of names; what else stands between them separates words. */
const WORD = /[A-Za-z0-9][A-Za-z0-9._-]*/g;

/** A MAC address, or a word without dots: a setting's name has the device between dots. */
const DERIVED = /(?:[\da-f]{2}:){5}[\da-f]{2}|[A-Za-z0-9][A-Za-z0-9_-]*/g;

/** A property's name in JSON, and a key at the beginning of a line of YAML: these are the format's words. */
const KEY = /^"\s*:/;
const YAML_KEY_BEFORE = /(?:^|\n)[ \t-]*$/;

export class WordText {
  private readonly known = new Map<string, string>();
  private readonly nodes: readonly string[];
  private readonly domains: readonly string[];

  /**
   * `words`: what replaces each name; `exact`: what replaces names that programs derived. `nodes` and `domains` are names that begin, or end,
   * other words.
   */
  constructor(
    private readonly words: ReadonlyMap<string, string>,
    private readonly exact: ReadonlyMap<string, string>,
    nodes: readonly string[],
    domains: readonly string[],
  ) {
    const longestFirst = (list: readonly string[]): string[] => list.toSorted((a, b) => b.length - a.length);
    this.nodes = longestFirst(nodes);
    this.domains = longestFirst(domains);
  }

  private made(word: string): string {
    const own = this.exact.get(word) ?? this.words.get(word);
    if (own !== undefined) return own;
    const domain = this.domains.find((each) => word.toLowerCase().endsWith(`.${each}`));
    if (domain !== undefined)
      return `${this.word(word.slice(0, -domain.length - 1))}.${this.words.get(domain) ?? domain}`;
    for (const node of this.nodes) {
      // A block's affinity is named after the node and the block; static pods end with their node's name.
      if (word.startsWith(`${node}-`) && /^[\da-f-]+$/.test(word.slice(node.length + 1)))
        return `${this.words.get(node)}${word.slice(node.length)}`;
      if (word.endsWith(`-${node}`)) return `${this.word(word.slice(0, -node.length - 1))}-${this.words.get(node)}`;
    }
    if (word.includes("."))
      return word
        .split(".")
        .map((part) => this.words.get(part) ?? part)
        .join(".");
    if (word.includes("_"))
      return (
        word
          .split("_")
          // A word of digits and dashes is no word of a format.
          .map((part) => (/[-\d]/.test(part) ? this.word(part) : part))
          .join("_")
      );
    return word;
  }

  /** One word: the replacement of the name that it is or holds; itself when it holds none. */
  word(word: string): string {
    let made = this.known.get(word);
    if (made === undefined) this.known.set(word, (made = this.made(word)));
    return made;
  }

  /** All words of the text that are names or were derived from names. */
  text(text: string): string {
    return text.replaceAll(WORD, (found, at: number) => {
      const word = found.replace(/[._-]+$/, "");
      const made = this.word(word);
      if (made === word) return found;
      const after = text.slice(at + word.length, at + word.length + 8);
      if (text[at - 1] === '"' && KEY.test(after)) return found;
      if (/^:(?:[ \t\n]|$)/.test(after) && YAML_KEY_BEFORE.test(text.slice(Math.max(0, at - 80), at))) return found;
      return made + found.slice(word.length);
    });
  }

  /** Only words that programs derived from names, MAC addresses among them: for texts in which every other word is the kernel's. */
  derived(text: string): string {
    return this.exact.size === 0 ? text : text.replaceAll(DERIVED, (word) => this.exact.get(word) ?? word);
  }
}
