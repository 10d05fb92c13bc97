/** Names of the chains and sets that kube-proxy makes for Service ports and endpoints (pkg/proxy/nftables/proxier.go). */
import { oncePer } from "../once.ts";
import type { ProxyEndpoint } from "./endpoints.ts";
import { shortHash } from "./iptables/names.ts";
import type { SharedServicePort } from "./service-ports.ts";

/** knftables' NameLengthMax less the room that is kept for prefixes. */
const LONGEST = 256 - 16;

/** What names of chains begin with; no other chain of the table has a slash in its name. */
export const PREFIXES = ["service-", "local-", "external-", "firewall-", "endpoint-"] as const;

/** Chains of one Service port; not every one of them is always there. */
export interface PortNames {
  /** Endpoints of traffic policy Cluster. */
  service: string;
  /** Endpoints of traffic policy Local. */
  local: string;
  /** Where packets to node ports, external addresses and load balancers' go first. */
  external: string;
  /** loadBalancerSourceRanges. */
  firewall: string;
}

export interface EndpointNames {
  chain: string;
  /** Set of the clients that stay with it. */
  affinity: string;
}

/** The name with eight letters of its hash before it, cut to what fits (hashAndTruncate). */
export function hashedName(name: string): string {
  const full = `${shortHash(name).slice(0, 8)}-${name}`;
  return full.length > LONGEST ? `${full.slice(0, LONGEST - 3)}...` : full;
}

/** `shop/web/tcp/http`; the port's name may be empty. */
const portPath = (port: SharedServicePort): string =>
  `${port.namespace}/${port.service}/${port.protocol.toLowerCase()}/${port.portName}`;

/** Names of a Service port's chains (servicePortChainNameBase); computed once for all nodes. */
export const portNames = oncePer((port: SharedServicePort): PortNames => {
  const base = hashedName(portPath(port));
  return {
    service: `service-${base}`,
    local: `local-${base}`,
    external: `external-${base}`,
    firewall: `firewall-${base}`,
  };
});

const ofEndpoint = oncePer((_port: SharedServicePort) => new Map<ProxyEndpoint, EndpointNames>());

/** Names of an endpoint's chain and set (servicePortEndpointChainNameBase): colons of IPv6 become dots. Computed once for all nodes. */
export function endpointNames(port: SharedServicePort, endpoint: ProxyEndpoint): EndpointNames {
  const known = ofEndpoint(port);
  let names = known.get(endpoint);
  if (names === undefined) {
    const address = endpoint.address.replaceAll(":", ".");
    const base = hashedName(`${portPath(port)}__${address}/${endpoint.port}`);
    names = { chain: `endpoint-${base}`, affinity: `affinity-${base}` };
    known.set(endpoint, names);
  }
  return names;
}
