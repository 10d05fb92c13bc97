/** A rule's program as its statements are added: what is pure goes to `tests`, from the first side effect on all goes to `effects`. */
import type { NftJson } from "../../../model/nftables.ts";
import type { Effect, Guard, RuleKeys, RuleProgram, Test } from "../program.ts";
import { BREAK, MAYBE, NEXT, NO, YES } from "../program.ts";
import type { RuleScope } from "./scope.ts";
import { vmapEffect, type VerdictMap } from "./verdict.ts";

type Random = NonNullable<RuleProgram["random"]>;

type Sure = () => boolean;
const ALWAYS: Sure = () => true;
const NEVER: Sure = () => false;

/** The part of a RuleProgram that statements make. */
export interface RuleBody {
  readonly tests: readonly Test[];
  /** Whether the rule matches or not is never in doubt, nor by chance. */
  readonly sure: Sure;
  readonly guard: Guard;
  readonly random: Random | null;
  readonly effects: readonly Effect[];
  /** Where `effects` are one look at a map of verdicts, that map. */
  readonly map: VerdictMap | null;
  readonly keys: RuleKeys;
  testsKey(): string;
}

/** A step of the rule that must run in its place: an effect, or a test that became one. */
type Placed = { readonly effect: Effect } | { readonly test: Test };

export class RuleBuilder {
  private readonly tests: Test[] = [];
  private readonly sure: Sure[] = [];
  private chance: Random | null = null;
  private readonly placed: Placed[] = [];
  private map: VerdictMap | null = null;
  private readonly keys: RuleKeys = {};
  private readonly guard: Guard = {};
  /** What the tests say, for telling rules of equal tests. */
  private readonly said: (string | NftJson)[] = [];

  constructor(readonly scope: RuleScope) {}

  /**
   * A pure test. `keys` are necessary conditions that come with it; `said` is the statement; `guard` says the same as the test;
   * `sure`: the test is never in doubt.
   */
  test(test: Test, keys: RuleKeys, said: string | NftJson, guard: Guard | null = null, sure: Sure = NEVER): void {
    this.dependencies();
    this.own(test, keys, said, guard, sure);
  }

  /** A test that asks the oracle itself. */
  askingTest(test: Test): void {
    this.dependencies();
    this.placed.push({ test });
  }

  /** A match by chance. Tests that come after it may run first: they can't tell. */
  random(random: Random, said: NftJson): void {
    this.dependencies();
    if (this.placed.length === 0 && this.chance === null) {
      this.chance = random;
      return;
    }
    const weights = [random.num, random.den - random.num];
    this.placed.push({ effect: (s) => (s.oracle.choose(weights) === 0 ? NEXT : BREAK) });
    this.said.push(said);
  }

  vmap(map: VerdictMap): void {
    this.effect(vmapEffect(map));
    this.map = map;
  }

  effect(effect: Effect): void {
    this.dependencies();
    this.placed.push({ effect });
  }

  /** Conditions that compiling the statement brought up stand before it. */
  private dependencies(): void {
    for (const need of this.scope.takeNeeds()) this.own(need.test, need.keys, need.name, null, ALWAYS);
  }

  private own(test: Test, keys: RuleKeys, said: string | NftJson, guard: Guard | null, sure: Sure): void {
    if (this.placed.length > 0) {
      // Behind a side effect it no longer keeps the whole rule from matching: no key for the index.
      this.placed.push({ test });
      return;
    }
    const [field] = guard === null ? [] : Object.keys(guard);
    if (field !== undefined && !Object.hasOwn(this.guard, field)) Object.assign(this.guard, guard);
    else {
      this.tests.push(test);
      // What has a guard is known of every packet.
      if (field === undefined) this.sure.push(sure);
    }
    this.said.push(said);
    for (const [key, value] of Object.entries(keys)) {
      if (!Object.hasOwn(this.keys, key)) Object.assign(this.keys, { [key]: value });
    }
  }

  finish(): RuleBody {
    this.dependencies();
    const { tests, chance, keys, said, scope } = this;
    const last = this.placed.length - 1;
    const effects = this.placed.map((p, i) => ("effect" in p ? p.effect : asEffect(p.test, scope, i === last)));
    const map = effects.length === 1 && this.map !== null && !this.map.asks ? this.map : null;
    const sure = chance === null ? () => this.sure.every((is) => is()) : NEVER;
    return { sure, tests, guard: this.guard, random: chance, effects, map, keys, testsKey: () => JSON.stringify(said) };
  }
}

/** What a test is as an effect, once it may only run in its place. */
function asEffect(test: Test, scope: RuleScope, last: boolean): Effect {
  return (s) => {
    const answer = test(s);
    if (answer === YES) return NEXT;
    // Where nothing follows, nothing depends on it.
    if (answer === NO || (last && answer === MAYBE)) return BREAK;
    return s.oracle.unknown(s.why, scope.source) ? NEXT : BREAK;
  };
}
