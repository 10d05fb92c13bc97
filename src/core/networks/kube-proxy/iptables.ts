/** kube-proxy in iptables mode: chains and rules of both families. */
import type { Claim } from "../claim.ts";
import { kubeletKeepsChains } from "../kubelet.ts";
import type { Machine, Site } from "../site.ts";
import type { XtFamily } from "../state.ts";
import { localhostNodePorts, type KubeProxyConfig } from "./config.ts";
import {
  CANARY,
  forwardRules,
  JUMPS,
  KUBELET_JUMPS,
  LOCALNET_GUARD,
  markMasqRules,
  nodePortTail,
  postroutingRules,
} from "./iptables/frame.ts";
import { countsWithNfacct } from "./iptables/nfacct.ts";
import { portalsOf, type Portals } from "./iptables/portals.ts";
import { serviceChainTexts, type ChainOptions } from "./iptables/service-chains.ts";
import { planServicePort } from "./iptables/service-port-plan.ts";
import type { IpFamily } from "./node-ips.ts";
import { nodePortIps } from "./node-port-addresses.ts";
import { servicePorts } from "./service-ports.ts";

const OWNER = "kube-proxy";

/** Above this many endpoints rules go without their comments (largeClusterEndpointsThreshold). */
const LARGE = 1000;

/** Makes claims of one family at one place. */
function claims(at: string, family: XtFamily) {
  return {
    /** `freeOrder`: kube-proxy goes through its Service ports in the order of a Go map, which is another each time. */
    chain: (table: string, chain: string, rules: string[], freeOrder = 0): Claim => ({
      owner: OWNER,
      at,
      kind: "chain",
      state: { backend: "iptables", family, table, chain },
      rules,
      ...(freeOrder > 1 ? { freeOrder } : {}),
    }),
    rule: (table: string, chain: string, state: string): Claim => ({
      owner: OWNER,
      at,
      kind: "rule",
      chain: { backend: "iptables", family, table, chain },
      state,
    }),
  };
}

/** Chains and jumps that are there whatever the Services are. */
function frame(machine: Machine, family: IpFamily, config: KubeProxyConfig, counted: boolean): Claim[] {
  const make = claims(machine.place, family === 4 ? "ip" : "ip6");
  // kubelet keeps KUBE-FIREWALL of IPv4; kube-proxy makes it where there is none, and of IPv6 always (iptablesKubeletJumpChains).
  const ownFirewall = family === 6 || !kubeletKeepsChains(machine);
  const guard = family === 4 && localhostNodePorts(config) ? [LOCALNET_GUARD] : [];
  const jumps = ownFirewall ? [...KUBELET_JUMPS, ...JUMPS] : JUMPS;
  return [
    ...CANARY.tables.map((table) => make.chain(table, CANARY.chain, [])),
    ...jumps.map(({ table, from, rule }) => make.rule(table, from, rule)),
    ...(ownFirewall ? [make.chain("filter", "KUBE-FIREWALL", guard)] : []),
    make.chain("filter", "KUBE-FORWARD", forwardRules(config, counted)),
    make.chain("nat", "KUBE-POSTROUTING", postroutingRules(config)),
    make.chain("nat", "KUBE-MARK-MASQ", markMasqRules(config)),
  ];
}

function ofFamily(site: Site, machine: Machine, of: IpFamily, config: KubeProxyConfig): Claim[] {
  const make = claims(machine.place, of === 4 ? "ip" : "ip6");
  const counted = countsWithNfacct(config);
  const ports = servicePorts(site, machine, of, config);
  const large = ports.reduce((sum, port) => sum + port.endpoints.length, 0) > LARGE;
  const options: ChainOptions = { config, family: of, large };
  const reject = `REJECT --reject-with ${of === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable"}`;
  const countsLocalhost = counted && localhostNodePorts(config);
  const plans = ports.map((port) => planServicePort(port, reject));
  const portals = plans.map((plan) => portalsOf(plan, { family: of, countsLocalhost }));
  const all = (which: keyof Portals): string[] => portals.flatMap((each) => each[which]);
  const free = (table: string, chain: string, rules: string[], tail: string[] = []): Claim =>
    make.chain(table, chain, [...rules, ...tail], rules.length);
  const addresses = config.nodePortAddresses[of];
  const tail = nodePortTail(config, of, addresses.all ? null : nodePortIps(machine, of, addresses));
  return [
    ...frame(machine, of, config, counted),
    free("filter", "KUBE-SERVICES", all("refusedServices")),
    free("filter", "KUBE-EXTERNAL-SERVICES", all("refusedExternal")),
    free("filter", "KUBE-NODEPORTS", all("healthChecks")),
    free("filter", "KUBE-PROXY-FIREWALL", all("firewall")),
    free("nat", "KUBE-SERVICES", all("services"), tail),
    free("nat", "KUBE-NODEPORTS", all("nodePorts")),
    ...plans.flatMap((plan) =>
      serviceChainTexts(plan, options).map(({ state, rules }): Claim => ({
        owner: OWNER,
        at: machine.place,
        kind: "chain",
        state,
        rules,
        // A partial sync rewrites only what changed: of other Services the comments are as they were before the threshold was crossed.
        freeComments: true,
      })),
    ),
  ];
}

/**
 * Every chain and rule that kube-proxy v1.34 writes in iptables mode, IPv4 and IPv6, for these Services (pkg/proxy/iptables/proxier.go,
 * syncProxyRules). Chains that served what is gone are not among them: in a large cluster kube-proxy leaves them for up to its
 * syncPeriod, with the rules of that time.
 */
export function intendIptables(site: Site, machine: Machine, config: KubeProxyConfig): Claim[] {
  return [...ofFamily(site, machine, 4, config), ...ofFamily(site, machine, 6, config)];
}
