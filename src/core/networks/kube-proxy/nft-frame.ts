/** What kube-proxy's table holds whatever the Services are (pkg/proxy/nftables/proxier.go, setupNFTables of v1.34). */
import type { NftJson } from "../../model/nftables.ts";
import type { RuleState } from "../state.ts";
import type { KubeProxyConfig } from "./config.ts";
import {
  address,
  drop,
  familyName,
  isLocalAddress,
  isNew,
  jump,
  lookup,
  mark,
  match,
  meta,
  payload,
  prefixValue,
} from "./nft-exprs.ts";
import { prefixesValue } from "./nft-intervals.ts";
import type { IpFamily } from "./node-ips.ts";

export const MARK_FOR_MASQUERADE = "mark-for-masquerade";
export const REJECT = "reject-chain";
const NODE_PORT_IPS = "nodeport-ips";

/** Chains as they are claimed: rules in order. */
export interface FrameChain {
  name: string;
  base: { type: string; hook: string; priority: number; policy: "accept" } | null;
  rules: RuleState[];
}

export interface FrameSet {
  name: string;
  isMap: boolean;
  keyTypes: string[];
}

const DNAT = -100;
const FILTER = 0;
const SNAT = 100;

/** Base chains and where they jump (nftablesBaseChains, nftablesJumpChains). */
const BASES: readonly [name: string, type: string, hook: string, priority: number, jumps: readonly string[]][] = [
  // Before DNAT, where packets still have the address that they were sent to.
  ["filter-prerouting-pre-dnat", "filter", "prerouting", DNAT - 10, ["firewall-check"]],
  ["filter-output-pre-dnat", "filter", "output", DNAT - 10, ["firewall-check"]],
  ["filter-input", "filter", "input", FILTER, ["nodeport-endpoints-check", "service-endpoints-check"]],
  ["filter-forward", "filter", "forward", FILTER, ["service-endpoints-check", "cluster-ips-check"]],
  ["filter-output", "filter", "output", FILTER, ["service-endpoints-check", "cluster-ips-check"]],
  ["nat-prerouting", "nat", "prerouting", DNAT, ["services"]],
  ["nat-output", "nat", "output", DNAT, ["services"]],
  ["nat-postrouting", "nat", "postrouting", SNAT, ["masquerading"]],
];

const rule = (...expr: NftJson[]): RuleState => ({ expr });

const port: NftJson = payload("th", "dport");
const protocol: NftJson = meta("l4proto");

/** Which packets are for node ports: those to chosen addresses, else those to any but loopback's. */
function toNodePorts(family: IpFamily, all: boolean): NftJson {
  const daddr = address(family, "daddr");
  if (!all) return match(daddr, `@${NODE_PORT_IPS}`);
  return match(daddr, family === 4 ? prefixValue("127.0.0.0/8") : "::1", "!=");
}

/**
 * The table's base chains and those that every Service shares, with their rules. `serviceCIDRs` are the cluster's of this family, the
 * prefixes that ServiceCIDR objects hold.
 */
export function frameChains(family: IpFamily, config: KubeProxyConfig, serviceCIDRs: readonly string[]): FrameChain[] {
  const bit = 2 ** config.masqueradeBit;
  // nft lists a mask of leading ones, as the highest bit is, as a prefix (nftables src/netlink_delinearize.c, expr_mask_is_prefix).
  const top: NftJson = { prefix: { addr: 0, len: 1 } };
  const unmarked = config.masqueradeBit === 31 ? match(mark, top) : match({ "&": [mark, bit] }, 0);
  const daddr = address(family, "daddr");
  const toService = [daddr, protocol, port];
  const nodePorts = toNodePorts(family, config.nodePortAddresses[family].all);
  const reject: NftJson = { reject: { type: family === 4 ? "icmp" : "icmpv6", expr: "port-unreachable" } };
  const clusterIpRules: RuleState[] = [
    { expr: [match(daddr, "@cluster-ips"), reject], comment: "Reject traffic to invalid ports of ClusterIPs" },
  ];
  if (serviceCIDRs.length > 0) {
    const expr = [match(daddr, prefixesValue(serviceCIDRs)), drop];
    clusterIpRules.push({ expr, comment: "Drop traffic to unallocated ClusterIPs" });
  }
  const bases = BASES.map(([name, type, hook, priority, jumps]): FrameChain => ({
    name,
    base: { type, hook, priority, policy: "accept" },
    rules: jumps.map((target) => (type === "nat" ? rule(jump(target)) : rule(isNew, jump(target)))),
  }));
  // Only the dispatch asks whether the address is local: the check is jumped to from INPUT, where it is.
  const local = config.nodePortAddresses[family].all ? [isLocalAddress("daddr")] : [];
  const shared: Record<string, RuleState[]> = {
    "nodeport-endpoints-check": [rule(nodePorts, lookup([protocol, port], "no-endpoint-nodeports"))],
    "service-endpoints-check": [rule(lookup(toService, "no-endpoint-services"))],
    "firewall-check": [rule(lookup(toService, "firewall-ips"))],
    services: [
      rule(lookup(toService, "service-ips")),
      rule(...local, nodePorts, lookup([protocol, port], "service-nodeports")),
    ],
    masquerading: [
      rule(unmarked, { return: null }),
      rule({ mangle: { key: mark, value: { "^": [mark, bit] } } }),
      rule({ masquerade: { flags: "fully-random" } }),
    ],
    "cluster-ips-check": clusterIpRules,
    [MARK_FOR_MASQUERADE]: [rule({ mangle: { key: mark, value: { "|": [mark, bit] } } })],
    [REJECT]: [rule(reject)],
  };
  return [...bases, ...Object.entries(shared).map(([name, rules]): FrameChain => ({ name, base: null, rules }))];
}

/** The sets and maps that every Service shares; `nodeport-ips` only where node ports answer on some addresses alone. */
export function frameSets(family: IpFamily, config: KubeProxyConfig): FrameSet[] {
  const ip = `${familyName(family) === "ip" ? "ipv4" : "ipv6"}_addr`;
  const service = [ip, "inet_proto", "inet_service"];
  const nodePort = ["inet_proto", "inet_service"];
  return [
    { name: "cluster-ips", isMap: false, keyTypes: [ip] },
    ...(config.nodePortAddresses[family].all ? [] : [{ name: NODE_PORT_IPS, isMap: false, keyTypes: [ip] }]),
    { name: "no-endpoint-services", isMap: true, keyTypes: service },
    { name: "no-endpoint-nodeports", isMap: true, keyTypes: nodePort },
    { name: "firewall-ips", isMap: true, keyTypes: service },
    { name: "service-ips", isMap: true, keyTypes: service },
    { name: "service-nodeports", isMap: true, keyTypes: nodePort },
  ];
}
