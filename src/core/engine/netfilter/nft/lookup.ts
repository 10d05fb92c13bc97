/** Sets and maps: which element a packet's key finds (nft_lookup_eval). */
import type { NftJson } from "../../../model/nftables.ts";
import { TCP, UDP } from "../../packet.ts";
import type { EvalState } from "../program.ts";
import { SingleIndex, WordIndex } from "./exact-index.ts";
import type { KeyIndex } from "./exact-index.ts";
import { bareElement, under } from "./json.ts";
import { BoxIndex, RangeIndex } from "./range-index.ts";
import type { Chance, Expr } from "./scope.ts";
import { interval } from "./types.ts";
import type { ValueType } from "./types.ts";
import { within } from "./value.ts";
import type { Interval, Load, Loaded, Value } from "./value.ts";

/** No element, and none for everything else. */
export const MISS = -1;
/** A part of the key could not be loaded: the rule breaks. */
export const BREAKS = -2;
/** It depends on what is not known; `s.why` says what. */
export const UNSURE = -3;
/** An element that this packet itself added: it is there, without a value. */
export const ADDED = 0x7fffffff;

interface Elements {
  readonly keys: readonly (readonly Interval[])[];
  /** Number in the listing of each of `keys`. */
  readonly entries: readonly number[];
  readonly catchAll: number;
  /** Elements that can't be read, which may be the one. */
  readonly vague: number;
  readonly index: KeyIndex;
  /** The same, where all keys are words and all elements can be read. */
  readonly table: WordIndex | null;
}

/** How many of a chance's values fall on an element; MISS collects those that fall on none. */
export interface Fall {
  readonly entry: number;
  readonly weight: number;
}

/** Parts of a key that are read without a call: what each is, null where its load must be asked. */
export type Word = "src" | "dst" | "proto" | "dport" | null;

const NO_WORDS: readonly Word[] = [];

/** A key that holds nothing but words, as `probe` read it from the packet. */
const PROBE = new Int32Array(16);

/** Puts the words of a key into PROBE; false where one of them is none, or must be loaded. */
function probe(s: EvalState, words: readonly Word[]): boolean {
  const { pkt } = s;
  if (pkt.v !== 4 || words.length === 0 || words.length > PROBE.length) return false;
  for (let i = 0; i < words.length; i++) {
    switch (words[i]!) {
      case "dst":
        PROBE[i] = pkt.dst.a;
        break;
      case "src":
        PROBE[i] = pkt.src.a;
        break;
      case "proto":
        PROBE[i] = pkt.proto;
        break;
      case "dport":
        if ((pkt.proto !== TCP && pkt.proto !== UDP) || pkt.laterFragment) return false;
        PROBE[i] = pkt.dport;
        break;
      default:
        return false;
    }
  }
  return true;
}

/** The words of a key's parts. `dport` is that of any transport, where there is one. */
export function wordsOf(key: readonly Expr[]): readonly Word[] {
  return key.map((part) =>
    part.key === "src" || part.key === "dst" || part.key === "proto" ? part.key : (part.port ?? null),
  );
}

function loadPart(s: EvalState, word: Word | undefined, load: Load): Loaded {
  const { pkt } = s;
  switch (word) {
    case "dst":
      return pkt.dst.key;
    case "src":
      return pkt.src.key;
    case "proto":
      return pkt.proto;
    case "dport":
      return (pkt.proto === TCP || pkt.proto === UDP) && !pkt.laterFragment ? pkt.dport : load(s);
    default:
      return load(s);
  }
}

export class Lookup {
  private built: Elements | null = null;
  private readonly values: Loaded[];

  /**
   * `elements` as nft lists them: keys, or pairs for a map. `what` names the set in reasons.
   * `identity` is the named set itself, which packets can change; null for an anonymous one.
   */
  constructor(
    private readonly elements: readonly NftJson[],
    private readonly isMap: boolean,
    readonly types: readonly ValueType[],
    private readonly what: string,
    readonly identity: object | null,
  ) {
    this.values = types.map(() => undefined);
  }

  /** The value beside element `entry` of a map. */
  data(entry: number): NftJson | undefined {
    const pair = this.elements[entry];
    return Array.isArray(pair) ? pair[1] : undefined;
  }

  /** Nothing can be found in it, unless a packet itself adds something. */
  get isBare(): boolean {
    const { entries, vague, catchAll } = (this.built ??= this.build());
    return entries.length === 0 && vague === 0 && catchAll === MISS;
  }

  /** All its elements can be read. */
  get isReadable(): boolean {
    return (this.built ??= this.build()).vague === 0;
  }

  /** How many elements are listed. */
  get size(): number {
    return this.elements.length;
  }

  /** The number of the element that the loaded key finds, or MISS, BREAKS or UNSURE. One `Load` for each part. */
  find(s: EvalState, loads: readonly Load[], words: readonly Word[] = NO_WORDS): number {
    const set = (this.built ??= this.build());
    const { table } = set;
    if (table !== null && (this.identity === null || s.pkt.setChanges.length === 0) && probe(s, words)) {
      const at = table.at(PROBE);
      return at >= 0 ? set.entries[at]! : set.catchAll;
    }
    const { values } = this;
    let lost = false;
    let why = "";
    for (let i = 0; i < loads.length; i++) {
      const value = loadPart(s, words[i], loads[i]!);
      if (value === null) return BREAKS;
      if (value === undefined) {
        if (!lost) why = s.why;
        lost = true;
      }
      values[i] = value;
    }
    const changed = this.identity === null || s.pkt.setChanges.length === 0 ? null : this.changed(s, lost);
    if (changed !== null) return changed;
    if (lost) return this.findLost(s, set, why);
    const at = set.index.get(values as Value[]);
    if (at >= 0) return set.entries[at]!;
    if (set.vague > 0) {
      s.why = `${this.what} has an element that kubewalk can't read`;
      return UNSURE;
    }
    return set.catchAll;
  }

  /** With part of the key unknown: still a miss when the rest fits no element. */
  private findLost(s: EvalState, set: Elements, why: string): number {
    const fits = set.keys.some((key) =>
      key.every((span, i) => {
        const value = this.values[i];
        return value === undefined || value === null || within(value, span);
      }),
    );
    if (!fits && set.vague === 0) return set.catchAll;
    s.why = why;
    return UNSURE;
  }

  /** What the packet itself added to or deleted from the set on its way; null when that does not touch its key. */
  private changed(s: EvalState, lost: boolean): number | null {
    const changes = s.pkt.setChanges;
    const key = lost ? null : keyText(this.values as Value[]);
    for (let i = changes.length - 1; i >= 0; i--) {
      const change = changes[i]!;
      if (change.set !== this.identity || (key !== null && change.key !== key)) continue;
      if (key !== null && !change.present) return this.built!.catchAll;
      if (key !== null && !this.isMap) return ADDED;
      s.why = `the packet itself changed ${this.what}`;
      return UNSURE;
    }
    return null;
  }

  /** How the values of a chance fall on the elements, in the order of the listing. Null when an element can't be read. */
  falls(chance: Chance): Fall[] | null {
    const set = (this.built ??= this.build());
    if (set.vague > 0) return null;
    const first = chance.offset;
    const last = chance.offset + chance.mod - 1;
    const out: Fall[] = [];
    let left = chance.mod;
    for (const [i, key] of set.keys.entries()) {
      const { lo, hi } = key[0]!;
      if (typeof lo !== "number" || typeof hi !== "number") return null;
      const weight = Math.min(last, hi >>> 0) - Math.max(first, lo >>> 0) + 1;
      if (weight <= 0) continue;
      out.push({ entry: set.entries[i]!, weight });
      left -= weight;
    }
    // Elements of one set do not overlap; should they, their chances can't be told.
    if (left < 0) return null;
    if (left > 0) out.push({ entry: set.catchAll, weight: left });
    return out;
  }

  private build(): Elements {
    const keys: Interval[][] = [];
    const entries: number[] = [];
    let catchAll = MISS;
    let vague = 0;
    let exact = true;
    for (const [n, element] of this.elements.entries()) {
      const key = bareElement(this.isMap && Array.isArray(element) ? (element[0] ?? null) : element);
      if (key === "*" && this.types[0]?.form !== "ifname") {
        catchAll = n;
        continue;
      }
      const spans = this.spans(key);
      if (spans === null) {
        vague++;
        continue;
      }
      keys.push(spans);
      entries.push(n);
      exact &&= spans.every((span) => span.lo === span.hi);
    }
    const parts = this.types.length;
    const points = (): Value[][] => keys.map((key) => key.map((span) => span.lo));
    const words = exact && keys.every((key) => key.every((span) => typeof span.lo === "number"));
    const index: KeyIndex = exact
      ? words || parts > 1
        ? new WordIndex(points(), parts)
        : new SingleIndex(points())
      : parts === 1
        ? new RangeIndex(keys)
        : new BoxIndex(keys);
    const table = words && vague === 0 && index instanceof WordIndex ? index : null;
    return { keys, entries, catchAll, vague, index, table };
  }

  private spans(key: NftJson): Interval[] | null {
    const { types } = this;
    const list = types.length === 1 ? [key] : under(key, "concat");
    if (!Array.isArray(list) || list.length !== types.length) return null;
    const out: Interval[] = [];
    for (const [i, part] of list.entries()) {
      const span = interval(types[i]!, part);
      if (span === undefined) return null;
      out.push(span);
    }
    return out;
  }
}

/** A key as one text, for comparing the keys that a packet added. */
export const keyText = (values: readonly Value[]): string => values.join(" ");
