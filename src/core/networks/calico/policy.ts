/** A policy as Felix holds it (libcalico-go/lib/backend/model, Policy and PolicyKey). */
import { IntentError } from "../network.ts";
import type { Rule } from "./rule.ts";
import { SelectorError, type Selector } from "./selector.ts";

export type PolicyKind =
  | "KubernetesNetworkPolicy"
  | "NetworkPolicy"
  | "GlobalNetworkPolicy"
  | "StagedNetworkPolicy"
  | "StagedGlobalNetworkPolicy"
  | "StagedKubernetesNetworkPolicy";

/** Which object a policy comes of. */
export interface PolicyId {
  kind: PolicyKind;
  /** "" for a global one. */
  namespace: string;
  name: string;
}

export interface Policy {
  id: PolicyId;
  tier: string;
  /** Lower comes first; Infinity when not said. */
  order: number;
  /** Endpoints that it applies to. */
  selector: Selector;
  /** Whether it decides about traffic to and from its endpoints: where it does and no rule takes a packet, the tier's end drops it. */
  governs: { ingress: boolean; egress: boolean };
  rules: { ingress: Rule[]; egress: Rule[] };
  /** Of host endpoints only: before connection tracking, before DNAT, and to what is forwarded. */
  doNotTrack: boolean;
  preDNAT: boolean;
  applyOnForward: boolean;
}

export interface Tier {
  name: string;
  /** Infinity when not said. */
  order: number;
  /** Whether a packet that no policy of the tier takes goes on to the next; otherwise it is denied. */
  passes: boolean;
}

export type Direction = "ingress" | "egress";

const SHORT_KINDS: Record<PolicyKind, string> = {
  KubernetesNetworkPolicy: "knp",
  NetworkPolicy: "np",
  GlobalNetworkPolicy: "gnp",
  StagedNetworkPolicy: "snp",
  StagedGlobalNetworkPolicy: "sgnp",
  StagedKubernetesNetworkPolicy: "sknp",
};

/** What names the policy's chains: `knp/shop/web` (PolicyID.ID). */
export function chainId({ kind, namespace, name }: PolicyId): string {
  return [SHORT_KINDS[kind], namespace, name].filter((part) => part !== "").join("/");
}

/** `shop/web`, or the name alone of a global policy. */
export function fullName({ namespace, name }: PolicyId): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** What `read` makes of a policy's object; a selector in it that makes no sense becomes an IntentError that names the object. */
export function readPolicy(id: PolicyId, read: () => Policy): Policy {
  try {
    return read();
  } catch (error) {
    if (error instanceof SelectorError) throw new IntentError(`${id.kind} ${fullName(id)}: ${error.message}`);
    throw error;
  }
}

/** Staged policies are stored and reported of, never enforced (model.KindIsStaged). */
export function isStaged(policy: Policy): boolean {
  return policy.id.kind.startsWith("Staged");
}
