/**
 * A map from prefixes to values for longest-match lookups without allocation: one hash table per prefix length present
 * (tuple-space search), the longest asked first.
 */
import { maskWord } from "../../model/address.ts";
import type { Ip, Prefix } from "../../model/address.ts";

/** One prefix of a hash chain; IPv6 only, as four words do not fit a number. */
interface Slot<T> {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  value: T;
  readonly next: Slot<T> | undefined;
}

const hash6 = (a: number, b: number, c: number, d: number): number => {
  let h = Math.imul(a ^ (a >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ b ^ (h >>> 12), 0x297a2d39);
  h = Math.imul(h ^ c ^ (h >>> 15), 0x1b873593);
  return Math.imul(h ^ d ^ (h >>> 13), 0x85ebca6b) | 0;
};

export class PrefixMap<T> {
  /** Lengths present in IPv4, longest first, with a table each beside them. */
  readonly lens4: number[] = [];
  private readonly tables4: Map<number, T>[] = [];
  readonly lens6: number[] = [];
  private readonly tables6: Map<number, Slot<T>>[] = [];
  /** Prefixes in it. */
  size = 0;

  /** Sets the value of exactly this prefix; a former value is replaced. */
  set(prefix: Prefix, value: T): void {
    const { ip, len } = prefix;
    if (ip.v === 4) {
      const table = this.tables4[place(this.lens4, this.tables4, len)]!;
      const key = ip.a & maskWord(len, 0);
      if (!table.has(key)) this.size++;
      table.set(key, value);
      return;
    }
    const table = this.tables6[place(this.lens6, this.tables6, len)]!;
    const a = ip.a & maskWord(len, 0);
    const b = ip.b & maskWord(len, 1);
    const c = ip.c & maskWord(len, 2);
    const d = ip.d & maskWord(len, 3);
    const h = hash6(a, b, c, d);
    const first = table.get(h);
    for (let slot = first; slot !== undefined; slot = slot.next) {
      if (slot.a === a && slot.b === b && slot.c === c && slot.d === d) {
        slot.value = value;
        return;
      }
    }
    this.size++;
    table.set(h, { a, b, c, d, value, next: first });
  }

  /** The value of the prefix of exactly `len` bits around `ip`. */
  at(ip: Ip, len: number): T | undefined {
    const i = ip.v === 4 ? this.lens4.indexOf(len) : this.lens6.indexOf(len);
    return i < 0 ? undefined : this.nth(ip, i);
  }

  /** As `at`, by place in `lens4` or `lens6` of the address's family. */
  nth(ip: Ip, i: number): T | undefined {
    if (ip.v === 4) return this.tables4[i]!.get(ip.a & maskWord(this.lens4[i]!, 0));
    const len = this.lens6[i]!;
    const a = ip.a & maskWord(len, 0);
    const b = ip.b & maskWord(len, 1);
    const c = ip.c & maskWord(len, 2);
    const d = ip.d & maskWord(len, 3);
    let slot = this.tables6[i]!.get(hash6(a, b, c, d));
    while (slot !== undefined && (slot.a !== a || slot.b !== b || slot.c !== c || slot.d !== d)) slot = slot.next;
    return slot?.value;
  }

  /** How many lengths the family of `ip` has: the range of `nth`. */
  lengths(ip: Ip): number {
    return ip.v === 4 ? this.lens4.length : this.lens6.length;
  }

  /** The value of the longest prefix that holds `ip`. */
  longest(ip: Ip): T | undefined {
    const n = this.lengths(ip);
    for (let i = 0; i < n; i++) {
      const value = this.nth(ip, i);
      if (value !== undefined) return value;
    }
    return undefined;
  }
}

/** The place of `len` in a list kept longest first, made with an empty table when it is new. */
function place<V>(lens: number[], tables: Map<number, V>[], len: number): number {
  let i = 0;
  while (i < lens.length && lens[i]! > len) i++;
  if (lens[i] !== len) {
    lens.splice(i, 0, len);
    tables.splice(i, 0, new Map<number, V>());
  }
  return i;
}
