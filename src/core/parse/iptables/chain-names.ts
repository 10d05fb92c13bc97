/** The chains of one table, found by where their names stand in the text. */
import type { XtChain, XtTarget } from "../../model/xtables.ts";
import { PieceTable } from "./pieces.ts";
import { type SaveText, endsWord } from "./save-text.ts";

const NONE: ReadonlySet<string> = new Set();

export class ChainNames {
  /** In the order of their declaration. */
  readonly chains: XtChain[] = [];
  private readonly text: SaveText;
  private readonly names: PieceTable;
  /** Where each chain's name begins, and how many bytes it has. */
  private readonly starts: number[] = [];
  private readonly lengths: number[] = [];
  private readonly jumps: XtTarget[] = [];
  /** The chains of the save before this one, when that is remembered; what number each of these has there, -1 for none. */
  private readonly before: ChainNames | null;
  private readonly numbersBefore: number[] = [];
  private known = 0;
  /** Number of the chain entered last, and of the one that a jump went to last. */
  private current = -1;
  private lastJump = -1;
  /** Where the name that `jump` or `enter` found last ends. */
  end = 0;

  /** `expected` is a guess at the number of chains; `before` are the chains of this table in another save. */
  constructor(text: SaveText, expected: number, before: ChainNames | null = null) {
    this.text = text;
    this.before = before;
    this.names = new PieceTable(text, expected);
  }

  /** Adds the chain whose name is text[start, end); false when it was there already. `make` is given its name. */
  declare(start: number, end: number, make: (name: string) => XtChain): boolean {
    const hash = this.text.hash(start, end);
    if (this.names.find(hash, start, end) >= 0) return false;
    this.names.add(hash, start, end);
    const number = this.before === null ? -1 : this.before.numberOf(this.text, hash, start, end, this.chains.length);
    const chain = make(number < 0 ? this.text.slice(start, end) : this.before!.chains[number]!.name);
    if (number >= 0) this.known++;
    this.numbersBefore.push(number);
    this.chains.push(chain);
    this.starts.push(start);
    this.lengths.push(end - start);
    this.jumps.push(number < 0 ? { t: "jump", chain: chain.name } : this.before!.jumps[number]!);
    return true;
  }

  /** The number of the chain whose name is other[start, end), most likely `guess`; -1 when there is none. */
  private numberOf(other: SaveText, hash: number, start: number, end: number, guess: number): number {
    const length = end - start;
    if (this.lengths[guess] === length && other.sameAs(start, this.text, this.starts[guess]!, length)) return guess;
    return this.names.findOf(other, hash, start, end);
  }

  /** The number that the chain entered last has in the save before; -1 when it was not there. */
  get currentBefore(): number {
    return this.numbersBefore[this.current] ?? -1;
  }

  /** Number of the chain entered last. */
  get currentNumber(): number {
    return this.current;
  }

  /** Names of the chains of the save before that this one does not declare. */
  missing(): ReadonlySet<string> {
    const { before } = this;
    if (before === null || this.known === before.chains.length) return NONE;
    const here = new Set(this.numbersBefore);
    return new Set(before.chains.filter((_, number) => !here.has(number)).map((chain) => chain.name));
  }

  /** The chain with the name text[start, end). */
  find(start: number, end: number): XtChain | undefined {
    return this.chains[this.names.find(this.text.hash(start, end), start, end)];
  }

  /** The jump to the chain whose name is the word at `start`, one object for all rules; moves `end`. */
  jump(start: number): XtTarget | undefined {
    if (!this.isNamed(this.lastJump, start)) this.lastJump = this.lookUp(start);
    return this.jumps[this.lastJump];
  }

  /**
   * The chain whose name is the word at `start`; moves `end`. Quickest for that of the last call and for the one declared after it: a
   * save prints the chains' rules in the order of their declaration.
   */
  enter(start: number): XtChain | undefined {
    if (!this.isNamed(this.current, start)) {
      this.current = this.isNamed(this.current + 1, start) ? this.current + 1 : this.lookUp(start);
    }
    return this.chains[this.current];
  }

  private lookUp(start: number): number {
    this.end = this.text.wordEnd(start);
    return this.names.find(this.text.hash(start, this.end), start, this.end);
  }

  private isNamed(place: number, start: number): boolean {
    if (place < 0 || place >= this.starts.length) return false;
    const length = this.lengths[place]!;
    this.end = start + length;
    return endsWord(this.text.bytes[this.end]!) && this.text.same(start, this.starts[place]!, length);
  }
}
