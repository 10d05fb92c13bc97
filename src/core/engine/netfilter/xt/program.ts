/** Tables of a save file as chains that run. */
import type { Source } from "../../../model/source.ts";
import type { XtChain, XtMatch, XtRule, XtRuleset, XtTable } from "../../../model/xtables.ts";
import type { SetTable } from "../ipset/sets.ts";
import type { ChainPlan, Entry } from "../plan.ts";
import type { NatRequest } from "../context.ts";
import { CommonRules } from "./common-rules.ts";
import { ACCEPT, DROP, GOTO, JUMP, RETURN } from "../program.ts";
import type { ChainProgram, Effect, Guard, Outright, RuleKeys, RuleProgram, Test } from "../program.ts";
import { chanceOf } from "./chance.ts";
import type { XtEnv } from "./env.ts";
import { guardOf, keysOf } from "./keys.ts";
import { compileMatch } from "./match.ts";
import { touch } from "./recent.ts";
import type { RecentLists } from "./recent.ts";
import { natRequest } from "./target-nat.ts";
import { compileTarget } from "./target.ts";

export interface XtTableOptions {
  sets: SetTable;
  recent: RecentLists;
  textOf(source: Source): string;
  /** What other namespaces taught. */
  common?: CommonRules;
}

/** A table's chains by name, compiled when they are first met. */
export class XtTableProgram implements XtEnv {
  readonly v: 4 | 6;
  readonly family: "ip" | "ip6";
  readonly table: string;
  readonly file: string;
  readonly sets: SetTable;
  readonly recent: RecentLists;
  private readonly lines: (source: Source) => string;
  private readonly model: XtTable;
  private readonly common: CommonRules;
  private places: ReadonlyMap<string, number> | null = null;
  private readonly programs = new Map<string, XtChainProgram>();

  constructor(ruleset: XtRuleset, table: XtTable, options: XtTableOptions) {
    this.v = ruleset.family === "ip" ? 4 : 6;
    this.family = ruleset.family;
    this.table = table.name;
    this.file = ruleset.file;
    this.sets = options.sets;
    this.recent = options.recent;
    this.lines = options.textOf;
    this.model = table;
    this.common = options.common ?? new CommonRules();
  }

  textOf(source: Source): string {
    return this.lines(source);
  }

  ruleText(rule: XtRule): string {
    // The line without the counters that `iptables-save -c` puts before it.
    return this.common.text(rule, () => this.lines({ file: this.file, line: rule.line }).replace(/^\[\d+:\d+\] /, ""));
  }

  chain(name: string): XtChainProgram | null {
    const known = this.programs.get(name);
    if (known !== undefined) return known;
    this.places ??= this.common.places(this.model.chains);
    const model = this.model.chains[this.places.get(name) ?? -1];
    if (model === undefined) return null;
    const program = new XtChainProgram(this, model);
    this.programs.set(name, program);
    return program;
  }
}

export class XtChainProgram implements ChainProgram {
  first: Entry | null | undefined;
  plan: ChainPlan | undefined;
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly source: Source;
  private readonly env: XtEnv;
  private readonly model: XtChain;
  private compiled: readonly XtRuleProgram[] | null;

  constructor(env: XtEnv, model: XtChain) {
    this.first = undefined;
    this.plan = undefined;
    this.family = env.family;
    this.table = env.table;
    this.name = model.name;
    this.source = { file: env.file, line: model.line };
    this.env = env;
    this.model = model;
    this.compiled = null;
  }

  rules(): readonly XtRuleProgram[] {
    return (this.compiled ??= this.model.rules.map((rule, i) => new XtRuleProgram(this.env, this.name, rule, i)));
  }
}

/** A rule; its tests and effects are made when a packet first comes near it. */
export class XtRuleProgram implements RuleProgram {
  readonly chain: string;
  readonly index: number;
  readonly keys: RuleKeys;
  readonly random: { readonly num: number; readonly den: number } | null;
  private readonly env: XtEnv;
  private readonly model: XtRule;
  private readonly never: Test | null;

  constructor(env: XtEnv, chain: string, model: XtRule, index: number) {
    this.env = env;
    this.chain = chain;
    this.model = model;
    this.index = index;
    this.keys = keysOf(model.matches);
    const { random, test } = chanceOf(model.matches);
    this.random = random;
    this.never = test;
  }

  get family(): string {
    return this.env.family;
  }

  get table(): string {
    return this.env.table;
  }

  get source(): Source {
    return { file: this.env.file, line: this.model.line };
  }

  get guard(): Guard {
    return guardOf(this.model.matches).guard;
  }

  get tests(): readonly Test[] {
    const tests = guardOf(this.model.matches).others.flatMap((m) => compileMatch(m, this.env));
    return this.never === null ? tests : [this.never, ...tests];
  }

  get outright(): Outright | null {
    const { target, matches } = this.model;
    if (matches.some(changesList)) return null;
    switch (target.t) {
      case "jump":
      case "goto": {
        const chain = this.env.chain(target.chain);
        return chain === null ? null : { code: target.t === "jump" ? JUMP : GOTO, chain };
      }
      case "accept":
        return { code: ACCEPT, chain: null };
      case "drop":
        return { code: DROP, chain: null };
      case "return":
        return { code: RETURN, chain: null };
      default:
        return null;
    }
  }

  get nat(): NatRequest | null {
    const { target, matches } = this.model;
    return (target.t === "dnat" || target.t === "snat") && !matches.some(changesList) ? natRequest(target) : null;
  }

  get effects(): readonly Effect[] {
    const effects = compileTarget(this.model.target, this.env, this.source);
    const lists = this.model.matches.flatMap((m) => (changesList(m) ? [touch(this.env.recent.tag(m.name))] : []));
    return lists.length === 0 ? effects : [...lists, ...effects];
  }

  text(): string {
    return this.env.ruleText(this.model);
  }

  testsKey(): string {
    if (this.never !== null) return `rule ${this.index}`;
    return JSON.stringify(this.model.matches.filter((m) => m.m !== "random" && m.m !== "nth" && m.m !== "comment"));
  }
}

function changesList(m: XtMatch): m is Extract<XtMatch, { m: "recent" }> {
  return m.m === "recent" && m.op !== "rcheck" && !(m.op === "set" && m.not);
}
