/**
 * Which policies there are, which of them apply to a pod, and of which policy a chain of Felix is
 * (felix/calc/active_rules_calculator.go, policy_sorter.go, policy_resolver.go).
 */
import type { Cluster } from "../../model/cluster.ts";
import { calicoPolicies, tiers } from "./calico-policy.ts";
import { kubernetesPolicies } from "./k8s-policy.ts";
import { inherited, profileLabels } from "./labelled.ts";
import { chainName } from "./names.ts";
import { oncePer } from "../once.ts";
import { chainId, isStaged, type Direction, type Policy, type PolicyId, type Tier } from "./policy.ts";
import { selects, type LabelOf } from "./selector.ts";
import { workloadEndpoints, type WorkloadEndpoint } from "./workload-endpoints.ts";

/** Policies of one tier that apply to an endpoint, in their order. */
export interface TierPolicies {
  tier: Tier;
  policies: Policy[];
}

/** Names of the chains of policies and profiles begin so; ingress and egress. */
export const POLICY_PREFIX: Record<Direction, string> = { ingress: "cali-pi-", egress: "cali-po-" };
export const PROFILE_PREFIX: Record<Direction, string> = { ingress: "cali-pri-", egress: "cali-pro-" };

const byName = (x: PolicyId, y: PolicyId): number => {
  const key = (id: PolicyId): string => `${id.name}\n${id.namespace}\n${id.kind}`;
  return key(x) < key(y) ? -1 : key(x) > key(y) ? 1 : 0;
};

/** Every policy that is enforced, each tier's in their order. Throws IntentError for a selector that makes no sense. */
export const policiesOf = oncePer((cluster: Cluster): Policy[] =>
  [...kubernetesPolicies(cluster), ...calicoPolicies(cluster)]
    .filter((policy) => !isStaged(policy))
    .toSorted((x, y) => (x.order === y.order ? byName(x.id, y.id) : x.order - y.order)),
);

/** The tiers that hold policies or are defined, in their order; what is not defined comes last and denies. */
const tiersOf = oncePer((cluster: Cluster): Tier[] => {
  const defined = tiers(cluster);
  const order = (tier: Tier): number => tier.order;
  const sorted = [...defined.values()].toSorted((x, y) =>
    order(x) === order(y) ? (x.name < y.name ? -1 : 1) : order(x) - order(y),
  );
  const undefinedOnes = [...new Set(policiesOf(cluster).map((policy) => policy.tier))]
    .filter((name) => !defined.has(name))
    .toSorted();
  return [...sorted, ...undefinedOnes.map((name): Tier => ({ name, order: Number.POSITIVE_INFINITY, passes: false }))];
});

/** The labels of profiles. */
export const profileLabelsOf = oncePer(profileLabels);

/** The policies whose selector takes something with these labels, by tier; tiers with none are left out. */
export function policiesFor(cluster: Cluster, labelOf: LabelOf): TierPolicies[] {
  const taken = policiesOf(cluster).filter((policy) => selects(policy.selector, labelOf));
  if (taken.length === 0) return [];
  return tiersOf(cluster)
    .map((tier) => ({ tier, policies: taken.filter((policy) => policy.tier === tier.name) }))
    .filter(({ policies }) => policies.length > 0);
}

/** The labels of a workload endpoint, with those of its namespace and service account. */
function endpointLabels(cluster: Cluster, endpoint: WorkloadEndpoint): LabelOf {
  return inherited(endpoint.labels, endpoint.profiles, profileLabelsOf(cluster));
}

/** Policies that apply to a workload endpoint: those of host endpoints only (doNotTrack, preDNAT) do not. */
export function endpointPolicies(cluster: Cluster, endpoint: WorkloadEndpoint): TierPolicies[] {
  return policiesFor(cluster, endpointLabels(cluster, endpoint))
    .map(({ tier, policies }) => ({
      tier,
      policies: policies.filter((policy) => !policy.doNotTrack && !policy.preDNAT),
    }))
    .filter(({ policies }) => policies.length > 0);
}

const podByName = oncePer(
  (cluster: Cluster) =>
    new Map(workloadEndpoints(cluster, "cali").map((each) => [`${each.namespace}/${each.pod}`, each])),
);

/**
 * The policies that decide about a pod's traffic in one direction, in the order in which they are asked. None: everything is allowed.
 * A pod on its host's network and a pod that is not there have none.
 */
export function policiesOfPod(
  cluster: Cluster,
  pod: { namespace: string; name: string },
  direction: Direction,
): PolicyId[] {
  const endpoint = podByName(cluster).get(`${pod.namespace}/${pod.name}`);
  if (endpoint === undefined) return [];
  return endpointPolicies(cluster, endpoint)
    .flatMap(({ policies }) => policies)
    .filter((policy) => policy.governs[direction])
    .map((policy) => policy.id);
}

/** Chains of policies, by name. */
const chainsOf = oncePer((cluster: Cluster) => {
  const chains = new Map<string, { policy: PolicyId; direction: Direction }>();
  for (const { id } of policiesOf(cluster))
    for (const direction of ["ingress", "egress"] as const)
      chains.set(chainName(POLICY_PREFIX[direction], chainId(id)), { policy: id, direction });
  return chains;
});

/** The policy that a chain of Felix (`cali-pi-…`, `cali-po-…`) is of; null when it is of none of the cluster's policies. */
export function policyOfChain(cluster: Cluster, chain: string): { policy: PolicyId; direction: Direction } | null {
  return chainsOf(cluster).get(chain) ?? null;
}
