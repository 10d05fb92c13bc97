/**
 * Settings of thousands of namespaces in little memory. What `sysctl -a` prints of one device is, but for the device's name, what it prints
 * of any other; so settings are kept as blocks, one for each folder of /proc/sys, and a file as runs of them.
 */

export interface Setting {
  value: string;
  line: number;
}

/** Settings that stand one after the other, by the last parts of their keys; no name is there twice. */
export interface Block {
  readonly names: readonly string[];
  readonly values: readonly string[];
  /** `NAME = VALUE`, line end included, as printed. */
  readonly tails: readonly string[];
  readonly places: ReadonlyMap<string, number>;
}

/** Settings `from` to before `to` of a block, their keys beginning with `prefix` (which ends with a dot), the first of them on `line`. */
export interface Run {
  readonly prefix: string;
  readonly line: number;
  readonly block: Block;
  readonly from: number;
  readonly to: number;
}

/** The settings of one file. It reads its runs until it is changed; then it becomes a map of its own. */
export class RunSettings implements Map<string, Setting> {
  private readonly runs: readonly Run[];
  private own: Map<string, Setting> | null = null;

  constructor(runs: readonly Run[]) {
    this.runs = runs;
  }

  get(key: string): Setting | undefined {
    if (this.own !== null) return this.own.get(key);
    const dot = key.lastIndexOf(".") + 1;
    const prefix = key.slice(0, dot);
    const name = key.slice(dot);
    // Of a key that is there twice the last one counts.
    for (let i = this.runs.length - 1; i >= 0; i--) {
      const run = this.runs[i]!;
      if (run.prefix !== prefix) continue;
      const place = run.block.places.get(name) ?? -1;
      if (place >= run.from && place < run.to)
        return { value: run.block.values[place]!, line: run.line + place - run.from };
    }
    return undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  /** Whether there is a setting whose key begins with `prefix`, which ends with a dot. */
  hasFolder(prefix: string): boolean {
    if (this.own === null) return this.runs.some((run) => run.prefix.startsWith(prefix));
    return [...this.own.keys()].some((key) => key.startsWith(prefix));
  }

  /** Every setting on its own, in the order of the file. */
  private get whole(): Map<string, Setting> {
    const whole = new Map<string, Setting>();
    for (const { prefix, line, block, from, to } of this.runs) {
      for (let i = from; i < to; i++)
        whole.set(prefix + block.names[i]!, { value: block.values[i]!, line: line + i - from });
    }
    return whole;
  }

  get size(): number {
    return (this.own ?? this.whole).size;
  }

  keys(): MapIterator<string> {
    return (this.own ?? this.whole).keys();
  }

  values(): MapIterator<Setting> {
    return (this.own ?? this.whole).values();
  }

  entries(): MapIterator<[string, Setting]> {
    return (this.own ?? this.whole).entries();
  }

  [Symbol.iterator](): MapIterator<[string, Setting]> {
    return this.entries();
  }

  forEach(visit: (value: Setting, key: string, map: Map<string, Setting>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }

  set(key: string, setting: Setting): this {
    (this.own ??= this.whole).set(key, setting);
    return this;
  }

  delete(key: string): boolean {
    return (this.own ??= this.whole).delete(key);
  }

  clear(): void {
    this.own = new Map();
  }

  get [Symbol.toStringTag](): string {
    return "Map";
  }
}
