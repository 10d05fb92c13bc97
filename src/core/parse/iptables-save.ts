/** The text of `iptables-save` and `ip6tables-save`, of either backend, with or without -c. */
import { ParseError } from "../model/source.ts";
import type { XtChain, XtRule, XtRuleset, XtTable } from "../model/xtables.ts";
import { ChainNames } from "./iptables/chain-names.ts";
import {
  CLOSE_BRACKET,
  COLON,
  DASH,
  HASH,
  NEWLINE,
  NINE,
  OPEN_BRACKET,
  SPACE,
  STAR,
  UPPER_A,
  ZERO,
} from "./iptables/characters.ts";
import type { AsciiBytes } from "./ascii-bytes.ts";
import { FileMarks, type LineMarks } from "./line-marks.ts";
import { RuleReader } from "./iptables/rule-reader.ts";
import { type SaveMemory, TableMemory, afterCounters } from "./iptables/save-memory.ts";
import { Literal, SaveText } from "./iptables/save-text.ts";
import { SharedChain } from "./iptables/shared-chain.ts";
import { BlockReader, UnreadChain } from "./iptables/unread-chain.ts";
import { Malformed, shorten } from "./iptables/words.ts";

/**
 * Reads one save. `file` is its path in the snapshot; `family` chooses iptables or ip6tables. The backend is nft when the header says
 * `(nf_tables)`, as iptables-nft-save's does since 1.8.0, otherwise legacy. Equal matches and targets of different rules may be one
 * object. Every rule is checked here; of a large save, a chain's rules become objects when they are first asked for. `memory`: what was learned from other nodes' saves; equal chains are then one, and this save is learned from in turn.
 * `marks`: takes the places of lines of a save that comes as bytes.
 * Throws ParseError with the line when the text is not what iptables-save prints, or when a table lacks its COMMIT.
 */
export function parseIptablesSave(
  text: string | AsciiBytes,
  file: string,
  family: "ip" | "ip6",
  memory: SaveMemory | null = null,
  marks: LineMarks | null = null,
): XtRuleset {
  const own = marks === null || typeof text === "string" ? null : new FileMarks();
  const reader = new SaveReader(text, file, family, memory, own);
  try {
    const ruleset = reader.read();
    if (own !== null) {
      own.length = text.length;
      marks?.set(file, own);
    }
    if (typeof text !== "string" && !reader.holdsText) text.release?.();
    return ruleset;
  } catch (error) {
    if (error instanceof Malformed) throw new ParseError({ file, line: reader.line }, error.message);
    throw error;
  }
}

/** Of chains whose rules have not come yet; none keeps it beyond COMMIT. */
const NO_RULES: XtRule[] = [];

/** Of this size and above, in bytes, rules are read when they are asked for. */
const LARGE = 1 << 20;

/** So many bytes after a difference it pays to look ahead again. */
const AHEAD_AGAIN = 1 << 13;

/** Counters, `-A`, a chain's name and the space after it are shorter. */
const LONGEST_NAME = 128;

const NO_BYTES = new Uint8Array(0);
const NO_NAMES: ReadonlySet<string> = new Set();

/** `[0:0] -A`, as nearly every rule of a large save begins. */
const UNCOUNTED = [0x5b303a30, 0x5d202d41] as const;

/** What iptables' extensions are named like; a chain of such a name may make a jump of what was an extension. */
const EXTENSION = /^[A-Z0-9_]+$/;

/** How iptables-save declares nearly every chain that a user made. */
const USER_CHAIN = new Literal(" - [0:0]\n");

class SaveReader {
  /** Line being read, from 1. */
  line = 1;
  /** Whether the text is needed beyond reading it. */
  holdsText = false;

  private readonly text: SaveText;
  private readonly bytes: Uint8Array;
  private readonly ruleset: XtRuleset;
  /** Of the table being read. */
  private options: RuleReader;
  /** Of a large table that no other is like: its rules are checked now and read when they are asked for. */
  private later: BlockReader | null = null;
  private pos = 0;
  private table: XtTable | null = null;
  private names: ChainNames;
  private chains: XtChain[];
  /** Number of the chain of the rules read last, and those of them that it does not hold yet: rules of a chain stand together. */
  private number = -1;
  private readonly pending: XtRule[] = [];
  private count = 0;
  private readonly memory: SaveMemory | null;
  /** What this save teaches, by table. */
  private readonly learned = new Map<string, TableMemory>();
  private learning: TableMemory | null = null;
  /** What is remembered of the table being read. */
  private before: TableMemory | undefined;
  /** By chain, 1 when rules of it were met. */
  private met = NO_BYTES;
  /** Whether chains were declared since the last rule. */
  private fresh = false;
  /** Chains that the remembered table has and this one lacks. */
  private lacking: ReadonlySet<string> = NO_NAMES;
  /** Bytes of rules that were remembered. */
  private known = 0;
  /** Where the rules of the current chain begin, and on which line. */
  private blockStart = 0;
  private blockLine = 0;
  /** Where the line being read begins. */
  private lineStart = 0;
  /** Up to this place the text is that of the remembered save `aheadShift` bytes further on. */
  private aheadEnd = -1;
  private aheadShift = Number.NaN;
  /** Counters before the rule being read. */
  private packetCount: number | null = null;
  private byteCount: number | null = null;

  private readonly marks: FileMarks | null;

  constructor(
    text: string | AsciiBytes,
    file: string,
    family: "ip" | "ip6",
    memory: SaveMemory | null,
    marks: FileMarks | null,
  ) {
    this.memory = memory;
    this.marks = marks;
    // Of a save like one that is remembered little is kept: that little must not hold on to the whole text.
    this.text = new SaveText(text, memory?.text != null);
    this.bytes = this.text.bytes;
    this.ruleset = { file, family, backend: "legacy", tables: [] };
    this.names = new ChainNames(this.text, 0);
    this.options = new RuleReader(this.text, family === "ip6", this.names);
    this.chains = this.names.chains;
  }

  read(): XtRuleset {
    const { bytes, text, marks } = this;
    while (this.pos < text.length) {
      this.lineStart = this.pos;
      marks?.note(this.line, this.pos);
      const first = bytes[this.pos];
      if (first === OPEN_BRACKET) this.countedRule();
      else if (first === DASH) this.uncountedRule();
      else this.otherLine(first);
      this.pos++;
      this.line++;
    }
    if (this.table === null) {
      if (this.memory?.learn(text, this.learned, this.known) === true) this.holdsText = true;
      return this.ruleset;
    }
    // `line` is that after the last.
    this.line--;
    throw new Malformed(
      `expected COMMIT at the end of table ${this.table.name}: the text is cut off, or iptables-save failed within it`,
    );
  }

  /** A line that is no rule. */
  private otherLine(first: number | undefined): void {
    if (this.later !== null && this.number >= 0) {
      // Rules that wait to be read stand together.
      this.flush();
      this.number = -1;
    }
    if (first === COLON) this.declareChain();
    else if (first === HASH) this.comment(this.restOfLine());
    else if (first === STAR) this.beginTable(this.restOfLine().slice(1));
    else if (first !== NEWLINE) this.commit(this.restOfLine());
  }

  /** What is left of the line; moves to its newline. */
  private restOfLine(): string {
    const end = this.text.lineEnd(this.pos);
    const line = this.text.slice(this.pos, end);
    this.pos = end;
    return line;
  }

  private comment(line: string): void {
    if (line.startsWith("# Generated by ")) {
      if (line.includes("(nf_tables)")) this.ruleset.backend = "nft";
      return;
    }
    // What iptables-nft-save 1.8.9 says of a table that nft has changed in ways that iptables can't print (xtables-save.c).
    const named = /^# Table `([^']*)' (is incompatible|contains incompatible base-chains), use 'nft' tool/.exec(line);
    if (named === null) return;
    this.ruleset.incompatible ??= [];
    this.ruleset.incompatible.push({ table: named[1]!, line: this.line, whole: named[2] === "is incompatible" });
  }

  private beginTable(name: string): void {
    if (this.table !== null)
      throw new Malformed(`expected COMMIT before the next table: table ${this.table.name} has none`);
    if (!/^[-_a-zA-Z0-9]+$/.test(name))
      throw new Malformed(`expected a table's name after *, found ${shorten(name || "nothing")}`);
    if (this.ruleset.tables.some((each) => each.name === name))
      throw new Malformed(`expected each table once, found ${name} again`);
    this.before = this.memory?.tables.get(name);
    this.names = new ChainNames(this.text, this.countDeclarations(), this.before?.names ?? null);
    this.chains = this.names.chains;
    this.met = NO_BYTES;
    this.lacking = NO_NAMES;
    if (this.memory !== null) {
      this.learning = new TableMemory(this.text, this.names);
      this.learned.set(name, this.learning);
    }
    this.table = { name, line: this.line, chains: this.chains };
    this.ruleset.tables.push(this.table);
    this.options = new RuleReader(this.text, this.ruleset.family === "ip6", this.names);
    const large = this.text.length >= LARGE && this.before === undefined;
    this.later = large ? new BlockReader(this.text, this.options) : null;
    if (large) this.holdsText = true;
  }

  /** How many lines after this one declare chains. */
  private countDeclarations(): number {
    const { bytes, text } = this;
    let count = 0;
    for (let at = this.pos + 1; bytes[at] === COLON; at = text.lineEnd(at) + 1) count++;
    return count;
  }

  private commit(line: string): void {
    if (line !== "COMMIT")
      throw new Malformed(`expected *table, :chain, -A, COMMIT or a # comment, found ${shorten(line)}`);
    if (this.table === null) throw new Malformed("expected COMMIT within a table");
    this.flush();
    this.number = -1;
    this.makeRoom();
    for (let number = 0; number < this.chains.length; number++) {
      if (this.met[number] === 1) continue;
      const chain = this.chains[number]!;
      // Without rules here, the chain is as it was only if it was without rules.
      if (this.isTwin(number)) {
        if (hasRules(chain)) this.chains[number] = { ...declared(chain), rules: [] };
      } else if (!(chain instanceof UnreadChain)) chain.rules = [];
    }
    // With no room to spare.
    this.table.chains = this.chains.slice();
    this.table = null;
  }

  /** The chain that has this one's number in the save before. */
  private twin(number: number): XtChain | undefined {
    return this.before?.names.chains[this.names.numberBefore(number)];
  }

  /** Whether the chain is the very object of the save before. */
  private isTwin(number: number): boolean {
    return this.before !== undefined && this.chains[number] === this.twin(number);
  }

  /** Makes `met` as long as there are chains. */
  private makeRoom(): void {
    if (this.met.length >= this.chains.length) return;
    const longer = new Uint8Array(this.chains.length);
    longer.set(this.met);
    this.met = longer;
  }

  /** `:NAME POLICY [PACKETS:BYTES]` */
  private declareChain(): void {
    const { text, names, line } = this;
    if (this.table === null) throw new Malformed("expected chains within a table: a line with * must come first");
    const start = this.pos + 1;
    const end = text.wordEnd(start);
    const number = names.declare(start, end);
    this.fresh = true;
    if (number < 0) throw new Malformed(`expected each chain once, found ${shorten(text.slice(start, end))} again`);
    const plain = end > start && text.has(USER_CHAIN, end);
    const twin = plain ? this.twin(number) : undefined;
    if (twin !== undefined && isPlain(twin) && twin.line === line) {
      this.chains.push(twin);
    } else if (this.later !== null) {
      this.chains.push(new UnreadChain(names.nameOf(number), line));
    } else {
      this.chains.push({ name: names.nameOf(number), line, policy: null, packets: 0, bytes: 0, rules: NO_RULES });
    }
    if (plain) this.pos = end + USER_CHAIN.length - 1;
    else this.declaration(this.chains[number]!, this.restOfLine());
  }

  /** Fills in policy and counters of any other declaration. */
  private declaration(chain: XtChain, line: string): void {
    const [, policy = "", counters = "[0:0]", ...more] = line.split(" ");
    if (chain.name === "" || (policy !== "ACCEPT" && policy !== "DROP" && policy !== "-") || more.length > 0) {
      throw new Malformed(`expected a chain as :NAME ACCEPT|DROP|- [PACKETS:BYTES], found ${shorten(line)}`);
    }
    const counted = /^\[([0-9]{1,20}):([0-9]{1,20})\]$/.exec(counters);
    if (counted === null) throw new Malformed(`expected counters as [PACKETS:BYTES], found ${shorten(counters)}`);
    chain.policy = policy === "-" ? null : policy;
    chain.packets = Number(counted[1]);
    chain.bytes = Number(counted[2]);
  }

  /** `[PACKETS:BYTES] -A …` */
  private countedRule(): void {
    const { pos, text } = this;
    if (text.word(pos) === UNCOUNTED[0] && text.word(pos + 4) === UNCOUNTED[1]) {
      this.packetCount = 0;
      this.byteCount = 0;
      this.pos = pos + 6;
      this.rule();
      return;
    }
    this.pos++;
    this.packetCount = this.counter(COLON, "a colon");
    this.byteCount = this.counter(CLOSE_BRACKET, "a closing bracket");
    if (this.bytes[this.pos] !== SPACE) throw new Malformed("expected a space after [PACKETS:BYTES]");
    this.pos++;
    this.rule();
  }

  private uncountedRule(): void {
    this.packetCount = null;
    this.byteCount = null;
    this.rule();
  }

  /** Digits up to `stop`, at most the 20 of a u64. */
  private counter(stop: number, name: string): number {
    const bytes = this.bytes;
    const start = this.pos;
    let value = 0;
    let i = start;
    let code = bytes[i]!;
    for (; code >= ZERO && code <= NINE; code = bytes[++i]!) value = value * 10 + code - ZERO;
    if (i === start || i - start > 20) throw new Malformed("expected counters as [PACKETS:BYTES]");
    if (code !== stop) throw new Malformed(`expected ${name} after ${this.text.slice(start, i)} in the counters`);
    this.pos = i + 1;
    // Beyond 2^53 a sum of digits rounds at each of them.
    return i - start > 15 ? Number(this.text.slice(start, i)) : value;
  }

  /** `-A CHAIN …` */
  private rule(): void {
    const bytes = this.bytes;
    const start = this.pos;
    if (bytes[start] !== DASH || bytes[start + 1] !== UPPER_A || bytes[start + 2] !== SPACE) {
      throw new Malformed(`expected -A and a chain, found ${shorten(this.restOfLine() || "the end of the line")}`);
    }
    const options = this.options;
    const afterName = this.enterChain(start + 3);
    if (this.before !== undefined && ((this.count === 0 && this.shareBlock()) || this.recall(start))) return;
    if (this.later !== null) {
      this.pos = options.check(afterName);
      this.count++;
    } else {
      this.pos = options.read(afterName);
      this.pending[this.count++] = {
        line: this.line,
        packets: this.packetCount,
        bytes: this.byteCount,
        matches: fitted(options.matches, options.count),
        target: options.target,
      };
    }
    if (bytes[this.pos] !== NEWLINE && this.pos !== this.text.length)
      throw new Malformed("expected the end of the line, found a zero byte");
    this.line += options.newlines;
  }

  /** Makes the chain whose name stands at `at` the current one; returns the place after its name. */
  private enterChain(at: number): number {
    if (this.table === null) throw new Malformed("expected rules within a table: a line with * must come first");
    const { names } = this;
    const number = names.enter(at);
    const { end } = names;
    if (number < 0) {
      const found = this.text.slice(at, this.text.wordEnd(at));
      throw new Malformed(
        `expected a chain declared in table ${this.table.name}, found ${shorten(found || "nothing")}`,
      );
    }
    if (number !== this.number) {
      this.flush();
      this.number = number;
      this.blockStart = this.lineStart;
      this.blockLine = this.line;
    }
    if (this.fresh) {
      this.fresh = false;
      this.compareNames();
    }
    return end;
  }

  /** Once chains are declared: makes room for what is told of them, and finds what of the save before does not hold here. */
  private compareNames(): void {
    this.makeRoom();
    if (this.before === undefined) return;
    this.lacking = this.names.missing();
    if (!this.names.added().some((name) => EXTENSION.test(name))) return;
    this.chains.forEach((chain, number) => {
      if (this.isTwin(number))
        this.chains[number] = { ...declared(chain), rules: this.met[number] === 1 ? [...chain.rules] : NO_RULES };
    });
    this.before = undefined;
  }

  /** Whether a rule remembered leads to a chain that is not here. */
  private leadsAstray(rule: XtRule): boolean {
    return "chain" in rule.target && this.lacking.has(rule.target.chain);
  }

  /**
   * Takes the rules of the chain just entered from the remembered save, when they stand there as they do here; moves to the newline of the
   * last one.
   */
  private shareBlock(): boolean {
    const { number, text, names, learning } = this;
    const chain = this.chains[number]!;
    const block = this.before?.blocks[names.numberBefore(number)];
    const other = this.memory?.text;
    if (block === undefined || other == null || learning === null || this.met[number] === 1) return false;
    const length = block.end - block.start;
    const end = this.blockStart + length;
    if (end > text.length || !this.standsIn(other, block.start, length)) return false;
    // More rules of the chain may follow here, where the line after is not the one that follows there; or jumps lead to what is not here.
    if (end + LONGEST_NAME > this.aheadEnd && this.continues(end, chain.name.length)) return false;
    if (this.lacking.size > 0 && block.chain.rules.some((rule) => this.leadsAstray(rule))) return false;
    const shift = this.blockLine - block.line;
    if (!this.isTwin(number) || shift !== (chain instanceof SharedChain ? chain.shift : 0))
      this.chains[number] = isPlain(chain)
        ? this.before!.sharedChain(names.numberBefore(number), chain, block, shift)
        : new SharedChain(chain, block.chain, shift);
    this.met[number] = 1;
    // The rules keep the lines that they were read with, and so does the block.
    learning.take(number, block, this.blockStart);
    this.number = -1;
    this.known += length;
    this.line = this.blockLine + block.lines - 1;
    this.pos = end - 1;
    return true;
  }

  /** Whether the `length` bytes from `blockStart` on are those of `other` from `at` on. */
  private standsIn(other: SaveText, at: number, length: number): boolean {
    const { blockStart, text } = this;
    const shift = at - blockStart;
    if (shift === this.aheadShift && blockStart + length <= this.aheadEnd) return true;
    if (!text.sameStretch(blockStart, other, at, length)) return false;
    // What differs is met at every place of a stretch that ended: no use to look ahead again before it is passed.
    if (shift !== this.aheadShift || blockStart > this.aheadEnd + AHEAD_AGAIN) {
      this.aheadShift = shift;
      this.aheadEnd = blockStart + text.sameAhead(blockStart, other, at);
    }
    return true;
  }

  /** Takes the rule at `start` from the remembered save, when it stands there but for its counters; moves to its newline. */
  private recall(start: number): boolean {
    const { text, before } = this;
    if (before === undefined) return false;
    const end = text.lineEnd(start);
    const rule = before.rule(text, start, end);
    if (rule === undefined || this.leadsAstray(rule)) return false;
    const { matches, target } = rule;
    this.pending[this.count++] = {
      line: this.line,
      packets: this.packetCount,
      bytes: this.byteCount,
      matches,
      target,
    };
    this.known += end - start;
    this.pos = end;
    return true;
  }

  /** Whether the line at `at` is a rule of the chain whose rules begin at `blockStart`. */
  private continues(at: number, nameLength: number): boolean {
    const { bytes, text } = this;
    const there = afterCounters(text, at) + 3;
    if (there + nameLength >= text.length || (bytes[at] !== OPEN_BRACKET && bytes[at] !== DASH)) return false;
    const code = bytes[there + nameLength]!;
    const here = afterCounters(text, this.blockStart) + 3;
    return (code === SPACE || code === NEWLINE) && text.same(there, here, nameLength);
  }

  /** Gives the rules read last to their chain. */
  private flush(): void {
    const { number, count } = this;
    if (number < 0 || count === 0) return;
    const had = this.met[number] === 1;
    this.met[number] = 1;
    let chain = this.chains[number]!;
    if (this.before !== undefined && (chain instanceof SharedChain || this.isTwin(number))) {
      // The object is other saves', too.
      chain = { ...declared(chain), rules: had ? [...chain.rules] : NO_RULES };
      this.chains[number] = chain;
    }
    if (had) {
      const more = this.later?.read(this.blockStart, this.blockLine, count) ?? this.pending.slice(0, count);
      for (const rule of more) chain.rules.push(rule);
      if (this.learning !== null) this.learning.blocks[number] = undefined;
    } else {
      if (this.later !== null && chain instanceof UnreadChain)
        chain.wait(this.later, this.blockStart, this.blockLine, count);
      else chain.rules = fitted(this.pending, count);
      this.remember(number, chain, count);
    }
    this.count = 0;
  }

  /** Remembers where the rules stand that were just read: up to the line being read. */
  private remember(number: number, chain: XtChain, count: number): void {
    if (this.learning === null) return;
    const { blockStart: start, blockLine: line } = this;
    const lines = this.line - line;
    this.learning.blocks[number] = { start, end: this.lineStart, line, lines, count, chain };
  }
}

/** Whether a chain has rules, read or not. */
function hasRules(chain: XtChain): boolean {
  if (chain instanceof UnreadChain) return chain.count > 0;
  return chain instanceof SharedChain || chain.rules.length > 0;
}

/** What the declaration of a chain says. */
function declared({ name, line, policy, packets = 0, bytes = 0 }: XtChain): Omit<XtChain, "rules"> {
  return { name, line, policy, packets, bytes };
}

/** Whether a chain is declared as one that a user made and that counts nothing. */
function isPlain(chain: XtChain): boolean {
  return chain.policy === null && (chain.packets ?? 0) === 0 && (chain.bytes ?? 0) === 0;
}

/** A copy of the first `count` with no room to spare: half a million of these live as long as the snapshot. */
function fitted<T>(items: readonly T[], count: number): T[] {
  switch (count) {
    case 1:
      return [items[0]!];
    case 2:
      return [items[0]!, items[1]!];
    case 3:
      return [items[0]!, items[1]!, items[2]!];
    case 4:
      return [items[0]!, items[1]!, items[2]!, items[3]!];
    default:
      return items.slice(0, count);
  }
}
