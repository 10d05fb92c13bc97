/** Endpoints of Service ports, as kube-proxy gathers them from EndpointSlices. */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Cluster, Endpoint, EndpointSlice } from "../../model/cluster.ts";
import type { KubeProxyConfig } from "./config.ts";
import type { IpFamily } from "./node-ips.ts";

/** One endpoint of one Service port; the same object on every node. */
export interface ProxyEndpoint {
  address: string;
  port: number;
  /** `10.244.0.3:8080`, `[fd00::3]:8080`: what chains and maps are named by. */
  text: string;
  /** Node that it runs on; null when the slice does not say. */
  node: string | null;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  zoneHints: readonly string[];
  nodeHints: readonly string[];
}

/** Another program serves what has this label, whatever its value. */
const OTHER_PROXY = "service.kubernetes.io/service-proxy-name";
/** Controllers mark slices of headless Services so. */
const HEADLESS = "service.kubernetes.io/headless";

/** Whether kube-proxy watches an object with these labels (cmd/kube-proxy/app/server.go, Run). */
export function watched(labels: Record<string, string>): boolean {
  return !Object.hasOwn(labels, OTHER_PROXY) && !Object.hasOwn(labels, HEADLESS);
}

/** Whether an endpoint runs on the node that this kube-proxy serves. */
export function isLocal(endpoint: ProxyEndpoint, config: KubeProxyConfig): boolean {
  return endpoint.node !== null && endpoint.node === config.nodeName;
}

/** Whether slices of this family's address type; names (FQDN) are nobody's. */
const ofFamily = (slice: EndpointSlice, family: IpFamily): boolean => slice.addressType === `IPv${family}`;

function endpointOf(endpoint: Endpoint, port: number, family: IpFamily): ProxyEndpoint | null {
  // Only the first address counts; the others are reserved (discovery/v1 Endpoint).
  const ip = parseIp(endpoint.addresses[0] ?? "");
  if (ip === null || ip.v !== family) return null;
  const address = formatIp(ip);
  return {
    address,
    port,
    text: family === 6 ? `[${address}]:${port}` : `${address}:${port}`,
    node: endpoint.node,
    ready: endpoint.ready,
    serving: endpoint.serving,
    terminating: endpoint.terminating,
    zoneHints: endpoint.hints?.zones ?? [],
    nodeHints: endpoint.hints?.nodes ?? [],
  };
}

/** Key of a Service port among its namespace's endpoints. */
export const endpointsKey = (namespace: string, service: string, port: string, protocol: string): string =>
  `${namespace}/${service}:${port} ${protocol}`;

/**
 * The endpoints of every Service port of one family, by {@link endpointsKey}, sorted by their text as kube-proxy writes them. Of two
 * with one address and port the one that is not terminating stays (pkg/proxy/endpointslicecache.go, addEndpoints).
 */
export function endpointsByPort(cluster: Cluster, family: IpFamily): Map<string, ProxyEndpoint[]> {
  const found = new Map<string, Map<string, ProxyEndpoint>>();
  for (const slice of cluster.endpointSlices) {
    if (slice.service === null || slice.service === "" || !ofFamily(slice, family) || !watched(slice.labels)) continue;
    for (const { name, port, protocol } of slice.ports) {
      if (port === null) continue;
      const key = endpointsKey(slice.namespace, slice.service, name, protocol);
      let set = found.get(key);
      if (set === undefined) found.set(key, (set = new Map()));
      for (const each of slice.endpoints) {
        const endpoint = endpointOf(each, port, family);
        if (endpoint !== null && (!set.has(endpoint.text) || !endpoint.terminating)) set.set(endpoint.text, endpoint);
      }
    }
  }
  const byText = (x: ProxyEndpoint, y: ProxyEndpoint): number => (x.text < y.text ? -1 : x.text > y.text ? 1 : 0);
  return new Map([...found].map(([key, set]) => [key, [...set.values()].toSorted(byText)]));
}
