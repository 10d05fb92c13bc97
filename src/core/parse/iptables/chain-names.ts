/** The chains of one table, found by where their names stand in the text. */
import type { XtChain, XtTarget } from "../../model/xtables.ts";
import { PieceTable, hashOf } from "./pieces.ts";

export class ChainNames {
  /** In the order of their declaration. */
  readonly chains: XtChain[] = [];
  private readonly text: string;
  private readonly names: PieceTable;
  private readonly jumps: XtTarget[] = [];

  constructor(text: string) {
    this.text = text;
    this.names = new PieceTable(text);
  }

  /** Adds the chain whose name is text[start, end); false when it was there already. */
  declare(chain: XtChain, start: number, end: number): boolean {
    const hash = hashOf(this.text, start, end);
    if (this.names.find(hash, start, end) >= 0) return false;
    this.names.add(hash, start, end);
    this.chains.push(chain);
    this.jumps.push({ t: "jump", chain: chain.name });
    return true;
  }

  /** The chain with the name text[start, end). */
  find(start: number, end: number): XtChain | undefined {
    const place = this.names.find(hashOf(this.text, start, end), start, end);
    return place < 0 ? undefined : this.chains[place];
  }

  /** The jump to the chain with the name text[start, end), one object for all rules. */
  jump(start: number, end: number): XtTarget | undefined {
    const place = this.names.find(hashOf(this.text, start, end), start, end);
    return place < 0 ? undefined : this.jumps[place];
  }
}
