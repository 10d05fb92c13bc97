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

export interface Service extends ObjectMeta {
  type: string;
  /** Empty for headless (`None`) and ExternalName. */
  clusterIPs: string[];
  headless: boolean;
  externalName: string | null;
  externalIPs: string[];
  loadBalancerIPs: string[];
  ports: ServicePort[];
  selector: Record<string, string>;
  sessionAffinity: string;
  externalTrafficPolicy: string;
  internalTrafficPolicy: string;
}

export interface Endpoint {
  addresses: string[];
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  node: string | null;
  hostname: string | null;
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
