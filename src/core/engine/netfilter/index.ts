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

/** Rules that name one value of the key that a node splits by; made a node when a packet first has that value. */
class Child<L> {
  readonly rules: RuleProgram[];
  /** Null where the key is no prefix. */
  readonly prefix: Prefix | null;
  node: IndexNode<L> | null;

  constructor(rule: RuleProgram, prefix: Prefix | null) {
    this.rules = [rule];
    this.prefix = prefix;
    this.node = null;
  }
}

/** Some rules of a chain: all that can match the packets that lead here. `L` is what the caller keeps of a leaf. */
export class IndexNode<L> {
  /** In the order of the chain. */
  readonly rules: readonly RuleProgram[];
  leaf: L | null;
  private kind: number;
  /** Keys that this node and those above it have split by, as bits. */
  private used: number;
  private prefixes: PrefixMap<Child<L>> | null;
  private numbers: Map<number, Child<L>> | null;
  private names: Map<string, Child<L>> | null;
  /** For packets whose key no rule names. */
  private rest: IndexNode<L> | null;

  constructor(rules: readonly RuleProgram[], used = 0) {
    this.rules = rules;
    this.leaf = null;
    this.kind = UNBUILT;
    this.used = used;
    this.prefixes = null;
    this.numbers = null;
    this.names = null;
    this.rest = null;
  }

  /** The node with all rules that can match the packet of `s`. */
  find(s: EvalState): IndexNode<L> {
    if (this.kind === UNBUILT) this.build();
    return this.kind === LEAF ? this : this.step(s).find(s);
  }

  /** The node below that the packet is led to; of a node that splits. */
  private step(s: EvalState): IndexNode<L> {
    let child: Child<L> | undefined;
    switch (this.kind) {
      case DST:
        child = this.prefixes!.longest(s.pkt.dst);
        break;
      case SRC:
        child = this.prefixes!.longest(s.pkt.src);
        break;
      case DPORT:
        child = this.numbers!.get(s.pkt.dport);
        break;
      case SPORT:
        child = this.numbers!.get(s.pkt.sport);
        break;
      case PROTO:
        child = this.numbers!.get(s.pkt.proto);
        break;
      case IIF:
        child = s.iif === null ? undefined : this.names!.get(s.iif.name);
        break;
      default:
        child = s.oif === null ? undefined : this.names!.get(s.oif.name);
    }
    return child === undefined ? this.rest! : (child.node ?? this.enter(child));
  }

  private build(): void {
    const { rules } = this;
    const split = rules.length <= SMALL ? null : bestSplit(rules, this.used);
    if (split === null) {
      this.kind = LEAF;
      return;
    }
    this.used |= 1 << split;
    const rest: RuleProgram[] = [];
    if (split === DST || split === SRC) {
      const prefixes = (this.prefixes = new PrefixMap<Child<L>>());
      for (const rule of rules) {
        const prefix = split === DST ? rule.keys.dst : rule.keys.src;
        if (prefix === undefined) {
          rest.push(rule);
          continue;
        }
        const child = prefixes.at(prefix.ip, prefix.len);
        if (child === undefined) prefixes.set(prefix, new Child<L>(rule, prefix));
        else child.rules.push(rule);
      }
    } else if (split === IIF || split === OIF) {
      const names = (this.names = new Map<string, Child<L>>());
      for (const rule of rules) file(names, split === IIF ? rule.keys.iif : rule.keys.oif, rule, rest);
    } else {
      const numbers = (this.numbers = new Map<number, Child<L>>());
      for (const rule of rules) file(numbers, numberOf(rule.keys, split), rule, rest);
    }
    this.rest = new IndexNode<L>(rest, this.used);
    this.kind = split;
  }

  /**
   * A child as a node: its own rules and those without the key. A packet is led to the longest prefix that holds it,
   * so rules of every shorter prefix around it belong there too.
   */
  private enter(child: Child<L>): IndexNode<L> {
    const all = [...child.rules, ...this.rest!.rules];
    if (child.prefix !== null) {
      const { ip, len } = child.prefix;
      const table = this.prefixes!;
      for (const shorter of ip.v === 4 ? table.lens4 : table.lens6) {
        if (shorter < len) all.push(...(table.at(ip, shorter)?.rules ?? []));
      }
    }
    all.sort((x, y) => x.index - y.index);
    return (child.node = new IndexNode<L>(all, this.used));
  }
}

function file<K, L>(children: Map<K, Child<L>>, key: K | undefined, rule: RuleProgram, rest: RuleProgram[]): void {
  if (key === undefined) {
    rest.push(rule);
    return;
  }
  const child = children.get(key);
  if (child === undefined) children.set(key, new Child<L>(rule, null));
  else child.rules.push(rule);
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

/** Of longer chains so many rules are looked at, evenly spread, to choose a split. */
const SAMPLE = 1024;

/** The split after which the fewest rules are left to ask, on average over the rules; null when none is worth it. */
function bestSplit(rules: readonly RuleProgram[], used: number): Split | null {
  const step = Math.max(1, Math.floor(rules.length / SAMPLE));
  const total = Math.ceil(rules.length / step);
  let best: Split | null = null;
  let least = total * 0.7;
  for (const split of SPLITS) {
    if ((used & (1 << split)) !== 0) continue;
    const sizes = new Map<number | string, number>();
    let keyed = 0;
    for (let i = 0; i < rules.length; i += step) {
      const id = identity(rules[i]!.keys, split);
      if (id === undefined) continue;
      keyed++;
      sizes.set(id, (sizes.get(id) ?? 0) + 1);
    }
    if (keyed === 0) continue;
    let squares = 0;
    for (const n of sizes.values()) squares += n * n;
    const left = total - keyed + squares / keyed;
    if (left < least) {
      least = left;
      best = split;
    }
  }
  return best;
}
