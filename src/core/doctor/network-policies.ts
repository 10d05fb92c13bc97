/**
 * What the cluster's NetworkPolicies say about a connection (networking.k8s.io/v1): a pod that any policy of a direction selects is
 * isolated in that direction and admits the union of what these policies admit; packets are judged as they are at the pod, after
 * Services have been resolved to an endpoint and its port.
 */
import { inPrefix, parseIp, parsePrefix, type Ip } from "../model/address.ts";
import type { Pod } from "../model/cluster.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";
import { objectSources } from "./object-sources.ts";
import { list, object, textMap, type Raw } from "../networks/raw.ts";
import { labelsOf, selectorTakes } from "../networks/label-selector.ts";

export const POLICIES = "networkpolicies.networking.k8s.io";

export type Direction = "ingress" | "egress";

interface Port {
  protocol: string;
  /** Null: every port of the protocol. */
  first: number | null;
  last: number | null;
  /** A name instead of a number, of a port of the pod that the packet goes to. */
  name: string | null;
}

interface Rule {
  /** Empty: everybody. */
  peers: readonly Raw[];
  /** Empty: every port. */
  ports: readonly Port[];
}

export interface Policy {
  namespace: string;
  name: string;
  podSelector: unknown;
  /** Null: the policy says nothing of this direction. */
  ingress: readonly Rule[] | null;
  egress: readonly Rule[] | null;
  source: Source | null;
}

/** The other end of a connection: a pod, or just an address. */
export interface Peer {
  pod: Pod | null;
  ip: Ip | null;
}

function portOf(value: unknown): Port {
  const { protocol, port, endPort } = object(value);
  const first = typeof port === "number" ? port : null;
  return {
    protocol: typeof protocol === "string" ? protocol : "TCP",
    first,
    last: typeof endPort === "number" ? endPort : first,
    name: typeof port === "string" ? port : null,
  };
}

const rulesOf = (value: unknown, peers: "from" | "to"): Rule[] =>
  list(value).map((each) => ({
    peers: list(object(each)[peers]).map(object),
    ports: list(object(each)["ports"]).map(portOf),
  }));

/** All of a cluster's policies, ready to be asked. */
export class Policies {
  private readonly byNamespace = new Map<string, Policy[]>();
  private readonly namespaces = new Map<string, Record<string, string>>();
  readonly count: number;

  constructor(snapshot: Snapshot) {
    const { raw } = snapshot.cluster;
    for (const item of raw.get("namespaces") ?? []) {
      const { name, labels } = object(object(item)["metadata"]);
      if (typeof name === "string") this.namespaces.set(name, textMap(labels));
    }
    const items = raw.get(POLICIES) ?? [];
    this.count = items.length;
    items.forEach((item, i) => {
      const { metadata, spec } = object(item);
      const { namespace, name } = object(metadata);
      const { podSelector, policyTypes, ingress, egress } = object(spec);
      if (typeof namespace !== "string" || typeof name !== "string") return;
      // Unless it says so, a policy is for ingress, and for egress when it has such rules (NetworkPolicySpec.policyTypes).
      const types = list(policyTypes);
      const of = (type: string, otherwise: boolean): boolean => (types.length > 0 ? types.includes(type) : otherwise);
      const policy: Policy = {
        namespace,
        name,
        podSelector,
        ingress: of("Ingress", true) ? rulesOf(ingress, "from") : null,
        egress: of("Egress", list(egress).length > 0) ? rulesOf(egress, "to") : null,
        source: objectSources(snapshot, POLICIES)[i] ?? null,
      };
      const own = this.byNamespace.get(namespace);
      if (own === undefined) this.byNamespace.set(namespace, [policy]);
      else own.push(policy);
    });
  }

  /** The policies that isolate a pod in a direction. */
  isolating(pod: Pod, direction: Direction): Policy[] {
    if (pod.hostNetwork) return [];
    return (this.byNamespace.get(pod.namespace) ?? []).filter(
      (policy) => policy[direction] !== null && selectorTakes(policy.podSelector, labelsOf(pod.labels)),
    );
  }

  /** Whether `policies`, which isolate `pod`, admit a connection with `peer`; `target` is the pod that it goes to, `port` there. */
  admit(
    policies: readonly Policy[],
    direction: Direction,
    peer: Peer,
    protocol: string,
    port: number | null,
    target: Pod | null,
  ): boolean {
    return policies.some((policy) =>
      policy[direction]?.some(
        (rule) =>
          (rule.ports.length === 0 || rule.ports.some((each) => this.takesPort(each, protocol, port, target))) &&
          (rule.peers.length === 0 || rule.peers.some((each) => this.takesPeer(each, policy.namespace, peer))),
      ),
    );
  }

  /** Whether `policies` have any rule of a direction, so that they mean to admit something. */
  admitsSomething(policies: readonly Policy[], direction: Direction): boolean {
    return policies.some((policy) => (policy[direction] ?? []).length > 0);
  }

  /** Whether any rule of a direction is for this port, whoever the peer. */
  admitsPort(
    policies: readonly Policy[],
    direction: Direction,
    protocol: string,
    port: number,
    target: Pod | null,
  ): boolean {
    return policies.some((policy) =>
      policy[direction]?.some(
        ({ ports }) => ports.length === 0 || ports.some((each) => this.takesPort(each, protocol, port, target)),
      ),
    );
  }

  /**
   * The policy with a rule that takes this peer, and would admit it if its port meant the Service's (`servicePort`) and not the
   * pod's, or if a port's name were one that the pod has. Null when no rule was meant for this connection.
   */
  misses(
    policies: readonly Policy[],
    direction: Direction,
    peer: Peer,
    protocol: string,
    servicePort: number,
    target: Pod,
  ): { policy: Policy; names: string } | null {
    for (const policy of policies)
      for (const rule of policy[direction] ?? []) {
        const meant = rule.peers.length > 0 && rule.peers.some((each) => this.takesPeer(each, policy.namespace, peer));
        if (!meant || rule.ports.length === 0) continue;
        if (
          rule.ports.some(
            (each) =>
              each.first !== null && each.first === each.last && this.takesPort(each, protocol, servicePort, target),
          )
        )
          return { policy, names: `port ${servicePort}` };
        const unknown = rule.ports.every(
          (each) => each.name !== null && !target.ports.some((own) => own.name === each.name),
        );
        const [first] = rule.ports;
        if (unknown && first?.name != null) return { policy, names: `port "${first.name}"` };
      }
    return null;
  }

  private takesPort(given: Port, protocol: string, port: number | null, target: Pod | null): boolean {
    if (given.protocol !== protocol) return false;
    if (given.name !== null)
      return (
        target?.ports.some(
          (each) => each.name === given.name && each.protocol === protocol && each.containerPort === port,
        ) ?? false
      );
    return given.first === null || (port !== null && given.first <= port && port <= (given.last ?? given.first));
  }

  private takesPeer(given: Raw, namespace: string, { pod, ip }: Peer): boolean {
    const { ipBlock, podSelector, namespaceSelector } = given;
    if (ipBlock !== undefined && ipBlock !== null) {
      const { cidr, except } = object(ipBlock);
      const within = (text: unknown): boolean => {
        const prefix = typeof text === "string" ? parsePrefix(text) : null;
        return ip !== null && prefix !== null && inPrefix(ip, prefix);
      };
      return within(cidr) && !list(except).some(within);
    }
    if (pod === null || pod.hostNetwork) return false;
    if (namespaceSelector === undefined || namespaceSelector === null) {
      if (pod.namespace !== namespace) return false;
    } else {
      // The API server gives every namespace this label (KEP-2161).
      const labels = this.namespaces.get(pod.namespace) ?? { "kubernetes.io/metadata.name": pod.namespace };
      if (!selectorTakes(namespaceSelector, labelsOf(labels))) return false;
    }
    return podSelector === undefined || podSelector === null || selectorTakes(podSelector, labelsOf(pod.labels));
  }
}

/** A peer by its pod, or by an address that is no pod's. */
export const peerOf = (pod: Pod | null, address: string | undefined): Peer => ({
  pod,
  ip: address === undefined ? null : parseIp(address),
});

export const policyName = ({ namespace, name }: Policy): string => `${namespace}/${name}`;
