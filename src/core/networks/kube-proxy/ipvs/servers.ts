/** IPVS virtual servers and their real servers (pkg/proxy/ipvs/proxier.go, syncService and syncEndpoint). */
import { parseIp } from "../../../model/address.ts";
import type { IpvsReal, IpvsService } from "../../../model/ipvs.ts";
import type { KubeProxyConfig } from "../config.ts";
import type { ProxyEndpoint, ServicePort } from "../service-ports.ts";

const PROTOCOLS: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132 };

/** Where local endpoints are asked for and there are none, all of them serve: pods here may still reach it (pull request 97081). */
const endpointsFor = (port: ServicePort, onlyLocal: boolean): readonly ProxyEndpoint[] =>
  onlyLocal && port.localEndpoints.length > 0 ? port.localEndpoints : port.clusterEndpoints;

function server(port: ServicePort, address: string, number: number, local: boolean, scheduler: string): IpvsService[] {
  const ip = parseIp(address);
  if (ip === null) return [];
  const reals = endpointsFor(port, local).flatMap((endpoint): IpvsReal[] => {
    const real = parseIp(endpoint.address);
    return real === null
      ? []
      : [{ ip: real, port: endpoint.port, method: "masq", weight: 1, tunnel: null, source: port.source }];
  });
  return [
    {
      proto: PROTOCOLS[port.protocol] ?? null,
      ip,
      port: number,
      fwmark: null,
      scheduler,
      persistent: port.affinitySeconds,
      // Maglev takes the source port into account, so that one client's connections spread.
      flags: scheduler === "mh" ? ["-b mh-port"] : [],
      reals,
      source: port.source,
    },
  ];
}

/**
 * The virtual servers of these Service ports: of each cluster address, external address and load balancer address, and of each of
 * `nodePortAddresses` for a node port. Their order, and that of their real servers, means nothing. `source` is the Service.
 */
export function ipvsServers(
  ports: readonly ServicePort[],
  nodePortAddresses: readonly string[],
  config: KubeProxyConfig,
): IpvsService[] {
  const { scheduler } = config.ipvs;
  const servers = ports.flatMap((port) => [
    ...server(port, port.clusterIP, port.port, port.internalLocal, scheduler),
    ...[...port.externalIPs, ...port.loadBalancerIPs].flatMap((address) =>
      server(port, address, port.port, port.externalLocal, scheduler),
    ),
    ...nodePortAddresses.flatMap((address) => {
      const { nodePort } = port;
      return nodePort === null ? [] : server(port, address, nodePort, port.externalLocal, scheduler);
    }),
  ]);
  // The kernel has one virtual server for an address, protocol and port; whoever comes first stays.
  const seen = new Set<string>();
  return servers.filter(({ proto, ip, port }) => {
    const key = `${proto} ${ip?.key} ${port}`;
    return !seen.has(key) && seen.add(key);
  });
}
