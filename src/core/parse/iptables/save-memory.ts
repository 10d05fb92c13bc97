/**
 * What reading one node's save teaches for the next: nodes of one cluster have nearly the same chains. A chain that stands there byte for
 * byte as in the save before is not read again; its rules are that one's.
 */
import type { XtRule } from "../../model/xtables.ts";
import type { ChainNames } from "./chain-names.ts";
import type { SaveText } from "./save-text.ts";

/** Where the rules of a chain stand in the save that was read. */
export interface Block {
  /** From the first byte of its first line to that after its last newline. */
  start: number;
  end: number;
  /** Line of its first rule, as `rules` have it. */
  line: number;
  /** Lines that it takes. */
  lines: number;
  rules: readonly XtRule[];
}

export interface TableMemory {
  names: ChainNames;
  /** By the chain's number; absent for a chain whose rules do not stand together. */
  blocks: (Block | undefined)[];
}

/** A save smaller than this is not worth remembering, in characters. */
const WORTH = 1 << 16;

export class SaveMemory {
  text: SaveText | null = null;
  tables = new Map<string, TableMemory>();

  /** Remembers a save that was read whole, unless most of it was known already. `known`: bytes that were. */
  learn(text: SaveText, tables: Map<string, TableMemory>, known: number): void {
    if (text.length < WORTH || known * 2 > text.length) return;
    this.text = text;
    this.tables = tables;
  }
}

/** What is remembered of saves, by family. */
export class SaveMemories {
  readonly ip = new SaveMemory();
  readonly ip6 = new SaveMemory();
}
