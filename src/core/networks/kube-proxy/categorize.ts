/** Which endpoints a node uses for a Service port: pkg/proxy/topology.go, CategorizeEndpoints (v1.34). */
import type { KubeProxyConfig } from "./config.ts";
import { isLocal, type ProxyEndpoint } from "./endpoints.ts";

export interface Categorized {
  /** Those of traffic policy Cluster, hints heeded; empty when the port never uses that policy. */
  clusterEndpoints: readonly ProxyEndpoint[];
  /** Those of traffic policy Local; empty when the port never uses that policy. */
  localEndpoints: readonly ProxyEndpoint[];
  /** Those that this node may send to at all: both of the above together. */
  allReachable: readonly ProxyEndpoint[];
  /** Whether any node has a usable endpoint; true even where `allReachable` is empty. */
  hasAnyEndpoints: boolean;
}

/** What of a Service port decides it. */
export interface Policies {
  usesClusterEndpoints: boolean;
  usesLocalEndpoints: boolean;
}

const NONE: readonly ProxyEndpoint[] = [];

/** "node", "zone", or "" for none: hints count only when every ready endpoint has one and one of them is for here. */
function topologyMode(endpoints: readonly ProxyEndpoint[], config: KubeProxyConfig): "node" | "zone" | "" {
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  if (ready.length === 0) return "";
  // On by default since v1.34 (KEP-3015).
  if (
    config.featureGates["PreferSameTrafficDistribution"] !== false &&
    ready.every((endpoint) => endpoint.nodeHints.length > 0) &&
    ready.some((endpoint) => endpoint.nodeHints.includes(config.nodeName))
  )
    return "node";
  const zoned = ready.every((endpoint) => endpoint.zoneHints.length > 0);
  return zoned && ready.some((endpoint) => endpoint.zoneHints.includes(config.zone)) ? "zone" : "";
}

const usableTerminating = (endpoint: ProxyEndpoint): boolean => endpoint.serving && endpoint.terminating;

/** Ready ones, or, when there is none, those that are terminating but still serve (KEP-1669). */
function usable(endpoints: readonly ProxyEndpoint[]): readonly ProxyEndpoint[] {
  // Nearly always all of them are ready: the list itself then stands for its copy, on every node.
  if (endpoints.every((endpoint) => endpoint.ready)) return endpoints;
  const ready = endpoints.filter((endpoint) => endpoint.ready);
  return ready.length > 0 ? ready : endpoints.filter(usableTerminating);
}

/**
 * Sorts a Service port's endpoints by what this node does with them. Lists keep the order of `endpoints`; where both policies
 * contribute, kube-proxy's own order is a map's and means nothing.
 */
export function categorizeEndpoints(
  endpoints: readonly ProxyEndpoint[],
  policies: Policies,
  config: KubeProxyConfig,
): Categorized {
  const mode = policies.usesClusterEndpoints ? topologyMode(endpoints, config) : "";
  const hinted = (endpoint: ProxyEndpoint): boolean =>
    mode === "node" ? endpoint.nodeHints.includes(config.nodeName) : endpoint.zoneHints.includes(config.zone);
  const clusterEndpoints = !policies.usesClusterEndpoints
    ? NONE
    : mode === ""
      ? usable(endpoints)
      : endpoints.filter((endpoint) => endpoint.ready && hinted(endpoint));
  if (!policies.usesLocalEndpoints)
    return {
      clusterEndpoints,
      localEndpoints: NONE,
      allReachable: clusterEndpoints,
      hasAnyEndpoints: clusterEndpoints.length > 0,
    };
  const localEndpoints = usable(endpoints.filter((endpoint) => isLocal(endpoint, config)));
  const hasAnyEndpoints = usable(endpoints).length > 0;
  if (!policies.usesClusterEndpoints)
    return { clusterEndpoints, localEndpoints, allReachable: localEndpoints, hasAnyEndpoints };
  const both = new Set([...clusterEndpoints, ...localEndpoints]);
  const allReachable =
    both.size === clusterEndpoints.length ? clusterEndpoints : endpoints.filter((endpoint) => both.has(endpoint));
  return { clusterEndpoints, localEndpoints, allReachable, hasAnyEndpoints };
}
