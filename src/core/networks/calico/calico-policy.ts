/** Calico's own policies and tiers, as its custom resources hold them (updateprocessors, networkpolicyprocessor.go and its like). */
import type { Cluster } from "../../model/cluster.ts";
import { list, object, text, textMap, texts, whole, type Raw } from "../raw.ts";
import { calicoObjects, type CalicoObject } from "./objects.ts";
import { readPolicy, type Direction, type Policy, type PolicyId, type PolicyKind, type Tier } from "./policy.ts";
import {
  felixRule,
  NAMESPACE_LABEL,
  NAMESPACE_PREFIX,
  SERVICE_ACCOUNT_LABEL,
  SERVICE_ACCOUNT_PREFIX,
  withPrefix,
  type Action,
  type ApiRule,
  type Entity,
  type IcmpType,
  type Port,
} from "./rule.ts";
import { parseSelector } from "./selector.ts";

/** A number, a range `1:9`, or a name (numorstring.Port). */
function port(value: unknown): Port {
  if (typeof value === "number") return { first: value, last: value };
  const given = text(value) ?? "";
  const range = /^(\d+)(?::(\d+))?$/.exec(given);
  return range === null ? { name: given } : { first: Number(range[1]), last: Number(range[2] ?? range[1]) };
}

/** A name in any case, or a number (numorstring.Protocol). */
function protocol(value: unknown): string | number | null {
  const number = whole(value);
  if (number !== null) return number;
  const name = text(value)?.toLowerCase() ?? null;
  return name !== null && /^\d+$/.test(name) ? Number(name) : name;
}

function icmp(value: unknown): IcmpType | null {
  const type = whole(object(value)["type"]);
  return type === null ? null : { type, code: whole(object(value)["code"]) };
}

function entity(value: unknown): Entity {
  const o = object(value);
  const accounts = object(o["serviceAccounts"]);
  const service = object(o["services"]);
  const name = text(service["name"]);
  return {
    nets: texts(o["nets"]),
    notNets: texts(o["notNets"]),
    selector: text(o["selector"]) ?? "",
    notSelector: text(o["notSelector"]) ?? "",
    namespaceSelector: text(o["namespaceSelector"]) ?? "",
    serviceAccounts:
      o["serviceAccounts"] === undefined || o["serviceAccounts"] === null
        ? null
        : { names: texts(accounts["names"]), selector: text(accounts["selector"]) ?? "" },
    service: name === null ? null : { name, namespace: text(service["namespace"]) ?? "" },
    ports: list(o["ports"]).map(port),
    notPorts: list(o["notPorts"]).map(port),
  };
}

const ACTIONS: Record<string, Action> = { allow: "allow", deny: "deny", pass: "pass", "next-tier": "pass", log: "log" };

function ruleOf(value: unknown): ApiRule {
  const o = object(value);
  const version = whole(o["ipVersion"]);
  return {
    action: ACTIONS[(text(o["action"]) ?? "allow").toLowerCase()] ?? "deny",
    ipVersion: version === 4 || version === 6 ? version : null,
    protocol: protocol(o["protocol"]),
    notProtocol: protocol(o["notProtocol"]),
    icmp: icmp(o["icmp"]),
    notIcmp: icmp(o["notICMP"]),
    source: entity(o["source"]),
    destination: entity(o["destination"]),
    notes: Object.entries(textMap(object(o["metadata"])["annotations"])).map(([key, note]) => `${key}=${note}`),
  };
}

/** prefixAndAppendSelector. */
function appended(selector: string, more: string, prefix: string): string {
  if (more === "") return selector;
  const given = withPrefix(more, prefix);
  return selector === "" ? given : `(${selector}) && ${given}`;
}

/** Endpoints that a policy applies to, as one selector. */
function policySelector(spec: Raw, namespace: string): string {
  const accounts = text(spec["serviceAccountSelector"]) ?? "";
  let selector = text(spec["selector"]) ?? "";
  if (namespace !== "") {
    const own = `${NAMESPACE_LABEL} == '${namespace}'`;
    selector = selector === "" ? own : `(${selector}) && ${own}`;
    return appended(selector, accounts, SERVICE_ACCOUNT_PREFIX);
  }
  const namespaces = text(spec["namespaceSelector"]) ?? "";
  if (namespaces !== "")
    selector = appended(selector, namespaces, NAMESPACE_PREFIX).replaceAll("all()", `has(${NAMESPACE_LABEL})`);
  if (accounts !== "")
    selector = appended(selector, accounts, SERVICE_ACCOUNT_PREFIX).replaceAll(
      "all()",
      `has(${SERVICE_ACCOUNT_LABEL})`,
    );
  return selector;
}

function policyOf({ namespace, spec }: CalicoObject, id: PolicyId): Policy {
  const rules = (direction: Direction) => list(spec[direction]).map((each) => felixRule(ruleOf(each), namespace));
  const types = texts(spec["types"]).map((type) => type.toLowerCase());
  // No types mean both (felix/calc/policy_sorter.go, ExtractPolicyMetadata).
  const governs = (direction: string): boolean => types.length === 0 || types.includes(direction);
  const order = spec["order"];
  return {
    id,
    tier: text(spec["tier"]) ?? "default",
    order: typeof order === "number" ? order : Number.POSITIVE_INFINITY,
    selector: parseSelector(policySelector(spec, namespace)),
    governs: { ingress: governs("ingress"), egress: governs("egress") },
    rules: { ingress: rules("ingress"), egress: rules("egress") },
    doNotTrack: spec["doNotTrack"] === true,
    preDNAT: spec["preDNAT"] === true,
    applyOnForward: namespace !== "" || spec["applyOnForward"] === true,
  };
}

/** Calico's NetworkPolicies and GlobalNetworkPolicies, staged ones left out. Throws IntentError for a selector that makes no sense. */
export function calicoPolicies(cluster: Cluster): Policy[] {
  const read = (kind: PolicyKind, plural: string): Policy[] =>
    calicoObjects(cluster, plural).map((each) => {
      const id: PolicyId = { kind, namespace: each.namespace, name: each.name };
      return readPolicy(id, () => policyOf(each, id));
    });
  return [...read("NetworkPolicy", "networkpolicies"), ...read("GlobalNetworkPolicy", "globalnetworkpolicies")];
}

/** The cluster's tiers by name; `default` is there even when it was not recorded. */
export function tiers(cluster: Cluster): Map<string, Tier> {
  const found = new Map<string, Tier>([["default", { name: "default", order: 1_000_000, passes: false }]]);
  for (const { name, spec } of calicoObjects(cluster, "tiers")) {
    const order = spec["order"];
    found.set(name, {
      name,
      order: typeof order === "number" ? order : Number.POSITIVE_INFINITY,
      passes: spec["defaultAction"] === "Pass",
    });
  }
  return found;
}
