/** keepalived's configuration language: words, blocks in braces, comments from `!` and `#` (keepalived.conf(5), lib/parser.c). */
import { ParseError, type Source } from "../../model/source.ts";

/** A line's words, and the block that follows them when there is one. */
export interface Statement {
  words: string[];
  body: Statement[] | null;
  source: Source;
}

interface Token {
  text: string;
  /** A brace that is not within quotes. */
  brace: boolean;
  line: number;
}

/** Words and braces of each line. A quoted word keeps its blanks. */
function tokenize(text: string): Token[][] {
  return text.split("\n").map((raw, index) => {
    const line: Token[] = [];
    for (const [token] of raw.matchAll(/"(?:\\.|[^"\\])*"?|'[^']*'?|[{}]|[^\s"'{}]+/g)) {
      if (/^[#!]/.test(token)) break;
      const quoted = /^["']/.test(token);
      line.push({
        text: quoted ? token.slice(1, token.length > 1 && token.endsWith(token[0]!) ? -1 : undefined) : token,
        brace: !quoted && (token === "{" || token === "}"),
        line: index + 1,
      });
    }
    return line;
  });
}

/**
 * Reads a configuration into its statements. `file` is its path in the snapshot.
 * Throws ParseError with the line of a brace that has no partner.
 */
export function parseBlocks(text: string, file: string): Statement[] {
  const top: Statement[] = [];
  const open: { body: Statement[]; source: Source }[] = [];
  for (const tokens of tokenize(text)) {
    let words: Token[] = [];
    const body = (): Statement[] => open.at(-1)?.body ?? top;
    const flush = (block: Statement[] | null): void => {
      const [first] = words;
      if (first === undefined) return;
      body().push({ words: words.map((each) => each.text), body: block, source: { file, line: first.line } });
      words = [];
    };
    for (const token of tokens) {
      if (!token.brace) {
        words.push(token);
        continue;
      }
      const source: Source = { file, line: token.line };
      if (token.text === "}") {
        flush(null);
        if (open.pop() === undefined) throw new ParseError(source, "there is no block for this } to close");
        continue;
      }
      const block: Statement[] = [];
      const last = body().at(-1);
      // The brace may stand on a line of its own, after the words that it belongs to.
      if (words.length > 0) flush(block);
      else if (last !== undefined && last.body === null) last.body = block;
      else throw new ParseError(source, "there is nothing before this { that could have a block");
      open.push({ body: block, source });
    }
    flush(null);
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined) throw new ParseError(unclosed.source, "this { is never closed");
  return top;
}
