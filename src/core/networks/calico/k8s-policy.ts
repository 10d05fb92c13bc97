/** Kubernetes NetworkPolicies as Calico's (libcalico-go/lib/backend/k8s/conversion/conversion.go, K8sNetworkPolicyToCalico). */
import type { Cluster } from "../../model/cluster.ts";
import { list, object, resources, text, textMap, texts, whole, type Raw, type Resource } from "../raw.ts";
import { readPolicy, type Direction, type Policy, type PolicyId } from "./policy.ts";
import {
  anyEntity,
  apiRule,
  felixRule,
  NAMESPACE_LABEL,
  networks,
  ORCHESTRATOR_LABEL,
  type ApiRule,
  type Entity,
  type Port,
} from "./rule.ts";
import { parseSelector } from "./selector.ts";

/** All of Kubernetes' policies stand at this place of their tier. */
const ORDER = 1000;

/** Terms of a label selector (k8sSelectorToCalico): labels by name, then expressions as they stand. */
function terms(selector: Raw): string[] {
  const labels = Object.entries(textMap(selector["matchLabels"])).toSorted(([x], [y]) => (x < y ? -1 : 1));
  const expressions = list(selector["matchExpressions"]).flatMap((each): string[] => {
    const expression = object(each);
    const key = text(expression["key"]) ?? "";
    const values = `{ '${texts(expression["values"]).join("', '")}' }`;
    switch (expression["operator"]) {
      case "In":
        return [`${key} in ${values}`];
      case "NotIn":
        return [`${key} not in ${values}`];
      case "Exists":
        return [`has(${key})`];
      case "DoesNotExist":
        return [`! has(${key})`];
      default:
        return [];
    }
  });
  return [...labels.map(([key, value]) => `${key} == '${value}'`), ...expressions];
}

/** Pods that a selector takes; none given takes all pods. */
function podSelector(selector: unknown): string {
  return [`${ORCHESTRATOR_LABEL} == 'k8s'`, ...terms(object(selector))].join(" && ");
}

/** Namespaces that a selector takes: "" when none is given, which means the policy's own; an empty one takes all. */
function namespaceSelector(selector: unknown): string {
  if (selector === undefined || selector === null) return "";
  return terms(object(selector)).join(" && ") || "all()";
}

/** k8sPeerToCalicoFields. */
function peer(given: Raw): Entity {
  const block = given["ipBlock"];
  if (block !== undefined && block !== null) {
    return {
      ...anyEntity(),
      nets: networks([text(object(block)["cidr"]) ?? ""]),
      notNets: networks(texts(object(block)["except"])),
    };
  }
  return {
    ...anyEntity(),
    selector: podSelector(given["podSelector"]),
    namespaceSelector: namespaceSelector(given["namespaceSelector"]),
  };
}

/** k8sPortToCalico; null when every port is meant. */
function portOf(given: Raw): Port | null {
  const port = given["port"];
  const number = whole(port) ?? (typeof port === "string" && /^\d+$/.test(port) ? Number(port) : null);
  if (number !== null) return { first: number, last: whole(given["endPort"]) ?? number };
  const name = text(port);
  return name === null ? null : { name };
}

/** As few ranges as cover the ports, after the named ones (SimplifyPorts). */
export function simplifyPorts(ports: readonly Port[]): Port[] {
  const named = ports.filter((port) => "name" in port);
  const ranges = ports.filter((port) => "first" in port);
  const single = ranges.length === 1 && ranges[0]?.first === ranges[0]?.last;
  if (ports.length <= 1 || ranges.length === 0 || single) return [...ports];
  const merged: { first: number; last: number }[] = [];
  for (const range of ranges.toSorted((x, y) => x.first - y.first)) {
    const last = merged.at(-1);
    if (last !== undefined && range.first <= last.last + 1) last.last = Math.max(last.last, range.last);
    else merged.push({ ...range });
  }
  return [...named, ...merged];
}

/** Ports by protocol in lower case; "" with none means every protocol. An empty list means every port of its protocol. */
function portsByProtocol(ports: readonly unknown[]): [protocol: string, ports: Port[]][] {
  if (ports.length === 0) return [["", []]];
  const byProtocol = new Map<string, Port[] | null>();
  for (const each of ports) {
    const port = portOf(object(each));
    const protocol = text(object(each)["protocol"]) ?? "TCP";
    const known = byProtocol.get(protocol);
    if (port === null) byProtocol.set(protocol, null);
    else if (known === undefined) byProtocol.set(protocol, [port]);
    else known?.push(port);
  }
  return [...byProtocol]
    .toSorted(([x], [y]) => (x < y ? -1 : 1))
    .map(([protocol, all]) => [protocol.toLowerCase(), simplifyPorts(all ?? [])]);
}

/** k8sRuleToCalico: a rule for each protocol and peer. */
function rulesOf(given: Raw, direction: Direction): ApiRule[] {
  const peers = list(given[direction === "ingress" ? "from" : "to"]).map((each) => peer(object(each)));
  return portsByProtocol(list(given["ports"])).flatMap(([protocol, ports]) =>
    (peers.length === 0 ? [anyEntity()] : peers).map((entity) => {
      const common = { protocol: protocol === "" ? null : protocol };
      if (direction === "egress") return apiRule({ ...common, destination: { ...entity, ports } });
      return apiRule({ ...common, source: entity, destination: { ...anyEntity(), ports } });
    }),
  );
}

function policyOf({ namespace, spec }: Resource, id: PolicyId): Policy {
  const rules = (direction: Direction) =>
    list(spec[direction])
      .flatMap((each) => rulesOf(object(each), direction))
      .map((rule) => felixRule(rule, namespace));
  const types = texts(spec["policyTypes"]);
  const egress = types.includes("Egress");
  return {
    id,
    tier: "default",
    order: ORDER,
    selector: parseSelector(`(${podSelector(spec["podSelector"])}) && ${NAMESPACE_LABEL} == '${namespace}'`),
    // Without types the policy is of a time when there was only ingress.
    governs: { ingress: types.includes("Ingress") || !egress, egress },
    rules: { ingress: rules("ingress"), egress: rules("egress") },
    doNotTrack: false,
    preDNAT: false,
    applyOnForward: true,
  };
}

/** The cluster's Kubernetes NetworkPolicies. Throws IntentError when a label is one that the API server would have refused. */
export function kubernetesPolicies(cluster: Cluster): Policy[] {
  return resources(cluster, "networkpolicies.networking.k8s.io").map((each) => {
    const id: PolicyId = { kind: "KubernetesNetworkPolicy", namespace: each.namespace, name: each.name };
    return readPolicy(id, () => policyOf(each, id));
  });
}
