/** What a hook of a namespace holds, laid out once: conntrack, nat, IPVS and chains in the order in which they take their turn. */
import { IPVS_AT } from "./ipvs.ts";
import type { BaseChain, Netfilter } from "./netfilter/context.ts";
import type { IpHook } from "./hooks.ts";
import type { Ns } from "./ns.ts";

/** Priorities of nf_ip_hook_priorities. */
const CONNTRACK = -200;
const NAT_DST = -100;
const NAT_SRC = 100;

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

/** What a stage does: conntrack looks at the packet, nat rewrites it, IPVS looks at answers or requests, chains run. */
export const TRACK = 0;
export const NAT = 1;
export const IPVS_OUT = 2;
export const IPVS_IN = 3;
export const CHAINS = 4;

/** One turn within a hook. `group`: the chains of it, where it is CHAINS. */
export class Stage {
  readonly does: number;
  readonly group: HookGroup | null;

  constructor(does: number, group: HookGroup | null) {
    this.does = does;
    this.group = group;
  }
}

export interface HookPlan {
  /** Nothing takes part in the hook: every packet passes. */
  readonly idle: boolean;
  /** Why the rules are not known; null when they are. */
  readonly unknown: string | null;
  /** Connections enter conntrack's table at its end. */
  readonly confirms: boolean;
  readonly stages: readonly Stage[];
  /** In the order in which they run. */
  readonly chains: readonly BaseChain[];
  readonly groups: readonly HookGroup[];
}

/** The plans of one IP version, made when they are first needed. */
export class HookPlans {
  private readonly netfilter: Netfilter;
  private readonly v: 4 | 6;
  private readonly ns: Pick<Ns, "hasStored" | "mayHaveIpvs">;
  private prerouting: HookPlan | null = null;
  private input: HookPlan | null = null;
  private forward: HookPlan | null = null;
  private output: HookPlan | null = null;
  private postrouting: HookPlan | null = null;

  constructor(netfilter: Netfilter, v: 4 | 6, ns: Pick<Ns, "hasStored" | "mayHaveIpvs">) {
    this.netfilter = netfilter;
    this.v = v;
    this.ns = ns;
  }

  of(hook: IpHook): HookPlan {
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

  private make(hook: IpHook): HookPlan {
    const { netfilter, v, ns } = this;
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
    const unknown = netfilter.unknown[v];
    // Where the conntrack table has entries the namespace tracks, whatever its rules are.
    const tracks = netfilter.tracks[v] || ns.hasStored;
    return {
      idle: unknown === null && chains.length === 0 && !tracks && !ns.mayHaveIpvs,
      unknown,
      confirms: tracks && (hook === "postrouting" || hook === "input"),
      stages: stagesOf(hook, groups, tracks, netfilter.nats[v], ns.mayHaveIpvs),
      chains,
      groups,
    };
  }
}

/** The turns of a hook by priority. Chains of type nat run inside the nat hook, wherever their own priority would put them. */
function stagesOf(hook: IpHook, groups: readonly HookGroup[], tracks: boolean, nats: boolean, ipvs: boolean): Stage[] {
  const natAt = hook === "prerouting" || hook === "output" ? NAT_DST : NAT_SRC;
  const at = ipvs ? IPVS_AT[hook] : NOWHERE;
  const stages: Stage[] = [];
  let tracked = !tracks || (hook !== "prerouting" && hook !== "output");
  let natted = !nats || hook === "forward";
  let answered = at.out === null;
  let asked = at.in === null;
  const ipvsBefore = (priority: number): void => {
    if (!answered && priority > at.out!) stages.push(new Stage(IPVS_OUT, null));
    answered ||= priority > at.out!;
    if (!asked && priority > at.in!) stages.push(new Stage(IPVS_IN, null));
    asked ||= priority > at.in!;
  };
  const standing = (priority: number): void => {
    if (!tracked && priority > CONNTRACK) {
      stages.push(new Stage(TRACK, null));
      tracked = true;
    }
    if (!natted && priority >= natAt) {
      ipvsBefore(natAt);
      stages.push(new Stage(NAT, null));
      natted = true;
    }
    ipvsBefore(priority);
  };
  for (const group of groups) {
    standing(group.priority);
    if (group.filters > 0) stages.push(new Stage(CHAINS, group));
  }
  standing(Number.POSITIVE_INFINITY);
  return stages;
}

const NOWHERE = { out: null, in: null };
