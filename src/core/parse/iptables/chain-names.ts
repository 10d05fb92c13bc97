/** The chains of one table, found by where their names stand in the text. */
import type { XtChain, XtTarget } from "../../model/xtables.ts";
import { PieceTable } from "./pieces.ts";
import { type SaveText, endsWord } from "./save-text.ts";

/**
 * Names of chains by number, in the order of their declaration. Beside another save's names (`before`) those that are the same cost little:
 * as long as both declare the same chains in the same order, nothing is hashed.
 */
export class ChainNames {
  /** What is declared, by number; whoever reads the save fills it in. */
  readonly chains: XtChain[] = [];
  /** How many names there are. */
  count = 0;
  /** Where the name that `numberAt` or `enter` found last ends. */
  end = 0;

  private readonly text: SaveText;
  /** Where each chain's name begins, and how many bytes it has. */
  private readonly starts: number[] = [];
  private readonly lengths: number[] = [];
  private readonly names: string[] = [];
  private readonly jumps: (XtTarget | undefined)[] = [];
  /** Numbers by name; not filled while `alike`. */
  private readonly table: PieceTable;
  private before: ChainNames | null;
  /** Every chain so far has the name that the one of its number has before. */
  private alike: boolean;
  /** Number of each chain before, -1 for none; not filled while `alike`. */
  private readonly numbersBefore: number[] = [];
  /** Number of the chain entered last, and of the one that a jump went to last. */
  private current = -1;
  private lastJump = -1;

  /** `expected` is a guess at the number of chains; `before` are the chains of this table in another save. */
  constructor(text: SaveText, expected: number, before: ChainNames | null = null) {
    this.text = text;
    this.before = before;
    this.alike = before !== null;
    this.table = new PieceTable(text, this.alike ? 0 : expected);
  }

  /** Adds the chain whose name is text[start, end) and returns its number; -1 when it was there already. */
  declare(start: number, end: number): number {
    const number = this.count;
    const { before } = this;
    if (this.alike && before?.isNamedIn(number, this.text, start, end) !== true) this.part();
    if (this.alike) {
      this.names.push(before!.names[number]!);
    } else {
      const hash = this.text.hash(start, end);
      if (this.table.find(hash, start, end) >= 0) return -1;
      this.table.add(hash, start, end);
      let known = -1;
      if (before !== null) {
        known = before.isNamedIn(number, this.text, start, end) ? number : before.numberOf(this.text, hash, start, end);
        this.numbersBefore.push(known);
      }
      this.names.push(known < 0 ? this.text.slice(start, end) : before!.names[known]!);
    }
    this.starts.push(start);
    this.lengths.push(end - start);
    this.count++;
    return number;
  }

  /** From here on the names are not those before. */
  private part(): void {
    this.alike = false;
    for (let i = 0; i < this.count; i++) {
      const start = this.starts[i]!;
      const end = start + this.lengths[i]!;
      this.table.add(this.text.hash(start, end), start, end);
      this.numbersBefore.push(i);
    }
  }

  /** Forgets the save before, so that it need not be kept for the sake of this one. */
  detach(): void {
    if (this.before === null) return;
    if (this.alike) this.part();
    for (let i = 0; i < this.count; i++) this.jumpTo(i);
    this.before = null;
  }

  private isNamedIn(number: number, other: SaveText, start: number, end: number): boolean {
    const length = end - start;
    return this.lengths[number] === length && other.sameAs(start, this.text, this.starts[number]!, length);
  }

  /** The number of the chain whose name is other[start, end); -1 when there is none. */
  private numberOf(other: SaveText, hash: number, start: number, end: number): number {
    if (this.alike) {
      const number = this.before!.numberOf(other, hash, start, end);
      return number < this.count ? number : -1;
    }
    return other === this.text ? this.table.find(hash, start, end) : this.table.findOf(other, hash, start, end);
  }

  nameOf(number: number): string {
    return this.names[number]!;
  }

  /** The number that a chain has in the save before; -1 when it was not there. */
  numberBefore(number: number): number {
    if (this.before === null) return -1;
    return this.alike ? number : this.numbersBefore[number]!;
  }

  /** Names of the chains of the save before that this one does not declare. */
  missing(): ReadonlySet<string> {
    if (this.before === null) return new Set();
    if (this.alike) return new Set(this.before.names.slice(this.count));
    const here = new Set(this.numbersBefore);
    return new Set(this.before.names.filter((_, number) => !here.has(number)));
  }

  /** Names of the chains that the save before does not declare. */
  added(): string[] {
    return this.names.filter((_, number) => this.numberBefore(number) < 0);
  }

  /** The name of the chain that is called text[start, end); undefined when there is none. */
  find(start: number, end: number): string | undefined {
    return this.names[this.numberOf(this.text, this.text.hash(start, end), start, end)];
  }

  /** The number of the chain whose name is the word at `start`, -1 for none; moves `end`. Quickest for that of the last call. */
  numberAt(start: number): number {
    if (!this.isNamed(this.lastJump, start)) this.lastJump = this.lookUp(start);
    return this.lastJump;
  }

  /** The jump to a chain, one object for all rules. */
  jumpTo(number: number): XtTarget {
    let jump = this.jumps[number];
    if (jump === undefined) {
      const known = this.numberBefore(number);
      jump = known < 0 ? { t: "jump", chain: this.names[number]! } : this.before!.jumpTo(known);
      // Filled up to here: an array with holes would be slow.
      while (this.jumps.length < number) this.jumps.push(undefined);
      this.jumps[number] = jump;
    }
    return jump;
  }

  /**
   * The number of the chain whose name is the word at `start`, -1 for none; moves `end`. Quickest for that of the last call and for the one
   * declared after it: a save prints the chains' rules in the order of their declaration.
   */
  enter(start: number): number {
    if (!this.isNamed(this.current, start)) {
      this.current = this.isNamed(this.current + 1, start) ? this.current + 1 : this.lookUp(start);
    }
    return this.current;
  }

  private lookUp(start: number): number {
    this.end = this.text.wordEnd(start);
    return this.numberOf(this.text, this.text.hash(start, this.end), start, this.end);
  }

  private isNamed(number: number, start: number): boolean {
    if (number < 0 || number >= this.count) return false;
    const length = this.lengths[number]!;
    this.end = start + length;
    return endsWord(this.text.bytes[this.end]!) && this.text.same(start, this.starts[number]!, length);
  }
}
