/** Felix's part of iptables on one machine: which chains are in use, and the rules that lead to them. */
import type { Cluster } from "../../model/cluster.ts";
import type { Claim } from "../claim.ts";
import type { Machine } from "../site.ts";
import type { CalicoNode } from "./calico-node.ts";
import { OWNER } from "./claims.ts";
import type { CalicoConfig } from "./config.ts";
import { dispatchChains } from "./dispatch-chains.ts";
import { endpointChain, groups, groupToChain, type EndpointChain } from "./endpoint-chains.ts";
import { hostEndpointChains, type HostEndpoint } from "./host-endpoints.ts";
import { jump, rule, ruleText, targetChain, type FelixChain, type FelixRule } from "./iptables-rule.ts";
import { chainName } from "./names.ts";
import { natChains } from "./nat-chains.ts";
import { chainId, fullName, type Direction, type Policy } from "./policy.ts";
import { endpointPolicies, POLICY_PREFIX, PROFILE_PREFIX, type TierPolicies } from "./policies.ts";
import { renderRules } from "./render-rule.ts";
import { felixRule, apiRule } from "./rule.ts";
import { parsedRule, type ParsedRule, type SetMeanings } from "./rule-sets.ts";
import { filterChains, forwardTail, mangleChains, rawChains } from "./static-chains.ts";
import type { WorkloadEndpoint } from "./workload-endpoints.ts";

const DIRECTIONS = ["ingress", "egress"] as const;

/** A policy's rules with sets for selectors. */
interface ActivePolicy {
  policy: Policy;
  rules: Record<Direction, ParsedRule[]>;
}

/** What is to be enforced on one machine. */
export interface Enforced {
  endpoints: { endpoint: WorkloadEndpoint; tiers: TierPolicies[] }[];
  hosts: HostEndpoint[];
  active: ActivePolicy[];
  /** Sets that the rules of active policies need. */
  sets: SetMeanings;
}

/** Policies are active where one of the machine's endpoints has them; all of their rules' sets are then there. */
export function enforced(cluster: Cluster, local: readonly WorkloadEndpoint[], hosts: HostEndpoint[]): Enforced {
  const endpoints = local.map((endpoint) => ({ endpoint, tiers: endpointPolicies(cluster, endpoint) }));
  const policies = new Set([...endpoints, ...hosts].flatMap(({ tiers }) => tiers.flatMap((tier) => tier.policies)));
  const sets: SetMeanings = new Map();
  const active = [...policies].map((policy): ActivePolicy => {
    const parsed = (direction: Direction) => policy.rules[direction].map((each) => parsedRule(each, sets));
    return { policy, rules: { ingress: parsed("ingress"), egress: parsed("egress") } };
  });
  return { endpoints, hosts, active, sets };
}

/** Profiles of namespaces, and Calico's own for host endpoints, allow everything; those of service accounts only give labels. */
function profileRules(profile: string): ParsedRule[] {
  const allows = profile.startsWith("kns.") || profile === "projectcalico-default-allow";
  return allows ? [parsedRule(felixRule(apiRule({}), ""), new Map())] : [];
}

/** Chains of policies, groups of them, and profiles, of which a table takes those that it leads to. */
function sharedChains({ endpoints, hosts, active }: Enforced, family: 4 | 6, config: CalicoConfig): FelixChain[] {
  const deny = config.deny.target[family];
  const options = { family, marks: config.marks, deny, logPrefix: config.logPrefix };
  const policies = active.flatMap(({ policy, rules }) =>
    DIRECTIONS.map((direction): FelixChain => {
      const about = `${policy.id.kind} ${fullName(policy.id)} ${direction}`;
      const name = chainName(POLICY_PREFIX[direction], chainId(policy.id));
      return { name, rules: renderRules(rules[direction], about, options) };
    }),
  );
  const all = [...endpoints.map(({ tiers }) => tiers), ...hosts.map(({ tiers }) => tiers)].flat();
  const groupChains = new Map<string, FelixChain>();
  for (const { policies: some } of all) {
    // Of a host endpoint's policies each table takes its own, so groups are made of each kind.
    const kinds: ((policy: Policy) => boolean)[] = [
      (policy) => !policy.doNotTrack && !policy.preDNAT,
      (policy) => !policy.doNotTrack && !policy.preDNAT && policy.applyOnForward,
      (policy) => policy.doNotTrack,
      (policy) => policy.preDNAT,
    ];
    for (const kind of kinds)
      for (const direction of DIRECTIONS)
        for (const group of groups(some.filter(kind), direction)) {
          if (group.policies.length < 2) continue;
          const chain = groupToChain(group, config);
          groupChains.set(chain.name, chain);
        }
  }
  const profiles = new Set([
    ...endpoints.flatMap(({ endpoint }) => endpoint.profiles),
    ...hosts.flatMap((host) => host.profiles),
  ]);
  const profileChains = [...profiles].flatMap((profile) =>
    DIRECTIONS.map((direction): FelixChain => {
      const name = chainName(PROFILE_PREFIX[direction], profile);
      return { name, rules: renderRules(profileRules(profile), `Profile ${profile} ${direction}`, options) };
    }),
  );
  return [...policies, ...groupChains.values(), ...profileChains];
}

/** Chains of workload endpoints and the dispatch to them. */
function workloadChains({ endpoints }: Enforced, family: 4 | 6, config: CalicoConfig): FelixChain[] {
  const deny = config.deny.target[family];
  const unknown = [rule("", deny, "Unknown interface")];
  const devices = endpoints.map(({ endpoint }) => endpoint.device);
  return [
    ...dispatchChains("cali-from-wl-dispatch", "-i", "cali-fw-", devices, unknown),
    ...dispatchChains("cali-to-wl-dispatch", "-o", "cali-tw-", devices, unknown),
    ...endpoints.flatMap(({ endpoint, tiers }) => {
      const common: Omit<EndpointChain, "prefix" | "direction" | "allowsVxlan" | "allowsIpip"> = {
        device: endpoint.device,
        kind: "normal",
        tiers,
        profiles: endpoint.profiles,
        failsafe: null,
        allow: config.filterAllow,
        family,
      };
      const to = { ...common, prefix: "cali-tw-", direction: "ingress" as const };
      const from = { ...common, prefix: "cali-fw-", direction: "egress" as const };
      return [
        endpointChain({ ...to, allowsVxlan: true, allowsIpip: true }, config),
        endpointChain(
          { ...from, allowsVxlan: config.allowsVxlanFromPods, allowsIpip: config.allowsIpipFromPods },
          config,
        ),
      ];
    }),
  ];
}

/** Rules in built-in chains: those that are inserted first, and those at the end. */
const ENTRIES: Record<string, readonly (readonly [builtIn: string, chain: string])[]> = {
  raw: [
    ["PREROUTING", "cali-PREROUTING"],
    ["OUTPUT", "cali-OUTPUT"],
  ],
  mangle: [
    ["PREROUTING", "cali-PREROUTING"],
    ["POSTROUTING", "cali-POSTROUTING"],
  ],
  nat: [
    ["PREROUTING", "cali-PREROUTING"],
    ["OUTPUT", "cali-OUTPUT"],
    ["POSTROUTING", "cali-POSTROUTING"],
  ],
  filter: [
    ["INPUT", "cali-INPUT"],
    ["FORWARD", "cali-FORWARD"],
    ["OUTPUT", "cali-OUTPUT"],
  ],
};

/** Beginnings of names that are hashes, or may be. */
const HASHED = ["cali-pi-", "cali-po-", "cali-gi-", "cali-go-", "cali-pri-", "cali-pro-"] as const;

/** Claims of one table: Felix writes only chains that can be reached (felix/iptables, maybeIncrefChain). */
function tableClaims(
  at: string,
  family: 4 | 6,
  table: string,
  chains: readonly FelixChain[],
  tail: FelixRule[],
): Claim[] {
  const known = new Map(chains.map((chain) => [chain.name, chain]));
  const entries = ENTRIES[table] ?? [];
  const open = entries.map(([, chain]) => chain);
  const reached = new Set<string>();
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    for (const each of known.get(name)?.rules ?? []) {
      const target = targetChain(each);
      if (target !== null) open.push(target);
    }
  }
  const where = { backend: "iptables" as const, family: family === 4 ? ("ip" as const) : ("ip6" as const), table };
  const inBuiltIn = (builtIn: string, each: FelixRule): Claim => ({
    kind: "rule",
    owner: OWNER,
    at,
    chain: { ...where, chain: builtIn },
    state: ruleText(each),
  });
  return [
    ...entries.map(([builtIn, chain]) => inBuiltIn(builtIn, rule("", jump(chain)))),
    ...tail.map((each) => inBuiltIn("FORWARD", each)),
    ...[...reached].flatMap((name): Claim[] => {
      const chain = known.get(name);
      if (chain === undefined) return [];
      const hashed = HASHED.find((prefix) => name.startsWith(prefix));
      const state = { ...where, chain: name };
      const rules = chain.rules.map(ruleText);
      return [{ kind: "chain", owner: OWNER, at, state, rules, ...(hashed === undefined ? {} : { hashed }) }];
    }),
  ];
}

/** All chains and rules of one family on one machine. */
export function iptablesClaims(
  machine: Machine,
  own: CalicoNode,
  family: 4 | 6,
  config: CalicoConfig,
  what: Enforced,
): Claim[] {
  const options = { config, family };
  const shared = sharedChains(what, family, config);
  const host = hostEndpointChains(what.hosts, family, config);
  const endpoints = what.endpoints.map(({ endpoint }) => endpoint);
  const spoofing = endpoints.flatMap(({ device, spoofable }) =>
    spoofable.filter((net) => net.includes(":") === (family === 6)).map((net) => ({ device, net })),
  );
  const tables: Record<string, FelixChain[]> = {
    raw: [...rawChains(options, spoofing), ...host.raw, ...shared],
    mangle: [...mangleChains(options), ...host.mangle, ...shared],
    nat: natChains(own, endpoints, family, config),
    filter: [...filterChains(options), ...host.filter, ...workloadChains(what, family, config), ...shared],
  };
  return Object.entries(tables).flatMap(([table, chains]) =>
    tableClaims(machine.place, family, table, chains, table === "filter" ? forwardTail(config) : []),
  );
}
