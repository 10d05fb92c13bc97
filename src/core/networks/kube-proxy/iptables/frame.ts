/** The part of kube-proxy's rules that no Service changes. */
import { localhostNodePorts, type KubeProxyConfig } from "../config.ts";
import { comment, masqueradeMark } from "./words.ts";

/** A jump from a built-in chain. */
export interface Jump {
  table: "filter" | "nat";
  from: string;
  rule: string;
}

const jump = (table: "filter" | "nat", from: string, to: string, text: string, onlyNew: boolean): Jump => ({
  table,
  from,
  rule: `${onlyNew ? "-m conntrack --ctstate NEW " : ""}${comment(text)} -j ${to}`,
});

/**
 * Jumps from built-in chains. kube-proxy prepends each in turn when it is missing, so they end up in the opposite order of its list
 * (iptablesJumpChains); here they are in the order in which they stand.
 */
export const JUMPS: readonly Jump[] = [
  jump("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true),
  jump("filter", "INPUT", "KUBE-NODEPORTS", "kubernetes health check service ports", false),
  jump("filter", "INPUT", "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true),
  jump("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true),
  jump("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules", false),
  jump("filter", "FORWARD", "KUBE-SERVICES", "kubernetes service portals", true),
  jump("filter", "FORWARD", "KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true),
  jump("filter", "OUTPUT", "KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true),
  jump("filter", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals", true),
  jump("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals", false),
  jump("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals", false),
  jump("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules", false),
];

/** Copies of kubelet's jumps, which kube-proxy prepends last of all (iptablesKubeletJumpChains). */
export const KUBELET_JUMPS: readonly Jump[] = [
  { table: "filter", from: "INPUT", rule: "-j KUBE-FIREWALL" },
  { table: "filter", from: "OUTPUT", rule: "-j KUBE-FIREWALL" },
];

/** Keeps packets from elsewhere off 127.0.0.0/8, which route_localnet opens; kubelet has the same rule (kubernetes/issues/90259). */
export const LOCALNET_GUARD =
  `! -s 127.0.0.0/8 -d 127.0.0.0/8 ${comment("block incoming localnet connections")} ` +
  "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP";

/** Tables in which kube-proxy watches a chain, to learn when someone flushes them. */
export const CANARY = { chain: "KUBE-PROXY-CANARY", tables: ["mangle", "nat", "filter"] } as const;

/** nat KUBE-POSTROUTING. */
export function postroutingRules(config: KubeProxyConfig): string[] {
  const mark = masqueradeMark(config);
  return [
    `-m mark ! --mark ${mark}/${mark} -j RETURN`,
    // Written as --xor-mark: cleared, lest the packet be masqueraded again on its way through a tunnel.
    `-j MARK --set-xmark ${mark}/0x0`,
    `${comment("kubernetes service traffic requiring SNAT")} -j MASQUERADE --random-fully`,
  ];
}

/** nat KUBE-MARK-MASQ, written as --or-mark. */
export function markMasqRules(config: KubeProxyConfig): string[] {
  const mark = masqueradeMark(config);
  return [`-j MARK --set-xmark ${mark}/${mark}`];
}

/** filter KUBE-FORWARD. `countsInvalid`: dropped packets are counted with nfacct. */
export function forwardRules(config: KubeProxyConfig, countsInvalid: boolean): string[] {
  const mark = masqueradeMark(config);
  const counted = countsInvalid ? "-m nfacct --nfacct-name ct_state_invalid_dropped_pkts " : "";
  return [
    // Conntrack calls packets of a broken window INVALID, unless it is liberal (kubernetes/issues/74839, 117924).
    ...(config.conntrack.tcpBeLiberal ? [] : [`-m conntrack --ctstate INVALID ${counted}-j DROP`]),
    `${comment("kubernetes forwarding rules")} -m mark --mark ${mark}/${mark} -j ACCEPT`,
    `${comment("kubernetes forwarding conntrack rule")} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  ];
}

/** Ends nat KUBE-SERVICES: packets to the node's own addresses. `ips`: null when every local address answers node ports. */
export function nodePortTail(config: KubeProxyConfig, family: 4 | 6, ips: readonly string[] | null): string[] {
  const text = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain");
  const localhost = family === 4 && localhostNodePorts(config);
  if (ips !== null) {
    const loopback = (ip: string): boolean => ip === "::1" || ip.startsWith("127.");
    return ips
      .filter((ip) => localhost || !loopback(ip))
      .map((ip) => `-d ${ip}/${family === 4 ? 32 : 128} ${text} -j KUBE-NODEPORTS`);
  }
  const not = family === 6 ? "! -d ::1/128 " : localhost ? "" : "! -d 127.0.0.0/8 ";
  return [`${not}${text} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS`];
}
