/** Rules in the chains that all Services share: what a packet is caught by first. */
import type { IpFamily } from "../node-ips.ts";
import type { ServicePortPlan } from "./service-port-plan.ts";
import { comment, toPort } from "./words.ts";

/** Rules of one Service port by table and chain. Those of different Service ports stand in any order. */
export interface Portals {
  /** nat KUBE-SERVICES. */
  services: string[];
  /** nat KUBE-NODEPORTS. */
  nodePorts: string[];
  /** filter KUBE-SERVICES. */
  refusedServices: string[];
  /** filter KUBE-EXTERNAL-SERVICES. */
  refusedExternal: string[];
  /** filter KUBE-NODEPORTS. */
  healthChecks: string[];
  /** filter KUBE-PROXY-FIREWALL. */
  firewall: string[];
}

/** What decides, beside the Service port itself. */
export interface PortalOptions {
  family: IpFamily;
  /** Node ports answer on 127.0.0.1, and packets to them are counted. */
  countsLocalhost: boolean;
}

/** The shared chains' rules of one Service port, in kube-proxy's order (syncProxyRules, "Capture the clusterIP" and on). */
export function portalsOf(plan: ServicePortPlan, options: PortalOptions): Portals {
  const { port, protocol, chains, internalRefusal, externalRefusal } = plan;
  const rules: Portals = {
    services: [],
    nodePorts: [],
    refusedServices: [],
    refusedExternal: [],
    healthChecks: [],
    firewall: [],
  };
  const to = (address: string, text: string): string => toPort(address, protocol, port.port, text);
  const jump = (chain: string): string => ` -j ${chain}`;

  if (internalRefusal === null)
    rules.services.push(to(port.clusterIP, `${port.name} cluster IP`) + jump(plan.internalChain));
  else rules.refusedServices.push(to(port.clusterIP, internalRefusal.comment) + jump(internalRefusal.target));

  for (const address of port.externalIPs) {
    if (plan.hasEndpoints) rules.services.push(to(address, `${port.name} external IP`) + jump(chains.external));
    if (externalRefusal !== null)
      rules.refusedExternal.push(to(address, externalRefusal.comment) + jump(externalRefusal.target));
  }
  for (const address of port.loadBalancerIPs) {
    if (plan.hasEndpoints)
      rules.services.push(to(address, `${port.name} loadbalancer IP`) + jump(plan.loadBalancerChain));
    if (plan.usesFirewallChain)
      rules.firewall.push(to(address, `${port.name} traffic not accepted by ${chains.firewall}`) + jump("DROP"));
    if (externalRefusal !== null)
      rules.refusedExternal.push(to(address, externalRefusal.comment) + jump(externalRefusal.target));
  }
  if (port.nodePort !== null) {
    const dport = `-m ${protocol} --dport ${port.nodePort}`;
    if (plan.hasEndpoints) {
      const from = `-p ${protocol} ${comment(port.name)} ${dport}`;
      if (options.countsLocalhost && options.family === 4)
        rules.nodePorts.push(
          `-d 127.0.0.0/8 ${from} -m nfacct --nfacct-name localhost_nps_accepted_pkts${jump(chains.external)}`,
        );
      rules.nodePorts.push(from + jump(chains.external));
    }
    if (externalRefusal !== null)
      rules.refusedExternal.push(
        `-p ${protocol} ${comment(externalRefusal.comment)} -m addrtype --dst-type LOCAL ${dport}${jump(externalRefusal.target)}`,
      );
  }
  if (port.healthCheckNodePort !== null)
    rules.healthChecks.push(
      `-p tcp ${comment(`${port.name} health check node port`)} -m tcp --dport ${port.healthCheckNodePort} -j ACCEPT`,
    );
  return rules;
}
