/**
 * Calico's selectors as trees: read, evaluated over labels, and printed in the one form of which Felix makes the hash that names a set
 * (libcalico-go/lib/selector/parser, ast.go and parser.go).
 */

/** One test of a label or a combination of tests. */
export type Selector =
  | { op: "all" | "global" }
  | { op: "has"; label: string }
  | { op: "==" | "!=" | "contains" | "starts with" | "ends with"; label: string; value: string }
  | { op: "in" | "not in"; label: string; values: readonly string[] }
  | { op: "!"; of: Selector }
  | { op: "&&" | "||"; of: readonly Selector[] };

/** Value of a label; undefined when there is none. */
export type LabelOf = (name: string) => string | undefined;

/** A selector that makes no sense. */
export class SelectorError extends Error {
  constructor(selector: string, why: string) {
    super(`the selector ${JSON.stringify(selector)} makes no sense: ${why}`);
    this.name = "SelectorError";
  }
}

const SIGNS = ["==", "!=", "&&", "||", "!", "(", ")", "{", "}", ","] as const;
type Sign = (typeof SIGNS)[number];
type Token = { sign: Sign } | { text: string } | { word: string } | { call: "has" | "all" | "global"; label: string };

const WORD = /[a-zA-Z0-9_./-]+/y;
const CALL = /(has|all|global)\(\s*([a-zA-Z0-9_./-]*)\s*\)/y;
const SPACE = /\s*/y;

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function tokenize(selector: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += match(SPACE, selector, at)?.[0].length ?? 0;
    if (at >= selector.length) return tokens;
    const quote = selector[at];
    if (quote === '"' || quote === "'") {
      const end = selector.indexOf(quote, at + 1);
      if (end < 0) throw new SelectorError(selector, "a string has no end");
      tokens.push({ text: selector.slice(at + 1, end) });
      at = end + 1;
      continue;
    }
    const sign = SIGNS.find((each) => selector.startsWith(each, at));
    if (sign !== undefined) {
      tokens.push({ sign });
      at += sign.length;
      continue;
    }
    // After a label, `has` or `all` would be an operator that does not exist.
    const last = tokens.at(-1);
    const call = last !== undefined && "word" in last ? null : match(CALL, selector, at);
    if (call !== null) {
      const name = call[1] as "has" | "all" | "global";
      if ((name === "has") === (call[2] === "")) throw new SelectorError(selector, `${name}() is called wrongly`);
      tokens.push({ call: name, label: call[2] ?? "" });
      at += call[0].length;
      continue;
    }
    const word = match(WORD, selector, at);
    if (word === null) throw new SelectorError(selector, `nothing can begin with ${JSON.stringify(selector[at])}`);
    tokens.push({ word: word[0] });
    at += word[0].length;
  }
}

class Parser {
  private at = 0;
  private readonly tokens: Token[];

  constructor(private readonly selector: string) {
    this.tokens = tokenize(selector);
  }

  whole(): Selector {
    if (this.tokens.length === 0) return { op: "all" };
    const node = this.or();
    if (this.at < this.tokens.length) throw this.error("something follows its end");
    return node;
  }

  private error(why: string): SelectorError {
    return new SelectorError(this.selector, why);
  }

  private sign(sign: Sign): boolean {
    const token = this.tokens[this.at];
    if (token === undefined || !("sign" in token) || token.sign !== sign) return false;
    this.at++;
    return true;
  }

  private word(word: string): boolean {
    const token = this.tokens[this.at];
    if (token === undefined || !("word" in token) || token.word !== word) return false;
    this.at++;
    return true;
  }

  private string(): string {
    const token = this.tokens[this.at++];
    if (token === undefined || !("text" in token)) throw this.error("a value in quotes is missing");
    return token.text;
  }

  private or(): Selector {
    const first = this.and();
    const of = [first];
    while (this.sign("||")) of.push(this.and());
    return of.length === 1 ? first : { op: "||", of };
  }

  private and(): Selector {
    const first = this.operation();
    const of = [first];
    while (this.sign("&&")) of.push(this.operation());
    return of.length === 1 ? first : { op: "&&", of };
  }

  private operation(): Selector {
    let negated = false;
    while (this.sign("!")) negated = !negated;
    const node = this.positive();
    return negated ? { op: "!", of: node } : node;
  }

  private positive(): Selector {
    if (this.sign("(")) {
      const node = this.or();
      if (!this.sign(")")) throw this.error("a ) is missing");
      return node;
    }
    const token = this.tokens[this.at++];
    if (token !== undefined && "call" in token)
      return token.call === "has" ? { op: "has", label: token.label } : { op: token.call };
    if (token === undefined || !("word" in token)) throw this.error("a label is missing");
    return this.test(token.word);
  }

  private test(label: string): Selector {
    if (this.sign("==")) return { op: "==", label, value: this.string() };
    if (this.sign("!=")) return { op: "!=", label, value: this.string() };
    if (this.word("contains")) return { op: "contains", label, value: this.string() };
    if (this.word("starts") && this.word("with")) return { op: "starts with", label, value: this.string() };
    if (this.word("ends") && this.word("with")) return { op: "ends with", label, value: this.string() };
    if (this.word("in")) return { op: "in", label, values: this.values() };
    if (this.word("not") && this.word("in")) return { op: "not in", label, values: this.values() };
    throw this.error(`an operator is missing after ${label}`);
  }

  /** `{ "a", "b" }`, sorted and each once, as StringSet keeps it. */
  private values(): string[] {
    if (!this.sign("{")) throw this.error("a { is missing");
    const values = new Set<string>();
    while (!this.sign("}")) {
      values.add(this.string());
      if (this.sign(",")) continue;
      if (!this.sign("}")) throw this.error("a } is missing");
      break;
    }
    return [...values].toSorted();
  }
}

/** Reads a selector; the empty one is `all()`. Throws SelectorError. */
export function parseSelector(text: string): Selector {
  return new Parser(text).whole();
}

/** Whether a selector takes what has these labels. A label that is absent equals nothing and differs from everything. */
export function selects(selector: Selector, labelOf: LabelOf): boolean {
  switch (selector.op) {
    case "all":
    case "global":
      return true;
    case "has":
      return labelOf(selector.label) !== undefined;
    case "==":
      return labelOf(selector.label) === selector.value;
    case "!=":
      return labelOf(selector.label) !== selector.value;
    case "contains":
      return labelOf(selector.label)?.includes(selector.value) === true;
    case "starts with":
      return labelOf(selector.label)?.startsWith(selector.value) === true;
    case "ends with":
      return labelOf(selector.label)?.endsWith(selector.value) === true;
    case "in":
    case "not in": {
      const value = labelOf(selector.label);
      return (value !== undefined && selector.values.includes(value)) === (selector.op === "in");
    }
    case "!":
      return !selects(selector.of, labelOf);
    case "&&":
      return selector.of.every((each) => selects(each, labelOf));
    case "||":
      return selector.of.some((each) => selects(each, labelOf));
  }
}

const quoted = (value: string): string => (value.includes('"') ? `'${value}'` : `"${value}"`);

/** The one form that all selectors with the same tree have (collectFragments in ast.go). */
export function formatSelector(selector: Selector): string {
  switch (selector.op) {
    case "all":
    case "global":
      return `${selector.op}()`;
    case "has":
      return `has(${selector.label})`;
    case "in":
    case "not in":
      return `${selector.label} ${selector.op} {${selector.values.map(quoted).join(", ")}}`;
    case "!":
      return `!${formatSelector(selector.of)}`;
    case "&&":
    case "||":
      return `(${selector.of.map(formatSelector).join(` ${selector.op} `)})`;
    default:
      return `${selector.label} ${selector.op} ${quoted(selector.value)}`;
  }
}

/** The same selector over labels whose names begin with `prefix` (PrefixVisitor in ast.go). */
export function prefixed(selector: Selector, prefix: string): Selector {
  switch (selector.op) {
    case "all":
    case "global":
      return selector;
    case "!":
      return { op: "!", of: prefixed(selector.of, prefix) };
    case "&&":
    case "||":
      return { op: selector.op, of: selector.of.map((each) => prefixed(each, prefix)) };
    default:
      return { ...selector, label: prefix + selector.label };
  }
}
