/** What kube-proxy writes for one Service port on one node (pkg/proxy/nftables/proxier.go, syncProxyRules of v1.34). */
import { inPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { RuleState } from "../state.ts";
import type { KubeProxyConfig } from "./config.ts";
import type { ProxyEndpoint } from "./endpoints.ts";
import { address, drop, goto, isLocalAddress, jump, localTrafficMatch, match } from "./nft-exprs.ts";
import { MARK_FOR_MASQUERADE, REJECT } from "./nft-frame.ts";
import { prefixesValue } from "./nft-intervals.ts";
import { endpointNames, portNames } from "./nft-names.ts";
import type { IpFamily } from "./node-ips.ts";
import type { ServicePort } from "./service-ports.ts";

/** Elements of a set or map by their key as text, so that a later one takes an earlier one's place. */
export type Elements = Map<string, NftJson>;

/** Sets and maps that Service ports add to, by name. */
export type SharedSets = Map<string, Elements>;

/** Chains of one Service port that this node uses, by name. */
export type Chains = Map<string, RuleState[]>;

const rule = (...expr: NftJson[]): RuleState => ({ expr });
const masquerade = jump(MARK_FOR_MASQUERADE);

/** Where packets of one kind go: a chain, or, when no endpoint takes them, a verdict. */
interface Traffic {
  hasEndpoints: boolean;
  /** Without endpoints: rejected when no node has one, dropped when another node does. */
  refusal: NftJson;
}

function trafficOf(port: ServicePort, local: boolean): Traffic {
  return {
    hasEndpoints: port.hasAnyEndpoints && (!local || port.localEndpoints.length > 0),
    refusal: port.hasAnyEndpoints ? drop : goto(REJECT),
  };
}

/** Adds what this port has in the shared sets and maps. Node ports' map and `cluster-ips` are keyed without an address or port. */
export function addElements(port: ServicePort, sets: SharedSets): void {
  const names = portNames(port.shared);
  const internal = trafficOf(port, port.internalLocal);
  const external = trafficOf(port, port.externalLocal);
  const protocol = port.protocol.toLowerCase();
  const add = (set: string, key: NftJson[], verdict: NftJson, comment: string | null = null): void => {
    const joined: NftJson = { concat: key };
    const commented: NftJson = comment === null ? joined : { elem: { val: joined, comment } };
    sets.get(set)?.set(key.join(" . "), [commented, verdict]);
  };
  sets.get("cluster-ips")?.set(port.clusterIP, port.clusterIP);
  const clusterKey = [port.clusterIP, protocol, port.port];
  if (internal.hasEndpoints) add("service-ips", clusterKey, goto(port.internalLocal ? names.local : names.service));
  else add("no-endpoint-services", clusterKey, internal.refusal, port.name);
  for (const ip of [...port.externalIPs, ...port.loadBalancerIPs]) {
    const key = [ip, protocol, port.port];
    // Even without an endpoint here: pods of this node and the node itself are sent to any endpoint.
    if (port.hasAnyEndpoints) add("service-ips", key, goto(names.external));
    if (!external.hasEndpoints) add("no-endpoint-services", key, external.refusal, port.name);
  }
  if (port.sourceRanges.length > 0) {
    for (const ip of port.loadBalancerIPs) add("firewall-ips", [ip, protocol, port.port], goto(names.firewall));
  }
  if (port.nodePort === null) return;
  const key = [protocol, port.nodePort];
  if (port.hasAnyEndpoints) add("service-nodeports", key, goto(names.external));
  if (!external.hasEndpoints) add("no-endpoint-nodeports", key, external.refusal, port.name);
}

/** The rules that pick an endpoint: the one that the client already has first, else one at random (writeServiceToEndpointRules). */
function choiceRules(port: ServicePort, endpoints: readonly ProxyEndpoint[], family: IpFamily): RuleState[] {
  const names = endpoints.map((endpoint) => endpointNames(port.shared, endpoint));
  const known =
    port.affinitySeconds === null
      ? []
      : names.map((each) => rule(match(address(family, "saddr"), `@${each.affinity}`), goto(each.chain)));
  const random: NftJson = { numgen: { mode: "random", mod: endpoints.length, offset: 0 } };
  const choices = names.map((each, i): NftJson => [i, goto(each.chain)]);
  return [...known, rule({ vmap: { key: random, data: { set: choices } } })];
}

/** Packets to the Service's own address that need masquerading: all of them, or those that no pod of this node sent. */
function clusterIpRules(port: ServicePort, config: KubeProxyConfig, family: IpFamily): RuleState[] {
  const toService = match(address(family, "daddr"), port.clusterIP);
  const local = config.localTraffic[family];
  if (config.masqueradeAll) return [rule(toService, masquerade)];
  return local === null ? [] : [rule(toService, localTrafficMatch(family, local, true), masquerade)];
}

/** Packets that come from outside: masqueraded, but for traffic policy Local, where the node and its pods are sent to any endpoint. */
function externalRules(port: ServicePort, config: KubeProxyConfig, family: IpFamily): RuleState[] {
  const names = portNames(port.shared);
  const rules: RuleState[] = [];
  const local = config.localTraffic[family];
  if (!port.externalLocal) rules.push(rule(masquerade));
  else {
    if (local !== null) {
      const expr = [localTrafficMatch(family, local, false), goto(names.service)];
      rules.push({ expr, comment: "short-circuit pod traffic" });
    }
    const fromHere = isLocalAddress("saddr");
    rules.push({ expr: [fromHere, masquerade], comment: "masquerade local traffic" });
    rules.push({ expr: [fromHere, goto(names.service)], comment: "short-circuit local traffic" });
  }
  if (trafficOf(port, port.externalLocal).hasEndpoints)
    rules.push(rule(goto(port.externalLocal ? names.local : names.service)));
  return rules;
}

/** loadBalancerSourceRanges: what comes from elsewhere is dropped. A node that is within them also reaches the address from itself. */
function firewallRules(port: ServicePort, config: KubeProxyConfig, family: IpFamily): RuleState[] {
  const node = parseIp(config.nodeIps.ips[family]);
  const fromNode = port.sourceRanges.some((range) => {
    const prefix = parsePrefix(range);
    return node !== null && prefix !== null && inPrefix(node, prefix);
  });
  const sources = fromNode ? [...port.sourceRanges, ...port.loadBalancerIPs] : port.sourceRanges;
  return [rule(match(address(family, "saddr"), prefixesValue(sources), "!="), drop)];
}

/** A pure memo: an endpoint is of one Service port, and its chain is the same on every node. */
const known = new WeakMap<ProxyEndpoint, RuleState[]>();

/** The chain of an endpoint: masquerading of what comes back to who sent it, the client remembered, DNAT. */
function endpointRules(port: ServicePort, endpoint: ProxyEndpoint, family: IpFamily): RuleState[] {
  const before = known.get(endpoint);
  if (before !== undefined) return before;
  const saddr = address(family, "saddr");
  const rules = [rule(match(saddr, endpoint.address), masquerade)];
  if (port.affinitySeconds !== null) {
    const set = `@${endpointNames(port.shared, endpoint).affinity}`;
    rules.push(rule({ set: { op: "update", elem: saddr, set } }));
  }
  const protocol = match({ meta: { key: "l4proto" } }, port.protocol.toLowerCase());
  rules.push(rule(protocol, { dnat: { addr: endpoint.address, port: endpoint.port } }));
  known.set(endpoint, rules);
  return rules;
}

/** The chains of one Service port that this node uses, with their rules. */
export function portChains(port: ServicePort, config: KubeProxyConfig, family: IpFamily): Chains {
  const names = portNames(port.shared);
  const chains: Chains = new Map();
  const to = (chain: string): RuleState[] => {
    let rules = chains.get(chain);
    if (rules === undefined) chains.set(chain, (rules = []));
    return rules;
  };
  for (const endpoint of port.allReachable)
    chains.set(endpointNames(port.shared, endpoint).chain, endpointRules(port, endpoint, family));
  if (trafficOf(port, port.internalLocal).hasEndpoints)
    to(port.internalLocal ? names.local : names.service).push(...clusterIpRules(port, config, family));
  if (port.hasAnyEndpoints && port.externallyAccessible)
    to(names.external).push(...externalRules(port, config, family));
  if (port.loadBalancerIPs.length > 0 && port.sourceRanges.length > 0)
    to(names.firewall).push(...firewallRules(port, config, family));
  if (port.usesClusterEndpoints && port.clusterEndpoints.length > 0)
    to(names.service).push(...choiceRules(port, port.clusterEndpoints, family));
  if (port.usesLocalEndpoints && port.localEndpoints.length > 0)
    to(names.local).push(...choiceRules(port, port.localEndpoints, family));
  return chains;
}

/**
 * Names of the chains that this port may have left behind: kube-proxy empties a chain that it uses no more at once, and deletes it with
 * a later sync, which may be an hour away. Of endpoints that no slice names any more nothing is known.
 */
export function leftOverNames(port: ServicePort): string[] {
  const { service, local, external, firewall } = portNames(port.shared);
  const reachable = new Set(port.allReachable);
  const endpoints = port.endpoints.filter((endpoint) => !reachable.has(endpoint));
  return [service, local, external, firewall, ...endpoints.map((each) => endpointNames(port.shared, each).chain)];
}
