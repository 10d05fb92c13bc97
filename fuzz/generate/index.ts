/** A whole case from a seed: a world, its rulesets, and the packets to send through each. */
import { Rng } from "../rng.ts";
import type { Probe, RuleItem, Ruleset, World } from "../world.ts";
import { addresses, base } from "./addresses.ts";
import { ipsets } from "./ipsets.ts";
import { iptables } from "./iptables.ts";
import { nftables } from "./nftables.ts";
import { packets } from "./packets.ts";
import { type Filter, type Plan, wants } from "./plan.ts";
import { policy } from "./policy.ts";
import { routes } from "./routes.ts";
import { servers } from "./servers.ts";
import { settings } from "./settings.ts";
import { numberDevices, topology, vxlan } from "./topology.ts";

export const RULESETS_PER_WORLD = 4;
export const PROBES_PER_RULESET = 64;
export const CASES_PER_WORLD = RULESETS_PER_WORLD * PROBES_PER_RULESET;

export interface Batch {
  ruleset: Ruleset;
  probes: Probe[];
}

export interface Generated {
  world: World;
  batches: Batch[];
}

/** World number `index` of a seed. */
export function generate(seed: number, index: number, filter: Filter): Generated {
  const rng = new Rng(seed, index);
  const n = rng.weighted([
    [2, 2],
    [4, 3],
    [3, 4],
    [1.5, 5],
  ] as const);
  const plan: Plan = {
    rng,
    namespaces: Array.from({ length: n }, (_, i) => `kwf-${i}`),
    segments: [],
    devices: [],
    extras: [],
    servers: [],
    items: [],
    marks: [],
    filter,
  };
  plan.namespaces.forEach((_, ns) => plan.devices.push({ ns, dev: "lo", kind: "lo", mtu: 65536 }));
  base(plan);
  topology(plan);
  addresses(plan);
  if (rng.chance(0.25)) vxlan(plan);
  routes(plan);
  policy(plan);
  settings(plan);
  servers(plan);
  numberDevices(plan);
  const batches: Batch[] = [];
  for (let i = 0; i < RULESETS_PER_WORLD; i++) {
    // One in four goes without rules: then routing and links alone decide.
    const items: RuleItem[] = [];
    if (i > 0) rules(plan, items);
    batches.push({ ruleset: { items }, probes: packets(plan, PROBES_PER_RULESET) });
  }
  return { world: { namespaces: plan.namespaces, items: plan.items }, batches };
}

function rules(plan: Plan, items: RuleItem[]): void {
  const { rng } = plan;
  for (const ns of plan.namespaces.keys()) {
    if (rng.chance(0.35)) continue;
    const sets = wants(plan, "ipset") && rng.chance(0.35) ? ipsets(plan, items, ns) : [];
    for (const family of [4, 6] as const)
      if (wants(plan, "xt") && rng.chance(family === 4 ? 0.65 : 0.4)) iptables(plan, items, ns, family, sets);
    if (wants(plan, "nft") && rng.chance(0.35))
      for (let i = rng.int(1, 2); i > 0; i--) nftables(plan, items, ns, `t${i}`);
  }
}
