/** kube-proxy in nftables mode (pkg/proxy/nftables of Kubernetes v1.34): one table for each family, rebuilt as objects change. */
import { formatPrefix, parsePrefix } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { NftJson } from "../../model/nftables.ts";
import type { Claim } from "../claim.ts";
import type { Machine, Site } from "../site.ts";
import type { ChainState, RuleState, SetState } from "../state.ts";
import type { KubeProxyConfig } from "./config.ts";
import { familyName } from "./nft-exprs.ts";
import { frameChains, frameSets } from "./nft-frame.ts";
import { endpointNames, PREFIXES } from "./nft-names.ts";
import { addElements, leftOverNames, portChains, type SharedSets } from "./nft-service.ts";
import type { IpFamily } from "./node-ips.ts";
import { nodePortIps } from "./node-port-addresses.ts";
import { servicePorts, type ServicePort } from "./service-ports.ts";

const OWNER = "kube-proxy";
const TABLE = "kube-proxy";

/** Prefixes of the cluster's ServiceCIDR objects of one family (pkg/proxy/config, ServiceCIDRConfig), each once. */
function serviceCidrs(cluster: Cluster, family: IpFamily): string[] {
  const found = new Set<string>();
  for (const object of cluster.raw.get("servicecidrs.networking.k8s.io") ?? []) {
    const cidrs = (object as { spec?: { cidrs?: unknown } }).spec?.cidrs;
    for (const cidr of Array.isArray(cidrs) ? cidrs : []) {
      const prefix = typeof cidr === "string" ? parsePrefix(cidr) : null;
      if (prefix !== null && prefix.ip.v === family) found.add(formatPrefix(prefix));
    }
  }
  return [...found];
}

/** Loopback's addresses never answer node ports in this mode. */
const isLoopback = (ip: string): boolean => ip.startsWith("127.") || ip === "::1";

/** Claims on one table. */
class TableClaims {
  readonly claims: Claim[] = [];
  private readonly family: "ip" | "ip6";

  constructor(
    private readonly at: string,
    family: IpFamily,
  ) {
    this.family = familyName(family);
  }

  /** Chains of Services and endpoints that are gone: each whose name begins so and that is empty. */
  leftOver(prefix: string): void {
    const state: ChainState = { backend: "nft", family: this.family, table: TABLE, chain: prefix, base: null };
    this.claims.push({ owner: OWNER, at: this.at, kind: "chain", state, rules: [], hashed: prefix, optional: true });
  }

  chain(chain: string, base: (ChainState & { backend: "nft" })["base"], rules: RuleState[], optional?: boolean): void {
    const state: ChainState = { backend: "nft", family: this.family, table: TABLE, chain, base };
    const claim: Claim = { owner: OWNER, at: this.at, kind: "chain", state, rules };
    this.claims.push(optional === true ? { ...claim, optional } : claim);
  }

  set(
    name: string,
    isMap: boolean,
    keyTypes: string[],
    elements: NftJson[],
    more: { flags?: string[]; timeout?: number } = {},
  ): void {
    const valueType = isMap ? "verdict" : null;
    const table = { backend: "nft", family: this.family, table: TABLE } as const;
    const state: SetState = { ...table, name, isMap, keyTypes, valueType, elements, ...more };
    this.claims.push({ owner: OWNER, at: this.at, kind: "set", state });
  }
}

/** The sets of clients that stay with an endpoint. Packets fill them: nobody can say what is in them. */
function affinitySets(port: ServicePort, family: IpFamily, to: TableClaims): void {
  if (port.affinitySeconds === null) return;
  const type = family === 4 ? "ipv4_addr" : "ipv6_addr";
  for (const endpoint of port.allReachable)
    to.set(endpointNames(port.shared, endpoint).affinity, false, [type], [], {
      flags: ["dynamic", "timeout"],
      timeout: port.affinitySeconds,
    });
}

function tableClaims(site: Site, machine: Machine, config: KubeProxyConfig, family: IpFamily): Claim[] {
  const to = new TableClaims(machine.place, family);
  for (const { name, base, rules } of frameChains(family, config, serviceCidrs(site.cluster, family)))
    to.chain(name, base, rules);
  const frame = frameSets(family, config);
  const sets: SharedSets = new Map(frame.map((set) => [set.name, new Map<string, NftJson>()]));
  for (const ip of nodePortIps(machine, family, config.nodePortAddresses[family]))
    if (!isLoopback(ip)) sets.get("nodeport-ips")?.set(ip, ip);
  for (const port of servicePorts(site, machine, family, config)) {
    addElements(port, sets);
    const chains = portChains(port, config, family);
    for (const [name, rules] of chains) to.chain(name, null, rules);
    for (const name of leftOverNames(port)) if (!chains.has(name)) to.chain(name, null, [], true);
    affinitySets(port, family, to);
  }
  for (const prefix of PREFIXES) to.leftOver(prefix);
  for (const { name, isMap, keyTypes } of frame) to.set(name, isMap, keyTypes, [...(sets.get(name)?.values() ?? [])]);
  return to.claims;
}

/**
 * What kube-proxy in nftables mode has in the kernel of one machine: the tables `ip kube-proxy` and `ip6 kube-proxy`, both even where
 * the cluster has one family. It sets no kernel settings of its own. Chains that it no longer uses are claimed as empty and optional,
 * sets of affinity without elements, which packets add.
 */
export function intendNftables(site: Site, machine: Machine, config: KubeProxyConfig): Claim[] {
  return [...tableClaims(site, machine, config, 4), ...tableClaims(site, machine, config, 6)];
}
