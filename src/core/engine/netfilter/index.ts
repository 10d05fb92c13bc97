/**
 * Which rules of a chain can match a packet, without asking each: a tree that splits by the keys that rules need
 * (RuleKeys), built where packets come by and no further. A lookup walks a few hash tables and allocates nothing.
 */
import type { Prefix } from "../../model/address.ts";
import { PrefixMap } from "./prefix-map.ts";
import type { EvalState, RuleKeys, RuleProgram } from "./program.ts";

/** Below this many rules asking each one is cheaper than hashing. */
const SMALL = 12;

const UNBUILT = 0;
const LEAF = 1;
const DST = 2;
const SRC = 3;
const DPORT = 4;
const SPORT = 5;
const PROTO = 6;
const IIF = 7;
const OIF = 8;
const SPLITS = [DST, DPORT, IIF, OIF, SRC, SPORT, PROTO] as const;
type Split = (typeof SPLITS)[number];

/** Some rules of a chain, in order: all that can match the packets that lead here. */
export class IndexNode<L> {
  /** In the order of the chain. Null until the first packet comes by, for a child whose rules are still to be merged. */
  private merged: readonly RuleProgram[] | null;
  private kind = UNBUILT;
  private prefixes: PrefixMap<IndexNode<L>> | null = null;
  private numbers: Map<number, IndexNode<L>> | null = null;
  private names: Map<string, IndexNode<L>> | null = null;
  /** For packets whose key no rule names. */
  private rest: IndexNode<L> | null = null;
  /** What the caller keeps of a leaf (IndexNode knows nothing of it). */
  leaf: L | null = null;

  private constructor(
    merged: readonly RuleProgram[] | null,
    /** Keys that a split above this node has used. */
    private readonly used: number,
    /** Rules with just the key of this child, to be merged with those above it. */
    private readonly own: RuleProgram[],
    private readonly parent: IndexNode<L> | null,
    private readonly prefix: Prefix | null,
  ) {
    this.merged = merged;
  }

  /** The index of a chain's rules. */
  static root<L>(rules: readonly RuleProgram[]): IndexNode<L> {
    return new IndexNode<L>(rules, 0, [], null, null);
  }

  /** The rules that packets arriving here can match, in the order of the chain. */
  get rules(): readonly RuleProgram[] {
    return (this.merged ??= this.merge());
  }

  /** The node with all rules that can match the packet of `s`. */
  find(s: EvalState): IndexNode<L> {
    let node: IndexNode<L> = this;
    for (;;) {
      let child: IndexNode<L> | undefined;
      switch (node.kind) {
        case UNBUILT:
          node.build();
          continue;
        case LEAF:
          return node;
        case DST:
          child = node.prefixes!.longest(s.pkt.dst);
          break;
        case SRC:
          child = node.prefixes!.longest(s.pkt.src);
          break;
        case DPORT:
          child = node.numbers!.get(s.pkt.dport);
          break;
        case SPORT:
          child = node.numbers!.get(s.pkt.sport);
          break;
        case PROTO:
          child = node.numbers!.get(s.pkt.proto);
          break;
        case IIF:
          child = s.iif === null ? undefined : node.names!.get(s.iif.name);
          break;
        default:
          child = s.oif === null ? undefined : node.names!.get(s.oif.name);
      }
      node = child ?? node.rest!;
    }
  }

  private build(): void {
    const rules = this.rules;
    const split = rules.length <= SMALL ? null : bestSplit(rules, this.used);
    if (split === null) {
      this.kind = LEAF;
      return;
    }
    const used = this.used | (1 << split);
    const rest: RuleProgram[] = [];
    if (split === DST || split === SRC) {
      const prefixes = new PrefixMap<IndexNode<L>>();
      for (const rule of rules) {
        const prefix = split === DST ? rule.keys.dst : rule.keys.src;
        if (prefix === undefined) rest.push(rule);
        else {
          let child = prefixes.at(prefix.ip, prefix.len);
          if (child === undefined) prefixes.set(prefix, (child = new IndexNode<L>(null, used, [], this, prefix)));
          child.own.push(rule);
        }
      }
      this.prefixes = prefixes;
    } else if (split === IIF || split === OIF) {
      this.names = new Map();
      for (const rule of rules) this.file(this.names, split === IIF ? rule.keys.iif : rule.keys.oif, rule, used, rest);
    } else {
      this.numbers = new Map();
      for (const rule of rules) this.file(this.numbers, numberOf(rule.keys, split), rule, used, rest);
    }
    this.rest = new IndexNode<L>(rest, used, [], null, null);
    this.kind = split;
  }

  private file<K>(
    children: Map<K, IndexNode<L>>,
    key: K | undefined,
    rule: RuleProgram,
    used: number,
    rest: RuleProgram[],
  ): void {
    if (key === undefined) {
      rest.push(rule);
      return;
    }
    let child = children.get(key);
    if (child === undefined) children.set(key, (child = new IndexNode<L>(null, used, [], this, null)));
    child.own.push(rule);
  }

  /** A packet is led to the longest prefix that holds it, so rules of every shorter prefix around it belong here too. */
  private merge(): RuleProgram[] {
    const parent = this.parent!;
    const all = [...this.own, ...parent.rest!.rules];
    if (this.prefix !== null) {
      const { ip, len } = this.prefix;
      const table = parent.prefixes!;
      for (const shorter of ip.v === 4 ? table.lens4 : table.lens6) {
        if (shorter < len) all.push(...(table.at(ip, shorter)?.own ?? []));
      }
    }
    return all.sort((x, y) => x.index - y.index);
  }
}

function numberOf(keys: RuleKeys, split: Split): number | undefined {
  return split === DPORT ? keys.dport : split === SPORT ? keys.sport : keys.proto;
}

/** A value that tells two keys of a kind apart. */
function identity(keys: RuleKeys, split: Split): number | string | undefined {
  switch (split) {
    case DST:
    case SRC: {
      const prefix = split === DST ? keys.dst : keys.src;
      if (prefix === undefined) return undefined;
      return prefix.ip.v === 4 ? (prefix.ip.a >>> 0) * 64 + prefix.len : `${prefix.ip.key}/${prefix.len}`;
    }
    case IIF:
      return keys.iif;
    case OIF:
      return keys.oif;
    case DPORT:
    case SPORT:
    case PROTO:
      return numberOf(keys, split);
  }
}

/** The split after which the fewest rules are left to ask, on average over the rules; null when none is worth it. */
function bestSplit(rules: readonly RuleProgram[], used: number): Split | null {
  let best: Split | null = null;
  let least = rules.length * 0.7;
  for (const split of SPLITS) {
    if ((used & (1 << split)) !== 0) continue;
    const sizes = new Map<number | string, number>();
    let keyed = 0;
    for (const rule of rules) {
      const id = identity(rule.keys, split);
      if (id === undefined) continue;
      keyed++;
      sizes.set(id, (sizes.get(id) ?? 0) + 1);
    }
    if (keyed === 0) continue;
    let squares = 0;
    for (const n of sizes.values()) squares += n * n;
    const left = rules.length - keyed + squares / keyed;
    if (left < least) {
      least = left;
      best = split;
    }
  }
  return best;
}
