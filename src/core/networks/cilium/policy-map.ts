/**
 * A pod's policy map as the cluster's NetworkPolicies ask for it (cilium_policy_v2_NNNNN): which identities may reach it, and which it
 * may reach, by protocol and port (pkg/policy, mapstate.go; pkg/k8s/network_policy.go).
 */
import type { Pod } from "../../model/cluster.ts";
import type { Machine, Site } from "../site.ts";
import { selectorTakes, type LabelOf } from "../label-selector.ts";
import { at, listAt, numberAt, textAt, textsAt } from "../raw-paths.ts";
import { ciliumConfig } from "./config.ts";
import { ciliumEndpoints, ciliumIdentities, unknownPolicies, type CiliumIdentity } from "./objects.ts";

/** Who a rule is for: an identity (0 for all), or addresses, whose identities each node numbers by itself. */
export type PolicyPeer = { identity: number } | { cidr: string; except: string[] };

export interface PolicyEntry {
  direction: "ingress" | "egress";
  peer: PolicyPeer;
  /** "" for any. */
  protocol: string;
  /** 0 for any. */
  port: number;
  /** Last of a range; the same as `port` for one. */
  endPort: number;
  deny: boolean;
}

export interface PolicyMap {
  pod: { namespace: string; name: string };
  /** Number of the endpoint, which names its map; null when it is not known. */
  endpoint: number | null;
  /** Whether anything but what is listed is dropped. */
  enforced: { ingress: boolean; egress: boolean };
  entries: PolicyEntry[];
  /** Kinds of policy in the cluster that are not modelled: with any of them the entries are only those of NetworkPolicies. */
  unknown: string[];
}

/** Reserved identities (pkg/identity/numericidentity.go). */
const ANY = 0;
const HOST = 1;

const NAMESPACE = "k8s:io.kubernetes.pod.namespace";
const NAMESPACE_LABEL = "k8s:io.cilium.k8s.namespace.labels.";

/** An identity's labels as selectors of pods and of namespaces name them. */
const podLabels =
  (identity: CiliumIdentity): LabelOf =>
  (key) =>
    identity.labels.get(`k8s:${key}`);
const namespaceLabels =
  (identity: CiliumIdentity): LabelOf =>
  (key) =>
    identity.labels.get(NAMESPACE_LABEL + key) ??
    // Every namespace bears its name as a label, which Cilium does not repeat in each identity of old releases.
    (key === "kubernetes.io/metadata.name" ? identity.labels.get(NAMESPACE) : undefined);

/** Identities and addresses of a peer in a policy of `namespace`. */
function peersOf(peer: unknown, namespace: string, identities: readonly CiliumIdentity[]): PolicyPeer[] {
  const block = at(peer, "ipBlock");
  if (block !== undefined) return [{ cidr: textAt(block, "cidr") ?? "", except: textsAt(block, "except") }];
  const [pods, namespaces] = [at(peer, "podSelector"), at(peer, "namespaceSelector")];
  return identities
    .filter((identity) => {
      const home = identity.labels.get(NAMESPACE);
      if (home === undefined) return false;
      const here = namespaces === undefined ? home === namespace : selectorTakes(namespaces, namespaceLabels(identity));
      return here && (pods === undefined || selectorTakes(pods, podLabels(identity)));
    })
    .map((identity) => ({ identity: identity.id }));
}

/** Ports of a rule: all of them when it names none. A named port is that of the pod that is reached. */
function portsOf(
  rule: unknown,
  named: (name: string, protocol: string) => number[],
): Pick<PolicyEntry, "protocol" | "port" | "endPort">[] {
  const ports = listAt(rule, "ports");
  if (ports.length === 0) return [{ protocol: "", port: 0, endPort: 0 }];
  return ports.flatMap((each) => {
    const protocol = textAt(each, "protocol") ?? "TCP";
    const port = at(each, "port");
    if (port === undefined || port === null) return [{ protocol, port: 0, endPort: 0 }];
    if (typeof port === "number") return [{ protocol, port, endPort: numberAt(each, "endPort") ?? port }];
    return named(String(port), protocol).map((number) => ({ protocol, port: number, endPort: number }));
  });
}

/** Whether a policy has a word in a direction (spec.policyTypes; without it egress counts when there are egress rules). */
function speaksOf(policy: unknown, direction: PolicyEntry["direction"]): boolean {
  const types = textsAt(policy, "spec", "policyTypes");
  if (types.length === 0) return direction === "ingress" || at(policy, "spec", "egress") !== undefined;
  return types.includes(direction === "ingress" ? "Ingress" : "Egress");
}

const keyOf = (entry: PolicyEntry): string => JSON.stringify(entry);

/** The policy map of a pod of this machine; null when Cilium does not run there or the pod is on the host's network. */
export function policyMap(site: Site, machine: Machine, pod: Pod): PolicyMap | null {
  const config = ciliumConfig(site, machine);
  if (config === null || pod.hostNetwork) return null;
  const { cluster } = site;
  const identities = ciliumIdentities(cluster);
  const endpoints = ciliumEndpoints(cluster);
  const endpoint = endpoints.get(`${pod.namespace}/${pod.name}`);
  const own = identities.find((each) => each.id === endpoint?.identity);
  const labels: LabelOf = own === undefined ? (key) => pod.labels[key] : podLabels(own);
  const policies = (cluster.raw.get("networkpolicies.networking.k8s.io") ?? []).filter(
    (policy) =>
      textAt(policy, "metadata", "namespace") === pod.namespace &&
      selectorTakes(at(policy, "spec", "podSelector"), labels),
  );
  const ownPorts = (name: string, protocol: string): number[] =>
    pod.ports.filter((each) => each.name === name && each.protocol === protocol).map((each) => each.containerPort);
  const anyPorts = (name: string, protocol: string): number[] => [
    ...new Set(
      [...endpoints.values()].flatMap((each) =>
        each.namedPorts.filter((port) => port.name === name && port.protocol === protocol).map((port) => port.port),
      ),
    ),
  ];
  const entries = new Map<string, PolicyEntry>();
  const add = (entry: PolicyEntry): void => void entries.set(keyOf(entry), entry);
  const enforced = { ingress: config.policy === "always", egress: config.policy === "always" };
  for (const direction of ["ingress", "egress"] as const) {
    const speaking = policies.filter((policy) => speaksOf(policy, direction));
    if (config.policy === "never") enforced[direction] = false;
    else if (speaking.length > 0) enforced[direction] = true;
    if (!enforced[direction]) {
      add({ direction, peer: { identity: ANY }, protocol: "", port: 0, endPort: 0, deny: false });
      continue;
    }
    for (const policy of speaking)
      for (const rule of listAt(policy, "spec", direction)) {
        const given = listAt(rule, direction === "ingress" ? "from" : "to");
        const peers: PolicyPeer[] =
          given.length === 0 ? [{ identity: ANY }] : given.flatMap((peer) => peersOf(peer, pod.namespace, identities));
        for (const port of portsOf(rule, direction === "ingress" ? ownPorts : anyPorts))
          for (const peer of peers) add({ direction, peer, ...port, deny: false });
      }
  }
  // The node's own host reaches its pods, so that kubelet can probe them; in Kubernetes "auto" means always.
  if (config.allowLocalhost !== "policy")
    add({ direction: "ingress", peer: { identity: HOST }, protocol: "", port: 0, endPort: 0, deny: false });
  return {
    pod: { namespace: pod.namespace, name: pod.name },
    endpoint: endpoint?.id ?? null,
    enforced,
    entries: [...entries.values()],
    unknown: unknownPolicies(cluster),
  };
}
