/** A Service port's own chains in the nat table: which endpoint a packet gets. */
import { inPrefix, parseIp, parsePrefix } from "../../../model/address.ts";
import type { ChainState } from "../../state.ts";
import type { KubeProxyConfig } from "../config.ts";
import type { IpFamily } from "../node-ips.ts";
import type { ProxyEndpoint, ServicePort, SharedServicePort } from "../service-ports.ts";
import { endpointChain } from "./names.ts";
import type { ServicePortPlan } from "./service-port-plan.ts";
import { comment, from, host, podTraffic, probability, toPort } from "./words.ts";

/** A chain of the nat table with its rules. */
export interface XtChainText {
  state: ChainState;
  rules: string[];
}

const natChain = (family: IpFamily, chain: string, rules: string[]): XtChainText => ({
  state: { backend: "iptables", family: family === 4 ? "ip" : "ip6", table: "nat", chain },
  rules,
});

export interface ChainOptions {
  config: KubeProxyConfig;
  family: IpFamily;
  /** Above 1,000 endpoints comments are left out where there are many rules (largeClusterEndpointsThreshold). */
  large: boolean;
}

const commentUnlessLarge = (text: string, large: boolean): string => (large ? "" : `${comment(text)} `);

/** The list of an endpoint's clients has its chain's name. */
function recent(how: string, chain: string, endpoint: ProxyEndpoint): string {
  const mask = endpoint.address.includes(":") ? "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" : "255.255.255.255";
  return `-m recent ${how} --name ${chain} --mask ${mask} --rsource`;
}

/** First the client's last endpoint, then chance (writeServiceToEndpointRules). */
function balance(port: ServicePort, endpoints: readonly ProxyEndpoint[], large: boolean): string[] {
  const to = (endpoint: ProxyEndpoint): string => commentUnlessLarge(`${port.name} -> ${endpoint.text}`, large);
  const last = endpoints.length - 1;
  const sticky =
    port.affinitySeconds === null
      ? []
      : endpoints.map((endpoint) => {
          const chain = endpointChain(port.shared, endpoint);
          const how = `--rcheck --seconds ${port.affinitySeconds} --reap`;
          return `${to(endpoint)}${recent(how, chain, endpoint)} -j ${chain}`;
        });
  const chance = endpoints.map((endpoint, i) => {
    const share = i === last ? "" : `-m statistic --mode random --probability ${probability(endpoints.length - i)} `;
    return `${to(endpoint)}${share}-j ${endpointChain(port.shared, endpoint)}`;
  });
  return [...sticky, ...chance];
}

/** Masquerades what comes for the cluster address from beyond the pods, or everything. */
function internalHead(plan: ServicePortPlan, { config, family }: ChainOptions): string[] {
  if (plan.internalRefusal !== null) return [];
  const { port, protocol } = plan;
  const to = toPort(port.clusterIP, protocol, port.port, `${port.name} cluster IP`);
  if (config.masqueradeAll) return [`${to} -j KUBE-MARK-MASQ`];
  const others = podTraffic(config, family, true);
  return others === null ? [] : [`${others}${to} -j KUBE-MARK-MASQ`];
}

/** What arrives for any address of outside. */
function externalRules(plan: ServicePortPlan, { config, family }: ChainOptions): string[] {
  const { port, chains } = plan;
  const about = (what: string): string => comment(`${what} for ${port.name} external destinations`);
  const rules: string[] = [];
  if (!port.externalLocal) rules.push(`${about("masquerade traffic")} -j KUBE-MARK-MASQ`);
  else {
    const pods = podTraffic(config, family, false);
    if (pods !== null) rules.push(`${pods}${about("pod traffic")} -j ${chains.cluster}`);
    rules.push(`${about("masquerade LOCAL traffic")} -m addrtype --src-type LOCAL -j KUBE-MARK-MASQ`);
    rules.push(`${about("route LOCAL traffic")} -m addrtype --src-type LOCAL -j ${chains.cluster}`);
  }
  if (plan.externalRefusal === null) rules.push(`-j ${plan.externalPolicyChain}`);
  return rules;
}

/** Who may use a load balancer's address; the node itself may when a range holds its address. */
function firewallRules(plan: ServicePortPlan, { config, family }: ChainOptions): string[] {
  const { port, chains } = plan;
  const allow = (source: string): string =>
    `${from(source)}${comment(`${port.name} loadbalancer IP`)} -j ${chains.external}`;
  const node = parseIp(config.nodeIps.ips[family]);
  const fromNode = port.sourceRanges.some((range) => {
    const prefix = parsePrefix(range);
    return node !== null && prefix !== null && inPrefix(node, prefix);
  });
  return [
    ...port.sourceRanges.map(allow),
    ...(fromNode ? port.loadBalancerIPs.map((address) => allow(host(address))) : []),
    comment(`other traffic to ${port.name} will be dropped by KUBE-PROXY-FIREWALL`),
  ];
}

/** Pure memo of endpoints' chains, which are the same on every node; two, for small clusters and large. */
const endpointChains = [new WeakMap<ProxyEndpoint, XtChainText>(), new WeakMap<ProxyEndpoint, XtChainText>()] as const;

/** The chain of one endpoint: hairpin masquerade, affinity, DNAT. */
function endpointRules(port: ServicePort, protocol: string, endpoint: ProxyEndpoint, large: boolean): XtChainText {
  const memo = endpointChains[large ? 1 : 0];
  const known = memo.get(endpoint);
  if (known !== undefined) return known;
  const chain = endpointChain(port.shared, endpoint);
  const about = commentUnlessLarge(port.name, large);
  const remember = port.affinitySeconds === null ? "" : `${recent("--set", chain, endpoint)} `;
  const made = natChain(endpoint.address.includes(":") ? 6 : 4, chain, [
    `-s ${host(endpoint.address)} ${about}-j KUBE-MARK-MASQ`,
    `-p ${protocol} ${about}${remember}-m ${protocol} -j DNAT --to-destination ${endpoint.text}`,
  ]);
  memo.set(endpoint, made);
  return made;
}

function writeChains(plan: ServicePortPlan, options: ChainOptions): XtChainText[] {
  const { port, protocol, chains } = plan;
  const head = internalHead(plan, options);
  const headOf = (chain: string): string[] => (chain === plan.internalChain ? head : []);
  const made: XtChainText[] = [];
  const write = (chain: string, rules: string[]): number => made.push(natChain(options.family, chain, rules));
  if (plan.usesExternalChain) write(chains.external, externalRules(plan, options));
  if (plan.usesFirewallChain) write(chains.firewall, firewallRules(plan, options));
  if (plan.usesClusterChain) {
    const rules = [...headOf(chains.cluster), ...balance(port, port.clusterEndpoints, options.large)];
    write(chains.cluster, rules);
  }
  if (plan.usesLocalChain) {
    const rules = [...headOf(chains.local), ...balance(port, port.localEndpoints, options.large)];
    write(chains.local, rules);
  }
  for (const endpoint of port.allReachable) made.push(endpointRules(port, protocol, endpoint, options.large));
  return made;
}

/** Pure memo of what a Service port's chains hold on every node alike, with what they depend on beside it. */
const everywhere = new WeakMap<SharedServicePort, { of: string; texts: readonly XtChainText[] }>();

/** Every chain of one Service port on one node, in the order in which kube-proxy writes them. */
export function serviceChainTexts(plan: ServicePortPlan, options: ChainOptions): readonly XtChainText[] {
  const { shared, clusterEndpoints } = plan.port;
  // Where no node has its own view of the endpoints or the clients, what is written differs by configuration alone.
  const alike = clusterEndpoints === shared.endpoints && !shared.usesLocalEndpoints && shared.sourceRanges.length === 0;
  if (!alike) return writeChains(plan, options);
  const { config, family, large } = options;
  const of = `${large} ${config.masqueradeAll} ${podTraffic(config, family, true)}`;
  const known = everywhere.get(shared);
  if (known?.of === of) return known.texts;
  const texts = writeChains(plan, options);
  everywhere.set(shared, { of, texts });
  return texts;
}
