/** IPv4 addresses where they are most frequent: `-s A.B.C.D/LENGTH` and `--to-destination A.B.C.D:PORT`, read without a copy. */
import { type Ip, type Prefix, ip4, maskWord } from "../../model/address.ts";
import type { NatRange, Range } from "../../model/xtables.ts";
import { COLON, DOT, NINE, SLASH, ZERO } from "./characters.ts";
import type { SaveText } from "./save-text.ts";

export class Ip4Reader {
  private readonly bytes: Uint8Array;
  /** The address read last: a pod's stands in both rules of its chain. */
  private last: Ip = ip4(0);
  private readonly ports = new Map<number, Range>();
  /** What `scan` found: the address, the number after it, what stands between them, and where the second number ends. */
  private word = 0;
  private number = 0;
  private separator = 0;
  private end = 0;

  constructor(text: SaveText) {
    this.bytes = text.bytes;
  }

  /** Where the form read last ends. */
  get position(): number {
    return this.end;
  }

  /** Whether `A.B.C.D/LENGTH` stands at `at`. */
  scanPrefix(at: number): boolean {
    return this.scan(at) && this.separator === SLASH && this.number <= 32;
  }

  /** The prefix that scanPrefix found. */
  prefix(): Prefix {
    return { ip: this.ip(this.word & maskWord(this.number, 0)), len: this.number };
  }

  /** Whether `A.B.C.D:PORT` stands at `at`. */
  scanNatRange(at: number): boolean {
    return this.scan(at) && this.separator === COLON;
  }

  /** The address and port that scanNatRange found. */
  natRange(): NatRange {
    let ports = this.ports.get(this.number);
    if (ports === undefined) {
      ports = [this.number, this.number];
      this.ports.set(this.number, ports);
    }
    const ip = this.ip(this.word);
    return { min: ip, max: ip, ports, basePort: null };
  }

  private ip(word: number): Ip {
    if (this.last.a !== word) this.last = ip4(word);
    return this.last;
  }

  /** `A.B.C.D` and `/` or `:` and a number up to 65535. */
  private scan(at: number): boolean {
    const bytes = this.bytes;
    let word = 0;
    let octet = -1;
    let dots = 0;
    let i = at;
    let c = bytes[i]!;
    for (; ; c = bytes[++i]!) {
      if (c >= ZERO && c <= NINE) {
        octet = octet < 0 ? c - ZERO : octet * 10 + c - ZERO;
        if (octet > 255) return false;
      } else if (octet < 0) {
        return false;
      } else {
        word = (word << 8) | octet;
        octet = -1;
        if (c !== DOT) break;
        dots++;
      }
    }
    if (dots !== 3 || (c !== SLASH && c !== COLON)) return false;
    this.word = word;
    this.separator = c;
    const start = ++i;
    let number = 0;
    for (c = bytes[i]!; c >= ZERO && c <= NINE && number <= 65535; c = bytes[++i]!) number = number * 10 + c - ZERO;
    this.number = number;
    this.end = i;
    return i > start && number <= 65535;
  }
}
