/** nftables tables as programs (nf_tables_api.c says what a table is, nf_tables_core.c how its rules run). */
import { nftJsonText, ruleText } from "../../../model/nft-text.ts";
import type { NftChain, NftJson, NftRule, NftSet, NftTable } from "../../../model/nftables.ts";
import type { Source } from "../../../model/source.ts";
import type { ChainProgram, Outright, RuleProgram } from "../program.ts";
import { JUMP } from "../program.ts";
import { RuleBuilder } from "./builder.ts";
import { Lookup } from "./lookup.ts";
import { constantNat } from "./nat.ts";
import { RuleScope } from "./scope.ts";
import type { TableScope } from "./scope.ts";
import { addStatement } from "./statement.ts";
import type { ValueType } from "./types.ts";
import { outrightVerdict, vmapFork } from "./verdict.ts";

/** A base chain, and how the kernel registered it. */
export interface NftBaseChain {
  readonly program: ChainProgram;
  readonly name: string;
  /** filter, nat, route; what else a ruleset says is kept. */
  readonly type: string;
  /** prerouting, input, forward, output, postrouting, ingress, egress. */
  readonly hook: string;
  readonly priority: number;
  readonly policy: "accept" | "drop";
  /** Of netdev chains and inet ingress; empty otherwise. */
  readonly devices: readonly string[];
  /** Handles grow in the order in which chains of one table, and tables, were made. */
  readonly handle: number;
  readonly tableHandle: number;
  readonly source: Source;
  /** There is a rule in it, or in what it jumps to. */
  readonly hasRules: boolean;
}

export interface CompiledNftTable {
  readonly chains: Map<string, ChainProgram>;
  /** In the order of the listing. Empty for a dormant table, whose chains are not registered (nf_tables_table_disable). */
  readonly base: readonly NftBaseChain[];
}

/** `textOf` gives the raw line of a snapshot's file. */
export interface CompileOptions {
  textOf(source: Source): string;
}

/**
 * Compiles a table. Rules are compiled when their chain is first run, sets indexed when they are first looked up.
 * A rule's text is its line of nft.txt without its handle; where its source is JSON, the statements as nft prints them there.
 * Never throws: what is not modelled makes the walk branch as unknown, with the reason.
 */
export function compileNftTable(table: NftTable, opts: CompileOptions): CompiledNftTable {
  const scope = new Table(table);
  for (const chain of table.chains) scope.chains.set(chain.name, chainProgram(scope, chain, opts));
  const dormant = table.flags.includes("dormant");
  const base = table.chains.flatMap((chain) => (dormant ? [] : baseChain(table, chain, scope.chains.get(chain.name)!)));
  return { chains: scope.chains, base };
}

function baseChain(table: NftTable, chain: NftChain, program: ChainProgram): NftBaseChain[] {
  if (chain.base === null) return [];
  return [
    {
      program,
      name: chain.name,
      ...chain.base,
      handle: chain.handle,
      tableHandle: table.handle,
      source: chain.source,
      hasRules: chain.rules.length > 0,
    },
  ];
}

class Table implements TableScope {
  readonly family: NftTable["family"];
  readonly name: string;
  readonly chains = new Map<string, ChainProgram>();
  /** Whether the rules of a chain all come to nothing, as far as anyone asked. */
  readonly vain = new Map<ChainProgram, boolean>();
  private readonly sets: Map<string, NftSet>;
  private readonly lookups = new Map<string, Lookup>();

  constructor(private readonly table: NftTable) {
    this.family = table.family;
    this.name = table.name;
    this.sets = new Map(table.sets.map((set) => [set.name, set]));
  }

  chain(name: string): ChainProgram | null {
    return this.chains.get(name) ?? null;
  }

  set(name: string, types: readonly ValueType[]): Lookup | null {
    const set = this.sets.get(name);
    if (set === undefined) return null;
    // Rules may read the elements of one set by slightly different types (typeof ip length, integer).
    const key = `${types.map((type) => `${type.name} ${type.form} ${type.bits}`).join()} ${name}`;
    let lookup = this.lookups.get(key);
    if (lookup === undefined) {
      lookup = new Lookup(set.elements, set.isMap, types, `${set.isMap ? "map" : "set"} ${name}`, set);
      this.lookups.set(key, lookup);
    }
    return lookup;
  }

  sizeOf(name: string): number | null {
    const size = this.sets.get(name)?.more?.["size"];
    return typeof size === "number" ? size : null;
  }

  valueType(name: string): string | null {
    return this.sets.get(name)?.valueType ?? null;
  }

  object(kind: string, name: string): NftJson | null {
    return this.table.objects.find((o) => o.kind === kind && o.name === name)?.json ?? null;
  }
}

/** A jump to a chain whose rules all come to nothing. */
function leadsNowhere(scope: Table, outright: Outright | null): boolean {
  const to = outright !== null && outright.code === JUMP ? outright.chain : null;
  if (to === null) return false;
  let vain = scope.vain.get(to);
  if (vain === undefined) {
    // A chain that leads to itself, which no kernel holds, is asked.
    scope.vain.set(to, false);
    vain = to.rules().every((rule) => rule.vain?.() === true);
    scope.vain.set(to, vain);
  }
  return vain;
}

function chainProgram(scope: Table, chain: NftChain, opts: CompileOptions): ChainProgram {
  let rules: readonly RuleProgram[] | null = null;
  return {
    // These two are named here so that they have their places in the object itself.
    first: undefined,
    plan: undefined,
    family: scope.family,
    table: scope.name,
    name: chain.name,
    source: chain.source,
    rules: () => (rules ??= chain.rules.map((rule, index) => ruleProgram(scope, chain.name, rule, index, opts))),
  };
}

function ruleProgram(scope: Table, chain: string, rule: NftRule, index: number, opts: CompileOptions): RuleProgram {
  const builder = new RuleBuilder(new RuleScope(scope, rule.source));
  for (const statement of rule.expr) addStatement(builder, statement);
  const source = rule.source;
  const { map, sure, ...body } = builder.finish();
  const outright = outrightVerdict(builder.scope, rule.expr, body.effects.length);
  return {
    family: scope.family,
    table: scope.name,
    chain,
    source,
    index,
    ...body,
    nat: body.effects.length === 1 ? constantNat(rule.expr.at(-1) ?? null) : null,
    fork: () => vmapFork(new RuleScope(scope, source), rule.expr, body.effects.length),
    outright,
    verdicts: map === null ? null : map.verdicts,
    vain: () => (map === null ? leadsNowhere(scope, outright) : map.bare()) && sure(),
    text: () => (source.file.endsWith(".json") ? nftJsonText(rule.expr) : ruleText(opts.textOf(source))),
  };
}
