/** `sysctl -a`: one `KEY = VALUE` a line. */
import { ParseError } from "../model/source.ts";
import type { Sysctls } from "../model/sysctl.ts";
import { RunSettings, type Block, type Run } from "./sysctl-blocks.ts";

/** So many blocks that begin with the same name are looked through; others are not kept. */
const MOST_BLOCKS = 16;

/** So many settings may differ from a block that is otherwise the same; with more, a block of its own takes less. */
const MOST_OTHERS = 8;

/** So many texts are remembered as a whole. */
const MOST_TEXTS = 8;

/** The same text without holding on to the larger one that it was cut from (V8's sliced strings do, from 13 characters on). */
const detached = (text: string): string => (text.length < 13 ? text : ` ${text}`.slice(1));

/** What files read before teach: their blocks, and the last few files whole. */
export class SysctlMemory {
  private readonly blocks = new Map<string, Block[]>();
  private readonly singles = new Map<string, Block>();
  private readonly prefixes = new Map<string, string>();
  private readonly files: { text: string; runs: readonly Run[] }[] = [];

  /** The runs of the same text, when it is one of the last few. */
  same(text: string): readonly Run[] | undefined {
    const at = this.files.findIndex((each) => each.text === text);
    if (at < 0) return undefined;
    const [found] = this.files.splice(at, 1);
    this.files.unshift(found!);
    return found!.runs;
  }

  remember(text: string, runs: readonly Run[]): void {
    this.files.unshift({ text, runs });
    if (this.files.length > MOST_TEXTS) this.files.pop();
  }

  /** The blocks that begin with a setting of this name. */
  beginning(name: string): readonly Block[] {
    return this.blocks.get(name) ?? [];
  }

  add(block: Block): void {
    const first = block.names[0]!;
    const list = this.blocks.get(first);
    if (list === undefined) this.blocks.set(first, [block]);
    else if (list.length < MOST_BLOCKS) list.push(block);
  }

  /** The block of a single setting. */
  single(name: string, value: string, tail: string): Block {
    let block = this.singles.get(tail);
    if (block === undefined) {
      block = makeBlock([{ name: detached(name), value: detached(value), tail: detached(tail) }]);
      this.singles.set(block.tails[0]!, block);
    }
    return block;
  }

  prefix(text: string): string {
    let known = this.prefixes.get(text);
    if (known === undefined) this.prefixes.set((known = detached(text)), known);
    return known;
  }
}

interface Line {
  prefix: string;
  name: string;
  value: string;
  /** From the name to the line's end, newline included. */
  tail: string;
}

function makeBlock(lines: readonly Omit<Line, "prefix">[]): Block {
  return {
    names: lines.map((line) => line.name),
    values: lines.map((line) => line.value),
    tails: lines.map((line) => line.tail),
    places: new Map(lines.map((line, i) => [line.name, i])),
  };
}

class SysctlReader {
  private readonly runs: Run[] = [];
  private readonly text: string;
  private readonly file: string;
  private readonly memory: SysctlMemory;
  private at = 0;
  private line = 1;

  constructor(text: string, file: string, memory: SysctlMemory) {
    this.text = text;
    this.file = file;
    this.memory = memory;
  }

  read(): readonly Run[] {
    while (this.at < this.text.length) this.folder();
    return this.runs;
  }

  /** The line at `at`. Throws ParseError when it is no setting, or cut off. */
  private setting(at: number, number: number): Line {
    const { text, file } = this;
    const end = text.indexOf("\n", at);
    if (end < 0) throw new ParseError({ file, line: number }, "cut off: the last line has no newline");
    const line = text.slice(at, end);
    const equals = line.indexOf(" =");
    const key = line.slice(0, Math.max(equals, 0));
    if (equals <= 0 || key.includes(" ") || (line.length > equals + 2 && line.charCodeAt(equals + 2) !== 32))
      throw new ParseError({ file, line: number }, 'expected "KEY = VALUE"');
    const name = key.lastIndexOf(".") + 1;
    return {
      prefix: key.slice(0, name),
      name: key.slice(name),
      value: line.slice(equals + 3),
      tail: text.slice(at + name, end + 1),
    };
  }

  /** How many lines, from the one at `at`, are those of the block. */
  private likeness(block: Block, prefix: string): number {
    const { text } = this;
    const { tails } = block;
    let at = this.at;
    let i = 0;
    for (; i < tails.length; i++) {
      const tail = tails[i]!;
      if (!text.startsWith(prefix, at) || !text.startsWith(tail, at + prefix.length)) break;
      at += prefix.length + tail.length;
    }
    return i;
  }

  /** Lines whose keys begin alike. */
  private folder(): void {
    const first = this.setting(this.at, this.line);
    const prefix = this.memory.prefix(first.prefix);
    let best: Block | null = null;
    let most = -1;
    for (const block of this.memory.beginning(first.name)) {
      const like = this.likeness(block, prefix);
      if (like > most) [best, most] = [block, like];
    }
    if (best === null || !this.follow(best, prefix)) this.newBlock(first, prefix);
  }

  /** Takes lines as those of a block, for as long as their names are the block's; false, and takes none, when too many have other values. */
  private follow(block: Block, prefix: string): boolean {
    const { text, runs } = this;
    const start = { at: this.at, line: this.line, runs: runs.length };
    let others = 0;
    let from = 0;
    let place = 0;
    const flush = (): void => {
      if (place > from) runs.push({ prefix, line: this.line - (place - from), block, from, to: place });
      from = place + 1;
    };
    for (; place < block.tails.length; place++) {
      const tail = block.tails[place]!;
      if (text.startsWith(prefix, this.at) && text.startsWith(tail, this.at + prefix.length)) {
        this.at += prefix.length + tail.length;
        this.line++;
        continue;
      }
      if (this.at >= text.length) break;
      const other = this.setting(this.at, this.line);
      if (other.prefix !== prefix || other.name !== block.names[place]) break;
      if (++others > MOST_OTHERS) {
        this.at = start.at;
        this.line = start.line;
        runs.length = start.runs;
        return false;
      }
      flush();
      const single = this.memory.single(other.name, other.value, other.tail);
      runs.push({ prefix, line: this.line, block: single, from: 0, to: 1 });
      this.at += prefix.length + other.tail.length;
      this.line++;
    }
    flush();
    return true;
  }

  private newBlock(first: Line, prefix: string): void {
    const lines: Line[] = [];
    const names = new Set<string>();
    const { line } = this;
    for (let next = first; next.prefix === prefix && !names.has(next.name); next = this.setting(this.at, this.line)) {
      names.add(next.name);
      lines.push({ prefix, name: detached(next.name), value: detached(next.value), tail: detached(next.tail) });
      this.at += prefix.length + next.tail.length;
      this.line++;
      if (this.at >= this.text.length) break;
    }
    const block = makeBlock(lines);
    this.memory.add(block);
    this.runs.push({ prefix, line, block, from: 0, to: lines.length });
  }
}

/**
 * Reads what `sysctl -a` prints; `file` is its path in the snapshot. A value may be empty; tabs within it stay.
 * sysctl(8) repeats the key for every line of a value; the last one counts. `memory`: what other files taught; what is the same here takes no
 * memory again.
 * Throws ParseError when a line is no setting.
 */
export function parseSysctl(text: string, file: string, memory: SysctlMemory = new SysctlMemory()): Sysctls {
  let runs = memory.same(text);
  if (runs === undefined) memory.remember(text, (runs = new SysctlReader(text, file, memory).read()));
  return { file, values: new RunSettings(runs) };
}
