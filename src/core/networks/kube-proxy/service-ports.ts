/** Service ports as kube-proxy sees them: everything that rules are written from. */
import { formatIp, formatPrefix, parseIp, parsePrefix } from "../../model/address.ts";
import type { Cluster, Service } from "../../model/cluster.ts";
import type { Source } from "../../model/source.ts";
import { oncePer } from "../once.ts";
import type { Machine, Site } from "../site.ts";
import { categorizeEndpoints, type Categorized } from "./categorize.ts";
import type { KubeProxyConfig } from "./config.ts";
import { endpointsByPort, endpointsKey, watched, type ProxyEndpoint } from "./endpoints.ts";
import type { IpFamily } from "./node-ips.ts";

export { isLocal, type ProxyEndpoint } from "./endpoints.ts";

/** What is the same on every node. One object for each Service port of a family: a key for memos. */
export interface SharedServicePort {
  /** `shop/web:http`, `shop/web` for a port without a name. */
  name: string;
  namespace: string;
  service: string;
  /** "" for a port without a name. */
  portName: string;
  /** TCP, UDP or SCTP. */
  protocol: string;
  clusterIP: string;
  port: number;
  /** Null for none. */
  nodePort: number | null;
  externalIPs: readonly string[];
  /** Those of the load balancer's addresses that packets arrive with (ipMode VIP). */
  loadBalancerIPs: readonly string[];
  /** Prefixes of clients that may use those; empty for all. */
  sourceRanges: readonly string[];
  /** How long a client stays with its endpoint, in seconds; null without affinity. */
  affinitySeconds: number | null;
  /** internalTrafficPolicy is Local. */
  internalLocal: boolean;
  /** externalTrafficPolicy is Local. */
  externalLocal: boolean;
  /** Null for none. */
  healthCheckNodePort: number | null;
  /** It has a node port, an external address or a load balancer's. */
  externallyAccessible: boolean;
  usesClusterEndpoints: boolean;
  usesLocalEndpoints: boolean;
  /** The Service object. */
  source: Source;
  /** All of its endpoints, whatever their state, in kube-proxy's order. */
  endpoints: readonly ProxyEndpoint[];
}

/** A Service port on one node. */
export interface ServicePort extends SharedServicePort, Categorized {
  /** The part that is the same on every node. */
  shared: SharedServicePort;
}

const ofFamily = (texts: readonly string[], family: IpFamily): string[] =>
  texts
    .map((text) => parseIp(text))
    .filter((ip) => ip?.v === family)
    .map((ip) => (ip === null ? "" : formatIp(ip)));

/** The Service's address of a family (pkg/proxy/util, GetClusterIPByFamily); null for none. */
function clusterIpOf(service: Service, family: IpFamily): string | null {
  const families = service.ipFamilies ?? [];
  const text = families.length === 0 ? service.clusterIPs[0] : service.clusterIPs[families.indexOf(`IPv${family}`)];
  const ip = parseIp(text ?? "");
  return ip === null || ip.v !== family ? null : formatIp(ip);
}

/**
 * The prefixes of a family that its load balancer's addresses may be used from; none when one of them is the whole family, which is no
 * restriction (v1.34 then writes no firewall chain). Blanks around a prefix pass the API server's validation.
 */
function sourceRangesOf(service: Service, family: IpFamily): string[] {
  const ranges = (service.loadBalancerSourceRanges ?? [])
    .map((range) => parsePrefix(range.trim()))
    .filter((range) => range !== null)
    .filter((range) => range.ip.v === family);
  return ranges.some((range) => range.len === 0) ? [] : ranges.map(formatPrefix);
}

/** Whether it is reached from outside, which is where externalTrafficPolicy means something (api/v1/service, ExternallyAccessible). */
const reachedFromOutside = (service: Service): boolean =>
  service.type === "LoadBalancer" ||
  service.type === "NodePort" ||
  (service.type === "ClusterIP" && service.externalIPs.length > 0);

/** pkg/proxy/serviceport.go, newBaseServiceInfo. */
function portsOf(
  service: Service,
  family: IpFamily,
  endpoints: ReadonlyMap<string, readonly ProxyEndpoint[]>,
): SharedServicePort[] {
  if (service.headless || service.type === "ExternalName" || !watched(service.labels)) return [];
  const clusterIP = clusterIpOf(service, family);
  if (clusterIP === null) return [];
  const externalIPs = ofFamily(service.externalIPs, family);
  const ingress = service.loadBalancerIngress ?? service.loadBalancerIPs.map((ip) => ({ ip, ipMode: "VIP" }));
  const vips = ingress.filter((each) => each.ipMode === "VIP").map((each) => each.ip);
  const loadBalancerIPs = ofFamily(vips, family);
  const sourceRanges = sourceRangesOf(service, family);
  const externalLocal = reachedFromOutside(service) && service.externalTrafficPolicy === "Local";
  const internalLocal = service.internalTrafficPolicy === "Local";
  const health = service.type === "LoadBalancer" && externalLocal ? (service.healthCheckNodePort ?? null) : null;
  return service.ports.map(({ name: portName, protocol, port, nodePort }) => {
    const externallyAccessible = nodePort !== null || loadBalancerIPs.length > 0 || externalIPs.length > 0;
    return {
      name: `${service.namespace}/${service.name}${portName === "" ? "" : `:${portName}`}`,
      namespace: service.namespace,
      service: service.name,
      portName,
      protocol,
      clusterIP,
      port,
      nodePort,
      externalIPs,
      loadBalancerIPs,
      sourceRanges,
      affinitySeconds: service.sessionAffinity === "ClientIP" ? (service.sessionAffinitySeconds ?? 10800) : null,
      internalLocal,
      externalLocal,
      healthCheckNodePort: health,
      externallyAccessible,
      usesClusterEndpoints: !internalLocal || externallyAccessible,
      usesLocalEndpoints: internalLocal || (externalLocal && externallyAccessible),
      source: service.source,
      endpoints: endpoints.get(endpointsKey(service.namespace, service.name, portName, protocol)) ?? [],
    };
  });
}

function portsOfCluster(cluster: Cluster, family: IpFamily): readonly SharedServicePort[] {
  const endpoints = endpointsByPort(cluster, family);
  return cluster.services
    .flatMap((service) => portsOf(service, family, endpoints))
    .toSorted((x, y) => (x.name < y.name ? -1 : x.name > y.name ? 1 : x.protocol < y.protocol ? -1 : 1));
}

/** Every node's kube-proxy sees the same Services. */
const known = {
  4: oncePer((cluster: Cluster) => portsOfCluster(cluster, 4)),
  6: oncePer((cluster: Cluster) => portsOfCluster(cluster, 6)),
};

/** The Service ports of one family with what all nodes have in common, sorted by name; computed once for a cluster. */
export function sharedServicePorts(cluster: Cluster, family: IpFamily): readonly SharedServicePort[] {
  return known[family](cluster);
}

/**
 * The Service ports of one address family on one machine, sorted by name and protocol. (kube-proxy itself goes through a map, in an
 * order that no one can know; rules of different Service ports stand in any order.) Left out are headless Services, ExternalName and
 * those that another proxy serves (pkg/proxy/servicechangetracker.go, serviceToServiceMap).
 */
export function servicePorts(site: Site, _machine: Machine, family: IpFamily, config: KubeProxyConfig): ServicePort[] {
  return sharedServicePorts(site.cluster, family).map((shared) => ({
    ...shared,
    shared,
    ...categorizeEndpoints(shared.endpoints, shared, config),
  }));
}
