/** The Kubernetes objects of a snapshot, reduced to what networking reads. */
import type { Source } from "./source.ts";

export interface ObjectMeta {
  namespace: string;
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  source: Source;
}

export interface ContainerPort {
  name: string | null;
  containerPort: number;
  hostPort: number | null;
  hostIP: string | null;
  protocol: string;
}

export interface Pod extends ObjectMeta {
  node: string | null;
  hostNetwork: boolean;
  ips: string[];
  hostIPs: string[];
  phase: string;
  ready: boolean;
  terminating: boolean;
  ports: ContainerPort[];
}

export interface ServicePort {
  name: string;
  protocol: string;
  port: number;
  targetPort: number | string;
  nodePort: number | null;
}

/** What a load balancer gave a Service: an entry of status.loadBalancer.ingress that has an address. */
export interface LoadBalancerIngress {
  ip: string;
  /** VIP: packets arrive with this destination; Proxy: with a node's or pod's (KEP-1860). VIP when not said. */
  ipMode: string;
}

export interface Service extends ObjectMeta {
  type: string;
  /** IPv4, IPv6, in the order of clusterIPs; empty or absent when the object does not say. */
  ipFamilies?: string[];
  /** Empty for headless (`None`) and ExternalName. */
  clusterIPs: string[];
  headless: boolean;
  externalName: string | null;
  externalIPs: string[];
  loadBalancerIPs: string[];
  /** The same, with how packets reach them; absent: all are VIPs. */
  loadBalancerIngress?: LoadBalancerIngress[];
  /** Clients that may use the load balancer, as prefixes; empty or absent for all. */
  loadBalancerSourceRanges?: string[];
  /** Where the load balancer asks a node for its health; null or absent for nowhere. */
  healthCheckNodePort?: number | null;
  ports: ServicePort[];
  selector: Record<string, string>;
  sessionAffinity: string;
  /** How long a client stays with its endpoint under ClientIP, in seconds; absent: 10800. */
  sessionAffinitySeconds?: number;
  externalTrafficPolicy: string;
  internalTrafficPolicy: string;
  /** PreferClose, PreferSameZone, PreferSameNode; null or absent when not said. */
  trafficDistribution?: string | null;
}

export interface Endpoint {
  addresses: string[];
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  node: string | null;
  hostname: string | null;
  zone?: string | null;
  /** Zones and nodes whose clients should use it; empty or absent for no hint. */
  hints?: { zones: string[]; nodes: string[] };
  pod: { namespace: string; name: string } | null;
}

export interface EndpointSlice extends ObjectMeta {
  service: string | null;
  addressType: string;
  ports: { name: string; port: number | null; protocol: string }[];
  endpoints: Endpoint[];
}

export interface Node extends ObjectMeta {
  addresses: { type: string; address: string }[];
  podCIDRs: string[];
  /** Version of its kubelet, `v1.34.4`; empty or absent when the object does not say. */
  kubeletVersion?: string;
  /** `6.18.44`; empty or absent when the object does not say. */
  kernelVersion?: string;
  /** Processors; null or absent when the object does not say. */
  cpus?: number | null;
}

export interface Cluster {
  pods: Pod[];
  services: Service[];
  endpointSlices: EndpointSlice[];
  nodes: Node[];
  /** Every recorded resource as it is, by file name without .json (`networkpolicies.networking.k8s.io`), for what later parts read. */
  raw: Map<string, unknown[]>;
  /** Resources that could not be had, by the same names, each with the reason; their lists are empty and say nothing. */
  missing: Map<string, string>;
}
