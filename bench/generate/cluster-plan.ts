/** Who is who in a made cluster: nodes, pods, Services and connections, with their names and addresses. */
import { dotted, kubeHash, kubeProxyServices, podAddress, type KubeService } from "./kube-proxy-iptables.ts";
import { seededRandom } from "./random.ts";

export interface ClusterSize {
  nodes: number;
  /** Of each node, at most 250: flannel gives a node 254 addresses. */
  podsPerNode: number;
  /** Every pod is an endpoint of one of them, as far as they go round. */
  services: number;
}

export interface PlannedPod {
  namespace: string;
  name: string;
  /** Number on its node, from 0. */
  index: number;
  ip: string;
  mac: string;
  /** The Service whose endpoint it is; null for a pod that is left over. */
  service: KubeService | null;
  /** The sandbox: container id, name of the namespace in /run/netns, inode. */
  sandbox: string;
  netns: string;
  inode: number;
  /** Its port of the bridge. */
  veth: string;
  vethMac: string;
}

/** A connection of TCP through a Service, as conntrack of both nodes has it. */
export interface Flow {
  client: string;
  clientPort: number;
  clusterIP: string;
  port: number;
  endpoint: string;
  endpointPort: number;
}

export interface PlannedNode {
  name: string;
  number: number;
  ip: string;
  /** Block of addresses, the bridge's and flannel.1's. */
  block: string;
  bridgeIp: string;
  vtepIp: string;
  uplinkMac: string;
  bridgeMac: string;
  vtepMac: string;
  pods: PlannedPod[];
  /** Flows that begin here, and those that end here and began elsewhere. */
  clients: Flow[];
  servers: Flow[];
}

export interface ClusterPlan {
  size: ClusterSize;
  nodes: PlannedNode[];
  services: KubeService[];
}

/** What `ip link` gives the pods' devices. */
export const POD_MTU = 1450;
export const DNS_IP = "10.96.0.10";
export const API_PORT = 6443;

/** 172.30.0.0/16, from .10 of its first /24 on. */
const NODE_BASE = 0xac1e000a;
const FLOWS_PER_NODE = 8;

const hex = (n: number, width: number): string => n.toString(16).padStart(width, "0");

/** A locally administered MAC; `kind` tells the devices of one node apart. */
function mac(kind: number, node: number, pod: number): string {
  return `02:${hex(kind, 2)}:${hex(node >> 8, 2)}:${hex(node & 255, 2)}:00:${hex(pod, 2)}`;
}

/** Hexadecimal digits that look drawn, the same for the same name. */
function digits(name: string, count: number): string {
  const random = seededRandom([...name].reduce((h, c) => (Math.imul(h, 31) + c.charCodeAt(0)) >>> 0, 7));
  let out = "";
  while (out.length < count) out += hex(Math.floor(random() * 2 ** 32), 8);
  return out.slice(0, count);
}

function uuid(name: string): string {
  const d = digits(name, 32);
  return `${d.slice(0, 8)}-${d.slice(8, 12)}-${d.slice(12, 16)}-${d.slice(16, 20)}-${d.slice(20)}`;
}

/** Names as a ReplicaSet makes them. */
function podName(service: string, node: number, index: number): string {
  const lower = (text: string, length: number): string => kubeHash(text).toLowerCase().slice(0, length);
  return `${service}-${lower(service, 9)}-${lower(`${service} ${node} ${index}`, 5)}`;
}

/** Nodes for each DNS server at most, as cluster-proportional-autoscaler is usually told. */
const NODES_PER_DNS_SERVER = 16;

/**
 * The Services: kube-dns with its two ports, the API server, and those of teams. kube-dns is the first of them, and in a large cluster takes
 * the endpoints of the next ones, too, for want of servers.
 */
function plannedServices(size: ClusterSize, apiServer: string): KubeService[] {
  const endpointsPerService = Math.max(1, Math.floor((size.nodes * size.podsPerNode) / size.services));
  const all = kubeProxyServices({
    services: size.services,
    endpointsPerService,
    nodes: size.nodes,
    podsPerNode: size.podsPerNode,
  });
  const ofDns = Math.max(1, Math.ceil(size.nodes / NODES_PER_DNS_SERVER / endpointsPerService));
  const servers = all.slice(0, ofDns).flatMap((service) => service.endpoints);
  const dns = (portName: string, protocol: "tcp" | "udp"): KubeService => ({
    namespace: "kube-system",
    name: "kube-dns",
    portName,
    protocol,
    clusterIP: DNS_IP,
    port: 53,
    endpoints: servers
      .map((endpoint) => ({ ...endpoint, port: 53 }))
      .toSorted((a, b) => (`${a.ip}:${a.port}` < `${b.ip}:${b.port}` ? -1 : 1)),
  });
  const api: KubeService = {
    namespace: "default",
    name: "kubernetes",
    portName: "https",
    protocol: "tcp",
    clusterIP: "10.96.0.1",
    port: 443,
    endpoints: [{ ip: apiServer, port: API_PORT, node: 0 }],
  };
  return [api, dns("dns", "udp"), dns("dns-tcp", "tcp"), ...all.slice(ofDns)];
}

function plannedNode(number: number, size: ClusterSize, serviceOf: ReadonlyMap<string, KubeService>): PlannedNode {
  const name = `n${number + 1}`;
  const address = (index: number): string => dotted(podAddress(number, index, size.podsPerNode));
  const pods = Array.from({ length: size.podsPerNode }, (_, index): PlannedPod => {
    const ip = address(index);
    const service = serviceOf.get(ip) ?? null;
    const isDns = service?.name === "kube-dns";
    const own = isDns ? "coredns" : (service?.name ?? "batch");
    const unique = `${name} ${index}`;
    return {
      namespace: service?.namespace ?? "default",
      name: podName(own, number, index),
      index,
      ip,
      mac: mac(4, number, index),
      service,
      sandbox: digits(`${unique} sandbox`, 64),
      netns: `cni-${uuid(`${unique} netns`)}`,
      inode: 4026532300 + index,
      veth: `veth${digits(`${unique} veth`, 8)}`,
      vethMac: mac(5, number, index),
    };
  });
  return {
    name,
    number,
    ip: dotted(NODE_BASE + number),
    block: `${address(-2)}/24`,
    bridgeIp: address(-1),
    vtepIp: address(-2),
    uplinkMac: mac(1, number, 0),
    bridgeMac: mac(2, number, 0),
    vtepMac: mac(3, number, 0),
    pods,
    clients: [],
    servers: [],
  };
}

/** Some connections of each node's pods to Services; both nodes know of them. */
function addFlows(nodes: readonly PlannedNode[], services: readonly KubeService[]): void {
  const random = seededRandom(11);
  const draw = (n: number): number => Math.floor(random() * n);
  const overTcp = services.filter((s) => s.protocol === "tcp" && s.name !== "kubernetes" && s.endpoints.length > 0);
  for (const node of nodes) {
    for (let i = 0; i < FLOWS_PER_NODE && node.pods.length > 0 && overTcp.length > 0; i++) {
      const client = node.pods[draw(node.pods.length)]!;
      const service = overTcp[draw(overTcp.length)]!;
      const endpoint = service.endpoints[draw(service.endpoints.length)]!;
      if (endpoint.ip === client.ip) continue;
      const flow: Flow = {
        client: client.ip,
        clientPort: 32768 + draw(28000),
        clusterIP: service.clusterIP,
        port: service.port,
        endpoint: endpoint.ip,
        endpointPort: endpoint.port,
      };
      node.clients.push(flow);
      if (endpoint.node !== node.number) nodes[endpoint.node]?.servers.push(flow);
    }
  }
}

/** Plans a cluster; equal sizes give equal plans. Throws RangeError for what the networks do not hold. */
export function planCluster(size: ClusterSize): ClusterPlan {
  if (size.podsPerNode > 250) throw new RangeError("flannel gives a node 254 addresses: at most 250 pods");
  const services = plannedServices(size, dotted(NODE_BASE));
  const serviceOf = new Map<string, KubeService>();
  for (const service of services.slice(1)) for (const { ip } of service.endpoints) serviceOf.set(ip, service);
  const nodes = Array.from({ length: size.nodes }, (_, number) => plannedNode(number, size, serviceOf));
  addFlows(nodes, services);
  return { size, nodes, services };
}
