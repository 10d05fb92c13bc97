/**
 * Rules of policies: as Calico's API has them (projectcalico.org/v3 Rule, into which Kubernetes' are converted), and as Felix reads
 * them, with one selector a side (libcalico-go/lib/backend/syncersv1/updateprocessors, rules.go).
 */
import { formatPrefix, parsePrefix } from "../../model/address.ts";
import { formatSelector, parseSelector, prefixed } from "./selector.ts";

/** A range of ports, or the name that containers give one. */
export type Port = { first: number; last: number } | { name: string };

export interface IcmpType {
  type: number;
  code: number | null;
}

/** Which endpoints and addresses one side of a rule takes, as the API says it. */
export interface Entity {
  nets: string[];
  notNets: string[];
  selector: string;
  notSelector: string;
  namespaceSelector: string;
  serviceAccounts: { names: string[]; selector: string } | null;
  service: { namespace: string; name: string } | null;
  ports: Port[];
  notPorts: Port[];
}

export type Action = "allow" | "deny" | "pass" | "log";

/** A rule whose sides are told as `End` has it. */
export interface RuleOf<End> {
  action: Action;
  ipVersion: 4 | 6 | null;
  /** Name in lower case, or number. */
  protocol: string | number | null;
  notProtocol: string | number | null;
  icmp: IcmpType | null;
  notIcmp: IcmpType | null;
  source: End;
  destination: End;
  /** `key=value` of its annotations, which Felix writes as comments. */
  notes: string[];
}

export type ApiRule = RuleOf<Entity>;

/** One side of a rule as Felix reads it. */
export interface Side {
  nets: string[];
  notNets: string[];
  /** "" for none. */
  selector: string;
  notSelector: string;
  ports: Port[];
  notPorts: Port[];
  service: { namespace: string; name: string } | null;
}

export type Rule = RuleOf<Side>;

/** Labels of namespaces and service accounts carry these prefixes where endpoints inherit them (conversion/constants.go). */
export const NAMESPACE_PREFIX = "pcns.";
export const SERVICE_ACCOUNT_PREFIX = "pcsa.";
export const NAMESPACE_LABEL = "projectcalico.org/namespace";
export const ORCHESTRATOR_LABEL = "projectcalico.org/orchestrator";
export const SERVICE_ACCOUNT_LABEL = "projectcalico.org/serviceaccount";

/** A side that takes everything. */
export function anyEntity(): Entity {
  return {
    nets: [],
    notNets: [],
    selector: "",
    notSelector: "",
    namespaceSelector: "",
    serviceAccounts: null,
    service: null,
    ports: [],
    notPorts: [],
  };
}

/** A rule that allows everything; `given` says what differs. */
export function apiRule(given: Partial<ApiRule>): ApiRule {
  return {
    action: "allow",
    ipVersion: null,
    protocol: null,
    notProtocol: null,
    icmp: null,
    notIcmp: null,
    source: anyEntity(),
    destination: anyEntity(),
    notes: [],
    ...given,
  };
}

/** The selector with the prefix before its labels (parseSelectorAttachPrefix). Throws SelectorError. */
export function withPrefix(selector: string, prefix: string): string {
  return formatSelector(prefixed(parseSelector(selector), prefix));
}

/** parseServiceAccounts. */
function serviceAccountSelector(match: { names: string[]; selector: string }): string {
  const byLabel = match.selector === "" ? "" : withPrefix(match.selector, SERVICE_ACCOUNT_PREFIX);
  if (match.names.length === 0) return byLabel;
  const byName = formatSelector({
    op: "in",
    label: SERVICE_ACCOUNT_LABEL,
    values: [...new Set(match.names)].toSorted(),
  });
  return byLabel === "" ? byName : `(${byLabel}) && (${byName})`;
}

/** One selector for all that a side says of endpoints (getEndpointSelector); `namespace` is the policy's, "" for a global one. */
function endpointSelector(entity: Entity, namespace: string): string {
  let byNamespace = "";
  if (entity.namespaceSelector !== "") {
    byNamespace = withPrefix(entity.namespaceSelector, NAMESPACE_PREFIX)
      .replaceAll("all()", `has(${NAMESPACE_LABEL})`)
      .replaceAll("global()", `!has(${NAMESPACE_LABEL})`);
  } else if (namespace !== "") byNamespace = `${NAMESPACE_LABEL} == '${namespace}'`;
  const accounts = entity.serviceAccounts === null ? "" : serviceAccountSelector(entity.serviceAccounts);
  const parts = [accounts, entity.selector].filter((each) => each !== "");
  const selector = parts.length === 2 ? `(${parts.join(") && (")})` : (parts[0] ?? "");
  // What says nothing of endpoints takes those of all namespaces, and addresses that are no endpoint's.
  const says = selector !== "" || entity.notSelector !== "" || entity.namespaceSelector !== "";
  if (byNamespace === "" || !says) return selector;
  return selector === "" ? byNamespace : `(${byNamespace}) && (${selector})`;
}

/** Networks with their host bits cleared; what is no network is left out. */
export function networks(texts: readonly string[]): string[] {
  return texts.flatMap((text) => {
    const prefix = parsePrefix(text);
    return prefix === null ? [] : [formatPrefix(prefix)];
  });
}

function side(entity: Entity, namespace: string): Side {
  const { service } = entity;
  return {
    nets: networks(entity.nets),
    notNets: networks(entity.notNets),
    selector: endpointSelector(entity, namespace),
    notSelector: entity.notSelector,
    ports: entity.ports,
    notPorts: entity.notPorts,
    service: service === null ? null : { ...service, namespace: service.namespace || namespace },
  };
}

/** The rule of a policy of this namespace ("" for a global one) as Felix reads it (RuleAPIV2ToBackend). Throws SelectorError. */
export function felixRule(rule: ApiRule, namespace: string): Rule {
  // A protocol that only one family has says the family, too (felix/calc/rule_convert.go, ipVersionToProtoIPVersion).
  const implied = rule.protocol === "icmp" ? 4 : rule.protocol === "icmpv6" ? 6 : null;
  return {
    ...rule,
    ipVersion: rule.ipVersion ?? implied,
    source: side(rule.source, namespace),
    destination: side(rule.destination, namespace),
  };
}
