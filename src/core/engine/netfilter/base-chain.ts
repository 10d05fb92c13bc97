/** A base chain of either kind of ruleset. */
import type { Source } from "../../model/source.ts";
import type { BaseChain, ChainVerdict, Hook, RuleContext } from "./context.ts";
import type { ChainProgram } from "./program.ts";
import { runBaseChain } from "./run.ts";

export interface BaseChainPlace {
  type: BaseChain["type"];
  hook: Hook;
  priority: number;
  registered: number;
  backend: BaseChain["backend"];
  policy: "accept" | "drop";
  hasRules: boolean;
  devices: readonly string[];
  /** Where the policy is declared. */
  source: Source;
}

export class RunnableBaseChain implements BaseChain {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly source: Source;
  readonly type: BaseChain["type"];
  readonly hook: Hook;
  readonly priority: number;
  readonly registered: number;
  readonly backend: BaseChain["backend"];
  readonly hasRules: boolean;
  readonly devices: readonly string[];
  readonly policy: "accept" | "drop";
  private readonly program: ChainProgram;

  constructor(program: ChainProgram, place: BaseChainPlace) {
    this.family = program.family;
    this.table = program.table;
    this.chain = program.name;
    this.source = place.source;
    this.type = place.type;
    this.hook = place.hook;
    this.priority = place.priority;
    this.registered = place.registered;
    this.backend = place.backend;
    this.hasRules = place.hasRules;
    this.devices = place.devices;
    this.policy = place.policy;
    this.program = program;
  }

  run(ctx: RuleContext): ChainVerdict {
    return runBaseChain(this.program, this, this.policy, ctx);
  }
}
