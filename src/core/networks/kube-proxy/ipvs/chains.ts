/** The rules beside IPVS: who is masqueraded, filtered, accepted (pkg/proxy/ipvs/proxier.go, writeIptablesRules). */
import type { KubeProxyConfig } from "../config.ts";
import { markMasqRules, postroutingRules, forwardRules, type Jump } from "../iptables/frame.ts";
import { comment, host, podTraffic } from "../iptables/words.ts";
import type { IpFamily } from "../node-ips.ts";
import type { IpvsEntries } from "./entries.ts";
import { setName, SETS, type SetName } from "./sets.ts";

export interface IpvsChain {
  table: "filter" | "nat";
  chain: string;
  rules: string[];
  /** How many of the rules, from the first, stand in any order. */
  freeOrder?: number;
}

const jump = (table: "filter" | "nat", from: string, to: string, text: string): Jump => ({
  table,
  from,
  rule: `${comment(text)} -j ${to}`,
});

/** Jumps from built-in chains as they stand: each is prepended in turn, so the last of kube-proxy's list is first (iptablesJumpChain). */
export const IPVS_JUMPS: readonly Jump[] = [
  jump("filter", "INPUT", "KUBE-IPVS-FILTER", "kubernetes ipvs access filter"),
  jump("filter", "INPUT", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
  jump("filter", "INPUT", "KUBE-NODE-PORT", "kubernetes health check rules"),
  jump("filter", "FORWARD", "KUBE-PROXY-FIREWALL", "kube-proxy firewall rules"),
  jump("filter", "FORWARD", "KUBE-FORWARD", "kubernetes forwarding rules"),
  jump("filter", "OUTPUT", "KUBE-IPVS-OUT-FILTER", "kubernetes ipvs access filter"),
  jump("nat", "PREROUTING", "KUBE-SERVICES", "kubernetes service portals"),
  jump("nat", "OUTPUT", "KUBE-SERVICES", "kubernetes service portals"),
  jump("nat", "POSTROUTING", "KUBE-POSTROUTING", "kubernetes postrouting rules"),
];

const PROTOCOL_NUMBERS: Record<string, number> = { tcp: 6, udp: 17, sctp: 132 };

/** Every chain of kube-proxy in IPVS mode, of one family. Rules that look into an empty set are mostly left out. */
export function ipvsChains(entries: IpvsEntries, config: KubeProxyConfig, family: IpFamily): IpvsChain[] {
  const { sets } = entries;
  const match = (name: SetName, directions: string): string =>
    `-m set --match-set ${setName(name, family)} ${directions}`;
  const said = (name: SetName): string => comment(SETS[name][1]);
  /** A rule that is there only while its set holds something. */
  const whenFull = (name: SetName, directions: string, target: string, protocol = ""): string[] =>
    sets[name].size === 0 ? [] : [`${protocol}${said(name)} ${match(name, directions)} -j ${target}`];

  const clusterIp = (): string[] => {
    if (sets["CLUSTER-IP"].size === 0) return [];
    const others = podTraffic(config, family, true);
    if (config.masqueradeAll) return whenFull("CLUSTER-IP", "dst,dst", "KUBE-MARK-MASQ");
    if (others !== null) return whenFull("CLUSTER-IP", "dst,dst", "KUBE-MARK-MASQ", others);
    // The node's own connections: their source is the Service's address, which kube-ipvs0 has.
    return whenFull("CLUSTER-IP", "src,dst", "KUBE-MARK-MASQ");
  };
  const external = (name: SetName): string[] => {
    if (sets[name].size === 0) return [];
    const to = `${said(name)} ${match(name, "dst,dst")}`;
    return [
      // What comes from off the machine: not by a bridge, not from here.
      `${to} -m physdev ! --physdev-is-in -m addrtype ! --src-type LOCAL -j ACCEPT`,
      `${to} -m addrtype --dst-type LOCAL -j ACCEPT`,
    ];
  };
  const accept = (name: SetName): string[] => (sets[name].size === 0 ? [] : [`${match(name, "dst,dst")} -j ACCEPT`]);
  const reject = family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable";
  const filtered: [SetName, string][] = [
    ["LOAD-BALANCER", "dst,dst"],
    ["CLUSTER-IP", "dst,dst"],
    ["EXTERNAL-IP", "dst,dst"],
    ["EXTERNAL-IP-LOCAL", "dst,dst"],
    ["HEALTH-CHECK-NODE-PORT", "dst"],
  ];
  const nodePorts = (protocol: "TCP" | "UDP" | "SCTP"): string[] => {
    const hash = protocol === "SCTP" ? "-HASH" : "";
    const directions = protocol === "SCTP" ? "dst,dst" : "dst";
    const of = `-p ${protocol.toLowerCase()} `;
    return [
      ...whenFull(`NODE-PORT-LOCAL-${protocol}${hash}` as SetName, directions, "RETURN", of),
      ...whenFull(`NODE-PORT-${protocol}${hash}` as SetName, directions, "KUBE-MARK-MASQ", of),
    ];
  };
  const denied = entries.noNodeAccess.map(({ ip, protocol, port }) => {
    const virtual = `--vproto ${PROTOCOL_NUMBERS[protocol] ?? 0} --vaddr ${ip} --vport ${port}`;
    return `-s ${host(ip)} -m ipvs ${virtual} -j DROP`;
  });
  // Invalid packets are not dropped in this mode.
  const forward = forwardRules({ ...config, conntrack: { ...config.conntrack, tcpBeLiberal: true } }, false);
  return [
    {
      table: "nat",
      chain: "KUBE-SERVICES",
      rules: [
        `-s ${family === 4 ? "127.0.0.0/8" : "::1/128"} -j RETURN`,
        ...whenFull("LOAD-BALANCER", "dst,dst", "KUBE-LOAD-BALANCER"),
        ...clusterIp(),
        ...whenFull("EXTERNAL-IP", "dst,dst", "KUBE-MARK-MASQ"),
        ...external("EXTERNAL-IP"),
        ...external("EXTERNAL-IP-LOCAL"),
        "-m addrtype --dst-type LOCAL -j KUBE-NODE-PORT",
        // Lest rules of others keep packets from IPVS.
        ...accept("CLUSTER-IP"),
        ...accept("LOAD-BALANCER"),
      ],
    },
    {
      table: "nat",
      chain: "KUBE-POSTROUTING",
      rules: [...whenFull("LOOP-BACK", "dst,dst,src", "MASQUERADE"), ...postroutingRules(config)],
    },
    {
      table: "nat",
      chain: "KUBE-NODE-PORT",
      rules: [...nodePorts("TCP"), ...nodePorts("UDP"), ...nodePorts("SCTP")],
    },
    {
      table: "nat",
      chain: "KUBE-LOAD-BALANCER",
      rules: [...whenFull("LOAD-BALANCER-LOCAL", "dst,dst", "RETURN"), "-j KUBE-MARK-MASQ"],
    },
    { table: "nat", chain: "KUBE-MARK-MASQ", rules: markMasqRules(config) },
    { table: "filter", chain: "KUBE-FORWARD", rules: forward },
    {
      table: "filter",
      chain: "KUBE-NODE-PORT",
      rules: [`${said("HEALTH-CHECK-NODE-PORT")} ${match("HEALTH-CHECK-NODE-PORT", "dst")} -j ACCEPT`],
    },
    {
      table: "filter",
      chain: "KUBE-PROXY-FIREWALL",
      rules: whenFull("LOAD-BALANCER-FW", "dst,dst", "KUBE-SOURCE-RANGES-FIREWALL"),
    },
    {
      table: "filter",
      chain: "KUBE-SOURCE-RANGES-FIREWALL",
      rules: [
        ...whenFull("LOAD-BALANCER-SOURCE-CIDR", "dst,dst,src", "RETURN"),
        ...whenFull("LOAD-BALANCER-SOURCE-IP", "dst,dst,src", "RETURN"),
        "-j DROP",
      ],
    },
    {
      table: "filter",
      chain: "KUBE-IPVS-FILTER",
      rules: [
        ...filtered.map(([name, directions]) => `${match(name, directions)} -j RETURN`),
        // Ports of the node itself are not to be reached by a Service's address (kubernetes/issues/72236).
        `-m conntrack --ctstate NEW ${match("IPVS-IPS", "dst")} -j REJECT --reject-with ${reject}`,
      ],
    },
    { table: "filter", chain: "KUBE-IPVS-OUT-FILTER", rules: denied, freeOrder: denied.length },
  ];
}
