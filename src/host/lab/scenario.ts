/**
 * A scenario: what a lab is to be, as one short YAML file says it. The first document is the scenario; further documents are Kubernetes
 * objects (and those of kubewalk/v1, such as Machine, HostRouter, VirtualIP, DockerHost) that are taken as they stand.
 */
import type { WrittenObject } from "../../core/networks/render/objects.ts";

/** Where something was written; its methods make errors that name the line. */
export interface Written {
  file: string;
  line: number;
}

/** A network and one of its modes, by the names of `kubewalk render --list`. Mode null: the objects', else the network's first. */
export interface NetworkChoice {
  network: string;
  mode: string | null;
}

export interface NodeSpec extends Written {
  name: string;
  /** The rack (segment) that it stands in, when the fabric has racks. */
  rack: string | null;
  zone: string | null;
  /** Its InternalIPs; empty: those that the fabric gives it. */
  addresses: string[];
  podCIDRs: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  controlPlane: boolean;
}

/** A machine that is no node. */
export interface RouterSpec extends Written {
  name: string;
  /** Whether it forwards; one that does not is a host. */
  forwards: boolean;
  /** Addresses on its lo, with lengths. */
  addresses: string[];
  /** `to` is a network or `default`. */
  routes: { to: string; via: string[] }[];
  /** Ports that it serves: 8080, "8080/udp". */
  ports: PortSpec[];
}

/** A stretch of layer 2, and who hangs on it. */
export interface SegmentSpec extends Written {
  name: string;
  mtu: number;
  attached: { machine: string; dev: string; addresses: string[] }[];
  /** Machine of the segment that the others have as their default router; null for none. */
  gateway: string | null;
}

/**
 * `l2`: all nodes on one segment 172.30.0.0/24. `racks`: a segment 172.30.R.0/24 for each rack. The machine `fabric` routes between them and
 * to the host `outside` (192.168.30.2). `tors`: no layer 2 beyond cables: each node has one to each of the routers tor1, tor2
 * (172.20.T.0/24 in /31s), and these to `fabric` (172.21.T.0/31); nodes have 172.30.0.N/32 on lo. `custom`: as `segments` and `routers` say.
 */
export interface FabricSpec extends Written {
  kind: "l2" | "racks" | "tors" | "custom";
  racks: number;
  /** Whether there is a host beyond the router. */
  outside: boolean;
  mtu: number;
  segments: SegmentSpec[];
  routers: RouterSpec[];
}

export interface PortSpec {
  name: string | null;
  port: number;
  protocol: "TCP" | "UDP" | "SCTP";
  hostPort: number | null;
  hostIP: string | null;
}

/** Pods of one kind: `name` itself, or `name-1` … `name-COUNT` when a count was written. */
export interface PodsSpec extends Written {
  name: string;
  namespace: string;
  /** Null: one pod of exactly this name. */
  count: number | null;
  /** Nodes that they are dealt out to in turn; empty: all. */
  on: string[];
  labels: Record<string, string>;
  annotations: Record<string, string>;
  ports: PortSpec[];
  hostNetwork: boolean;
  ready: boolean;
  /** Addresses that the first pods get; the others get what the network's IPAM gives. */
  addresses: string[];
  /** Further fields of the Pod's spec, as Kubernetes has them. */
  spec: Record<string, unknown>;
}

export interface ServicePortSpec {
  name: string | null;
  port: number;
  targetPort: number | string;
  protocol: "TCP" | "UDP" | "SCTP";
  nodePort: number | null;
}

export interface ServiceSpec extends Written {
  name: string;
  namespace: string;
  type: "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName";
  selector: Record<string, string>;
  ports: ServicePortSpec[];
  /** Further fields of the Service's spec, as Kubernetes has them: clusterIP, sessionAffinity, externalTrafficPolicy … */
  spec: Record<string, unknown>;
  annotations: Record<string, string>;
}

/** A NetworkPolicy: `spec` is Kubernetes' own, made of `to`, `from` and `ports` when those were written. */
export interface PolicySpec extends Written {
  name: string;
  namespace: string;
  spec: Record<string, unknown>;
}

/** A real daemon that is started; options are the daemon's own. */
export interface DaemonSpec extends Written {
  name: string;
  /** Machines that it runs on; empty: those that it means by itself. */
  on: string[];
  options: Record<string, unknown>;
}

export interface FaultSpec extends Written {
  id: string;
  /** Options of the fault's own, such as the node. */
  options: Record<string, unknown>;
}

export interface Scenario extends Written {
  /** Name of the scenario; of the lab, too, unless another is given. */
  name: string;
  about: string;
  /** The pods' network first, then what else there is: kube-proxy, metallb, dns … In this order they are computed. */
  networks: NetworkChoice[];
  /** Families of the nodes' and pods' networks, the first one first. */
  families: (4 | 6)[];
  nodes: NodeSpec[];
  fabric: FabricSpec;
  pods: PodsSpec[];
  services: ServiceSpec[];
  policies: PolicySpec[];
  daemons: DaemonSpec[];
  /** Faults that are there from the beginning. */
  faults: FaultSpec[];
  /** Settings of nodes, by key of sysctl(8), set before the network comes. */
  sysctls: Record<string, string>;
  /** The further documents of the file. */
  objects: WrittenObject[];
}
