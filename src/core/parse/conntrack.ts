/**
 * `conntrack -L [-f ipv6] -o extended`, as libnetfilter_conntrack prints it (src/conntrack/snprintf_default.c):
 * layer 3 and 4 protocol, time left, state, the original tuple, the reply tuple, then what else is known of the entry.
 * Tables hold up to millions of entries, so the text is read in place.
 */
import { parseIp, type Ip } from "../model/address.ts";
import type { CtEntry, CtTuple } from "../model/conntrack.ts";
import { ParseError } from "../model/source.ts";
import { forEachSpan } from "./lines.ts";

const SPACE = 32;
const ZERO = 48;
const NINE = 57;
const EQUALS = 61;
const OPEN = 91;

const U16 = 0xffff;
const U32 = 0xffffffff;

/** Keys of nearly every entry by their length, found in place: cutting them out would cost more than all the rest. */
const KEYS: readonly (readonly string[])[] = [
  [],
  [],
  ["id"],
  ["src", "dst", "use"],
  ["mark", "type", "code", "zone"],
  ["sport", "dport", "bytes"],
  [],
  ["packets"],
];

const STATUSES = ["UNREPLIED", "ASSURED"] as const;

/** A tuple while it is read: `src` and `dst` come first, but not before the entry's head. */
const ANY: Ip = { v: 4, a: 0, b: 0, c: 0, d: 0, key: 0 };

const newTuple = (): CtTuple => ({ src: ANY, dst: ANY, sport: 0, dport: 0, icmpType: 0, icmpCode: 0, icmpId: 0 });

class EntryReader {
  private readonly text: string;
  private readonly file: string;
  /** Equal addresses are one object. */
  private readonly addresses = new Map<string, Ip>();
  private line = 0;
  private at = 0;
  private end = 0;

  constructor(text: string, file: string) {
    this.text = text;
    this.file = file;
  }

  private fail(message: string): ParseError {
    return new ParseError({ file: this.file, line: this.line }, message);
  }

  /** Moves to the next word and returns where it ends; -1 when there is none. A word in brackets ends with its bracket. */
  private nextWord(): number {
    const text = this.text;
    while (this.at < this.end && text.charCodeAt(this.at) === SPACE) this.at++;
    if (this.at >= this.end) return -1;
    if (text.charCodeAt(this.at) === OPEN) {
      const close = text.indexOf("]", this.at);
      if (close < 0 || close >= this.end) throw this.fail(`"${text.slice(this.at, this.end)}" has no closing bracket`);
      return close + 1;
    }
    let stop = this.at;
    while (stop < this.end && text.charCodeAt(stop) !== SPACE) stop++;
    return stop;
  }

  /** The number from `from` to `to`; -1 when it is none or exceeds `max`. */
  private number(from: number, to: number, max: number): number {
    if (from >= to || to - from > 15) return -1;
    let n = 0;
    for (let i = from; i < to; i++) {
      const c = this.text.charCodeAt(i);
      if (c < ZERO || c > NINE) return -1;
      n = n * 10 + c - ZERO;
    }
    return n <= max ? n : -1;
  }

  private address(from: number, to: number, family: 4 | 6): Ip | null {
    const text = this.text.slice(from, to);
    let ip = this.addresses.get(text);
    if (ip === undefined) {
      const parsed = text.includes("%") ? null : parseIp(text);
      if (parsed === null) return null;
      ip = parsed;
      this.addresses.set(text, ip);
    }
    return ip.v === family ? ip : null;
  }

  /** `ipv4 2 tcp 6`: the words before those that not every entry has. */
  private head(): { family: 4 | 6; proto: number } {
    const text = this.text;
    let to = this.nextWord();
    const name = to < 0 ? "" : text.slice(this.at, to);
    if (name !== "ipv4" && name !== "ipv6") throw this.fail('expected "ipv4" or "ipv6"');
    const family = name === "ipv4" ? 4 : 6;
    this.at = to;
    to = this.nextWord();
    const familyNumber = this.number(this.at, to, U16);
    this.at = Math.max(to, this.at);
    // The protocol's name, "unknown" for most.
    to = this.nextWord();
    this.at = Math.max(to, this.at);
    to = this.nextWord();
    const proto = this.number(this.at, to, 255);
    if (familyNumber !== (family === 4 ? 2 : 10) || proto < 0)
      throw this.fail("expected the numbers of the address family and of the protocol");
    this.at = to;
    return { family, proto };
  }

  read(start: number, end: number, line: number): CtEntry {
    this.line = line;
    this.at = start;
    this.end = end;
    const { family, proto } = this.head();
    const entry: CtEntry = {
      family,
      proto,
      timeout: null,
      state: null,
      orig: newTuple(),
      reply: newTuple(),
      status: [],
      mark: 0,
      zone: 0,
      zoneOrig: 0,
      zoneReply: 0,
      helper: null,
      secctx: null,
      source: { file: this.file, line },
    };
    this.fields(entry);
    return entry;
  }

  private fields(entry: CtEntry): void {
    const text = this.text;
    let directions = 0;
    let destinations = 0;
    let lastKey = "";
    for (let to = this.nextWord(); to >= 0; to = this.nextWord()) {
      const from = this.at;
      this.at = to;
      if (text.charCodeAt(from) === OPEN) {
        const status = this.known(STATUSES, from + 1, to - 1);
        // With `-o timestamp` times stand in brackets as well.
        if (!status.includes("=")) entry.status.push(status);
        continue;
      }
      let equals = from;
      while (equals < to && text.charCodeAt(equals) !== EQUALS) equals++;
      if (equals === to) {
        this.bareWord(entry, from, to, directions > 0);
        continue;
      }
      const key = this.known(KEYS[equals - from], from, equals);
      if (key === "src") directions++;
      else if (key === "dst") destinations++;
      const tuple = directions === 1 ? entry.orig : directions === 2 ? entry.reply : null;
      // An ICMP tuple prints type, code and id in this order; `id=` elsewhere is the entry's own (`-o id`).
      const own = key === "id" && lastKey !== "code";
      if (!own && !this.field(entry, tuple, key, equals + 1, to))
        throw this.fail(`malformed "${text.slice(from, to)}"`);
      lastKey = key;
    }
    if (directions !== 2 || destinations !== 2) throw this.fail("an entry needs src and dst of both directions");
  }

  /** The word from `from` to `to`, being that of `words` when one of them is it. */
  private known(words: readonly string[] | undefined, from: number, to: number): string {
    if (words !== undefined) {
      for (const word of words) if (word.length === to - from && this.isAt(word, from)) return word;
    }
    return this.text.slice(from, to);
  }

  private isAt(word: string, at: number): boolean {
    for (let i = 0; i < word.length; i++) if (word.charCodeAt(i) !== this.text.charCodeAt(at + i)) return false;
    return true;
  }

  /** The time left and the state, which have no names; both come before the tuples, the time first. */
  private bareWord(entry: CtEntry, from: number, to: number, late: boolean): void {
    const n = this.number(from, to, Number.MAX_SAFE_INTEGER);
    if (late || entry.state !== null || (n >= 0 && entry.timeout !== null))
      throw this.fail(`unexpected "${this.text.slice(from, to)}"`);
    if (n >= 0) entry.timeout = n;
    else entry.state = this.text.slice(from, to);
  }

  /** Sets what `key` stands for; false when the value is malformed. Keys of no weight for a packet's path are passed over. */
  private field(entry: CtEntry, tuple: CtTuple | null, key: string, from: number, to: number): boolean {
    switch (key) {
      case "src":
      case "dst": {
        const ip = this.address(from, to, entry.family);
        if (tuple === null || ip === null) return false;
        tuple[key] = ip;
        return true;
      }
      case "sport":
      case "dport": {
        const n = this.number(from, to, U16);
        if (tuple === null || n < 0) return false;
        tuple[key] = n;
        return true;
      }
      case "type":
      case "code": {
        const n = this.number(from, to, 255);
        if (tuple === null || n < 0) return false;
        tuple[key === "type" ? "icmpType" : "icmpCode"] = n;
        return true;
      }
      case "id": {
        const n = this.number(from, to, U16);
        if (tuple === null || n < 0) return false;
        tuple.icmpId = n;
        return true;
      }
      case "srckey":
      case "dstkey": {
        // GRE keys are hexadecimal, and lie where the ports of other protocols do (union nf_conntrack_man_proto).
        const hex = this.text.slice(from, to);
        if (tuple === null || !/^0x[0-9a-f]{1,4}$/.test(hex)) return false;
        tuple[key === "srckey" ? "sport" : "dport"] = Number(hex);
        return true;
      }
      case "mark":
        return (entry.mark = this.number(from, to, U32)) >= 0;
      case "zone":
        return (entry.zone = this.number(from, to, U16)) >= 0;
      case "zone-orig":
        return (entry.zoneOrig = this.number(from, to, U16)) >= 0;
      case "zone-reply":
        return (entry.zoneReply = this.number(from, to, U16)) >= 0;
      case "helper":
        entry.helper = this.text.slice(from, to);
        return from < to;
      case "secctx":
        entry.secctx = this.text.slice(from, to);
        return true;
      default:
        return key !== "";
    }
  }
}

/**
 * Reads what `conntrack -L -o extended` prints; `file` is its path in the snapshot.
 * `zone=` sets `zone` alone; `zone-orig=` and `zone-reply=` set theirs, for zones of one direction.
 * Throws ParseError when a line is no entry.
 */
export function parseConntrack(text: string, file: string): CtEntry[] {
  const entries: CtEntry[] = [];
  const reader = new EntryReader(text, file);
  forEachSpan(text, file, (start, end, line) => entries.push(reader.read(start, end, line)));
  return entries;
}
