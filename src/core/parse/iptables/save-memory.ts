/**
 * What reading one node's save teaches for the next: nodes of one cluster have nearly the same chains. A chain that stands there byte for
 * byte as in the save before is not read again; its rules are that one's. Of other chains, neither are rules that stand there but for their
 * counters.
 */
import type { XtChain, XtRule } from "../../model/xtables.ts";
import type { ChainNames } from "./chain-names.ts";
import { NEWLINE, OPEN_BRACKET, SPACE } from "./characters.ts";
import { PieceTable } from "./pieces.ts";
import type { SaveText } from "./save-text.ts";
import { SharedChain } from "./shared-chain.ts";

/** Where the rules of a chain stand in the save that was read. */
export interface Block {
  /** From the first byte of its first line to that after its last newline. */
  start: number;
  end: number;
  /** Line of its first rule, as the rules of `chain` have it. */
  line: number;
  /** Lines that it takes, and rules that it has. */
  lines: number;
  count: number;
  /** Has the rules. */
  chain: XtChain;
}

/** So many ways in which lines are shifted are kept. */
const MOST_VARIANTS = 64;

/** What is learned of one table. */
export class TableMemory {
  readonly names: ChainNames;
  /** By the chain's number; absent for a chain whose rules do not stand together. */
  readonly blocks: (Block | undefined)[] = [];
  /** By the chain's number, where the rules of a block stand here that is another save's; -1 for this one's own, and for none. */
  private readonly taken: number[] = [];
  /** Chains of other saves that have the rules of these on other lines, by how much chain and rules are shifted, then by number. */
  private readonly variants = new Map<string, (SharedChain | undefined)[]>();
  private readonly text: SaveText;
  private index: { pieces: PieceTable; places: { block: Block; rule: number }[] } | null = null;

  constructor(text: SaveText, names: ChainNames) {
    this.text = text;
    this.names = names;
  }

  /** Remembers that the rules of chain `number` stand at `start` as `block` of another save has them. */
  take(number: number, block: Block, start: number): void {
    const { blocks, taken } = this;
    // Filled up to here: an array with holes would be slow.
    while (blocks.length < number) blocks.push(undefined);
    while (taken.length < number) taken.push(-1);
    blocks[number] = block;
    taken[number] = start;
  }

  /** Blocks of other saves become this one's own. To be called when this save is remembered: most are not. */
  settle(): void {
    this.taken.forEach((start, number) => {
      const block = this.blocks[number];
      if (start < 0 || block === undefined) return;
      this.blocks[number] = { ...block, start, end: start + block.end - block.start };
      this.taken[number] = -1;
    });
  }

  /**
   * The chain `number`, declared as `chain` is, with the rules of `block`, `shift` lines later than there. Nodes whose lines are shifted alike have
   * one object.
   */
  sharedChain(number: number, chain: XtChain, block: Block, shift: number): SharedChain {
    const key = `${chain.line - block.chain.line} ${shift}`;
    let known = this.variants.get(key);
    if (known === undefined) {
      if (this.variants.size >= MOST_VARIANTS) return new SharedChain(chain, block.chain, shift);
      this.variants.set(key, (known = Array.from({ length: this.names.count })));
    }
    return (known[number] ??= new SharedChain(chain, block.chain, shift));
  }

  /** The rule whose line, after its counters, is other[start, end); undefined when there is none. */
  rule(other: SaveText, start: number, end: number): XtRule | undefined {
    const { pieces, places } = (this.index ??= this.makeIndex());
    const place = places[pieces.findOf(other, other.hash(start, end), start, end)];
    return place?.block.chain.rules[place.rule];
  }

  private makeIndex(): { pieces: PieceTable; places: { block: Block; rule: number }[] } {
    const { text } = this;
    const places: { block: Block; rule: number }[] = [];
    const pieces = new PieceTable(text, 0);
    for (const block of this.blocks) {
      // Where a comment has a newline, lines are not rules.
      if (block === undefined || block.lines !== block.count) continue;
      let at = block.start;
      for (let rule = 0; rule < block.count; rule++) {
        const start = afterCounters(text, at);
        const end = text.lineEnd(start);
        const hash = text.hash(start, end);
        if (pieces.find(hash, start, end) < 0) {
          pieces.add(hash, start, end);
          places.push({ block, rule });
        }
        at = end + 1;
      }
    }
    return { pieces, places };
  }
}

/** Where the rule whose line begins at `line` begins itself. */
export function afterCounters(text: SaveText, line: number): number {
  const { bytes } = text;
  if (bytes[line] !== OPEN_BRACKET) return line;
  let i = line;
  while (i < text.length && bytes[i] !== SPACE && bytes[i] !== NEWLINE) i++;
  return i + 1;
}

/** A save smaller than this is not worth remembering, in characters. */
const WORTH = 1 << 16;

export class SaveMemory {
  text: SaveText | null = null;
  tables = new Map<string, TableMemory>();

  /** Remembers a save that was read whole, unless most of it was known already; whether it did. `known`: bytes that were. */
  learn(text: SaveText, tables: Map<string, TableMemory>, known: number): boolean {
    if (text.length < WORTH || known * 2 > text.length) return false;
    for (const table of tables.values()) {
      table.names.detach();
      table.settle();
    }
    this.text = text;
    this.tables = tables;
    return true;
  }
}
