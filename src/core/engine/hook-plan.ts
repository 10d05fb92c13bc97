/** What a hook of a namespace holds, laid out once: its chains in groups of one priority, and whether conntrack and nat take part. */
import type { BaseChain, Hook, Netfilter } from "./netfilter/context.ts";

/** Chains of one priority: `chains[from..to)` of the plan. */
export interface HookGroup {
  readonly priority: number;
  readonly from: number;
  readonly to: number;
  /** How many of them are of type filter or route, and how many of those have rules. */
  readonly filters: number;
  readonly busyFilters: number;
  /** Likewise those of type nat. */
  readonly nats: number;
  readonly busyNats: number;
}

export interface HookPlan {
  /** Why the rules are not known; null when they are. */
  readonly unknown: string | null;
  readonly tracks: boolean;
  readonly nats: boolean;
  /** In the order in which they run. */
  readonly chains: readonly BaseChain[];
  readonly groups: readonly HookGroup[];
}

/** The plans of one IP version, made when they are first needed. */
export class HookPlans {
  private readonly netfilter: Netfilter;
  private readonly v: 4 | 6;
  private readonly hasStored: boolean;
  private prerouting: HookPlan | null = null;
  private input: HookPlan | null = null;
  private forward: HookPlan | null = null;
  private output: HookPlan | null = null;
  private postrouting: HookPlan | null = null;

  /** `hasStored`: the conntrack table has entries, so that the namespace tracks whatever its rules are. */
  constructor(netfilter: Netfilter, v: 4 | 6, hasStored: boolean) {
    this.netfilter = netfilter;
    this.v = v;
    this.hasStored = hasStored;
  }

  of(hook: Exclude<Hook, "ingress" | "egress">): HookPlan {
    switch (hook) {
      case "prerouting":
        return (this.prerouting ??= this.make(hook));
      case "input":
        return (this.input ??= this.make(hook));
      case "forward":
        return (this.forward ??= this.make(hook));
      case "output":
        return (this.output ??= this.make(hook));
      case "postrouting":
        return (this.postrouting ??= this.make(hook));
    }
  }

  private make(hook: Hook): HookPlan {
    const { netfilter, v } = this;
    const chains = netfilter.chains(v, hook);
    const groups: HookGroup[] = [];
    for (let from = 0; from < chains.length;) {
      const { priority } = chains[from]!;
      let to = from;
      while (to < chains.length && chains[to]!.priority === priority) to++;
      const nats = chains.slice(from, to).filter((c) => c.type === "nat");
      const filters = chains.slice(from, to).filter((c) => c.type !== "nat");
      const busy = (of: readonly BaseChain[]): number => of.filter((c) => c.hasRules).length;
      groups.push({
        priority,
        from,
        to,
        filters: filters.length,
        busyFilters: busy(filters),
        nats: nats.length,
        busyNats: busy(nats),
      });
      from = to;
    }
    return {
      unknown: netfilter.unknown[v],
      tracks: netfilter.tracks[v] || this.hasStored,
      nats: netfilter.nats[v],
      chains,
      groups,
    };
  }
}
