/** The chains of one table, found by where their names stand in the text. */
import type { XtChain, XtTarget } from "../../model/xtables.ts";
import { PieceTable, hashOf } from "./pieces.ts";

export class ChainNames {
  /** In the order of their declaration. */
  readonly chains: XtChain[] = [];
  /** Place in `chains` of the chain entered last. */
  private current = -1;
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
    const place = this.place(start, end);
    return place < 0 ? undefined : this.chains[place];
  }

  /** The jump to the chain with the name text[start, end), one object for all rules. */
  jump(start: number, end: number): XtTarget | undefined {
    const place = this.place(start, end);
    return place < 0 ? undefined : this.jumps[place];
  }

  /** As `find`, for a rule's own chain: a save prints the rules of one chain after the other's, in the order of their declaration. */
  enter(start: number, end: number): XtChain | undefined {
    for (let place = Math.max(0, this.current); place <= this.current + 1 && place < this.chains.length; place++) {
      if (this.isNamed(place, start, end)) {
        this.current = place;
        return this.chains[place];
      }
    }
    const place = this.place(start, end);
    if (place >= 0) this.current = place;
    return this.chains[place];
  }

  private place(start: number, end: number): number {
    return this.names.find(hashOf(this.text, start, end), start, end);
  }

  private isNamed(place: number, start: number, end: number): boolean {
    const name = this.chains[place]!.name;
    if (name.length !== end - start) return false;
    // Names of one kind share their beginning.
    for (let i = name.length - 1; i >= 0; i--) if (name.charCodeAt(i) !== this.text.charCodeAt(start + i)) return false;
    return true;
  }
}
