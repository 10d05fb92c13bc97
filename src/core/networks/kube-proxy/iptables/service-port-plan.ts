/** What kube-proxy decides about one Service port before it writes rules (pkg/proxy/iptables/proxier.go, syncProxyRules). */
import type { ServicePort } from "../service-ports.ts";
import { serviceChains, type ServiceChains } from "./names.ts";

/** Rules of the filter table for what no endpoint takes. */
export interface Refusal {
  /** `REJECT --reject-with …` when no node has an endpoint, `DROP` when only this one has none. */
  target: string;
  comment: string;
}

export interface ServicePortPlan {
  port: ServicePort;
  /** tcp, udp or sctp. */
  protocol: string;
  chains: ServiceChains;
  /** The chain with the endpoints of traffic from within, and of traffic from outside. */
  internalChain: string;
  externalPolicyChain: string;
  /** Where packets to a load balancer's address go. */
  loadBalancerChain: string;
  hasEndpoints: boolean;
  usesClusterChain: boolean;
  usesLocalChain: boolean;
  usesExternalChain: boolean;
  usesFirewallChain: boolean;
  /** What becomes of packets from within without an endpoint here; null when there is one. */
  internalRefusal: Refusal | null;
  externalRefusal: Refusal | null;
}

/** Decides which chains a Service port gets on a node, and who is refused. `reject` is the family's REJECT target. */
export function planServicePort(port: ServicePort, reject: string): ServicePortPlan {
  const chains = serviceChains(port.shared);
  const hasEndpoints = port.hasAnyEndpoints;
  const refusal = (local: boolean): Refusal | null => {
    if (!hasEndpoints) return { target: reject, comment: `${port.name} has no endpoints` };
    const none = local && port.localEndpoints.length === 0;
    return none ? { target: "DROP", comment: `${port.name} has no local endpoints` } : null;
  };
  const usesFirewallChain = hasEndpoints && port.loadBalancerIPs.length > 0 && port.sourceRanges.length > 0;
  return {
    port,
    protocol: port.protocol.toLowerCase(),
    chains,
    internalChain: port.internalLocal ? chains.local : chains.cluster,
    externalPolicyChain: port.externalLocal ? chains.local : chains.cluster,
    loadBalancerChain: usesFirewallChain ? chains.firewall : chains.external,
    hasEndpoints,
    usesClusterChain: port.clusterEndpoints.length > 0 && port.usesClusterEndpoints,
    usesLocalChain: port.localEndpoints.length > 0 && port.usesLocalEndpoints,
    usesExternalChain: hasEndpoints && port.externallyAccessible,
    usesFirewallChain,
    internalRefusal: refusal(port.internalLocal),
    externalRefusal: refusal(port.externalLocal),
  };
}
