/** What a node announces of Services: whole ranges, and single addresses of Services with a ready endpoint on it (confd routes.go). */
import { formatPrefix, inPrefix, parseIp, parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Cluster, Service } from "../../../model/cluster.ts";
import { width } from "../ipam/range.ts";
import { oncePer } from "../../once.ts";
import { serviceRanges, type BgpNode, type BgpSettings } from "./settings.ts";

export interface ServiceRoutes {
  /** Blackhole routes that BIRD announces, as texts, sorted. */
  announced: string[];
  /** Ranges that BIRD never writes into the kernel, whoever announces them. */
  kept: string[];
}

/** Nodes with this label announce no Services. */
const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";

const single = (prefix: Prefix): boolean => prefix.len === width(prefix.ip.v);
const within = (ip: string, ranges: readonly Prefix[]): Prefix[] => {
  const parsed = parseIp(ip);
  return parsed === null ? [] : ranges.filter((range) => inPrefix(parsed, range));
};

/** Nodes with a ready endpoint, by `NAMESPACE/SERVICE FAMILY`. */
const endpointNodes = oncePer((cluster: Cluster) => {
  const out = new Map<string, Set<string>>();
  for (const { namespace, service, endpoints } of cluster.endpointSlices) {
    for (const { ready, node, addresses } of endpoints) {
      if (!ready || node === null) continue;
      for (const address of addresses) {
        const key = `${namespace}/${service ?? ""} ${address.includes(":") ? 6 : 4}`;
        const nodes = out.get(key);
        if (nodes === undefined) out.set(key, new Set([node]));
        else nodes.add(node);
      }
    }
  }
  return out;
});

/** Whether a ready endpoint of the Service, of the family of its first address, is on the node. */
function hasLocalEndpoint(cluster: Cluster, { namespace, name, clusterIPs }: Service, node: string): boolean {
  const family = clusterIPs[0]?.includes(":") === true ? 6 : 4;
  return endpointNodes(cluster).get(`${namespace}/${name} ${family}`)?.has(node) === true;
}

/** Whether the node announces the Service's own addresses (advertiseThisService). */
function announces(
  cluster: Cluster,
  service: Service,
  node: string,
  external: Prefix[],
  balancer: Prefix[],
  aggregate: boolean,
): boolean {
  if (!["ClusterIP", "NodePort", "LoadBalancer"].includes(service.type) || service.clusterIPs.length === 0)
    return false;
  if (service.externalTrafficPolicy === "Cluster") {
    const balanced = service.loadBalancerIPs.flatMap((ip) => within(ip, balancer));
    if (service.type === "LoadBalancer" && (aggregate ? balanced.some(single) : balanced.length > 0)) return true;
    if (service.externalIPs.some((ip) => within(ip, external).some(single))) return true;
  }
  return service.externalTrafficPolicy === "Local" && hasLocalEndpoint(cluster, service, node);
}

/** The Service routes of one node, of both families. */
export function serviceRoutes(cluster: Cluster, node: BgpNode, settings: BgpSettings): ServiceRoutes {
  const { serviceClusterIPs, serviceExternalIPs, serviceLoadBalancerIPs, aggregate } = settings;
  const kept = serviceRanges(settings);
  if (kept.length === 0 || node.labels[EXCLUDED] === "true") return { announced: [], kept };
  const external = serviceExternalIPs.map(parsePrefix).filter((each) => each !== null);
  const balancer = serviceLoadBalancerIPs.map(parsePrefix).filter((each) => each !== null);
  const ranges = [...serviceClusterIPs, ...serviceExternalIPs, ...(aggregate ? serviceLoadBalancerIPs : [])];
  // A range of one address is announced by those that have the Service's endpoints alone.
  const announced = new Set(ranges.filter((range) => parsePrefix(range)?.len !== (range.includes(":") ? 128 : 32)));
  for (const service of cluster.services) {
    if (!announces(cluster, service, node.name, external, balancer, aggregate)) continue;
    const addresses = [
      ...(serviceClusterIPs.length > 0 ? service.clusterIPs.slice(0, 1) : []),
      ...service.externalIPs.filter((ip) => within(ip, external).length > 0),
      ...service.loadBalancerIPs.filter((ip) => within(ip, balancer).length > 0),
    ];
    for (const ip of addresses.map(parseIp).filter((each) => each !== null))
      announced.add(formatPrefix({ ip, len: width(ip.v) }));
  }
  return { announced: [...announced].toSorted(), kept };
}
