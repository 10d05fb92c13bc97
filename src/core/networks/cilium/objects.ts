/** Cilium's own objects (cilium.io/v2), reduced to what its datapath is made of. */
import type { Cluster } from "../../model/cluster.ts";
import { at, listAt, mapAt, numberAt, plain, textAt, textsAt } from "../raw-paths.ts";

/** A CiliumNode: what an agent tells the others of its node. */
export interface CiliumNode {
  name: string;
  /** Addresses by type: InternalIP, CiliumInternalIP (of cilium_host, the pods' gateway). */
  addresses: { type: string; ip: string }[];
  /** What its pods' addresses are taken from. */
  podCidrs: string[];
  /** Addresses of its health endpoint. */
  health: string[];
  /** Key id when it encrypts with IPsec; 0 for none. */
  encryptionKey: number;
}

/** A CiliumEndpoint: a pod as an agent knows it. */
export interface CiliumEndpoint {
  namespace: string;
  name: string;
  /** Number of the endpoint on its node: names its policy map. */
  id: number | null;
  identity: number | null;
  ips: string[];
  /** Address of the node that it is on. */
  node: string | null;
  namedPorts: { name: string; port: number; protocol: string }[];
}

/** A CiliumIdentity: a number for a set of labels. */
export interface CiliumIdentity {
  id: number;
  /** `k8s:app` → `web`, `k8s:io.kubernetes.pod.namespace` → `shop`. */
  labels: ReadonlyMap<string, string>;
}

const objectsOf = (cluster: Cluster, resource: string): readonly unknown[] =>
  cluster.raw.get(`${resource}.cilium.io`) ?? [];

/** Every node that Cilium knows, by name. */
export function ciliumNodes(cluster: Cluster): Map<string, CiliumNode> {
  const nodes = new Map<string, CiliumNode>();
  for (const object of objectsOf(cluster, "ciliumnodes")) {
    const name = textAt(object, "metadata", "name");
    if (name === null) continue;
    const pools = listAt(object, "spec", "ipam", "pools", "allocated").flatMap((pool) => textsAt(pool, "cidrs"));
    const health = ["ipv4", "ipv6"].flatMap((family) => textAt(object, "spec", "health", family) || []);
    nodes.set(name, {
      name,
      addresses: listAt(object, "spec", "addresses").flatMap((each) => {
        const [type, ip] = [textAt(each, "type"), textAt(each, "ip")];
        return type === null || ip === null ? [] : [{ type, ip }];
      }),
      podCidrs: [...textsAt(object, "spec", "ipam", "podCIDRs"), ...pools],
      health,
      encryptionKey: numberAt(object, "spec", "encryption", "key") ?? 0,
    });
  }
  return nodes;
}

/** Every pod that Cilium knows, by `namespace/name`. */
export function ciliumEndpoints(cluster: Cluster): Map<string, CiliumEndpoint> {
  const endpoints = new Map<string, CiliumEndpoint>();
  for (const object of objectsOf(cluster, "ciliumendpoints")) {
    const [namespace, name] = [textAt(object, "metadata", "namespace"), textAt(object, "metadata", "name")];
    if (namespace === null || name === null) continue;
    const status = plain(at(object, "status"));
    endpoints.set(`${namespace}/${name}`, {
      namespace,
      name,
      id: numberAt(status, "id"),
      identity: numberAt(status, "identity", "id"),
      ips: listAt(status, "networking", "addressing").flatMap((each) =>
        ["ipv4", "ipv6"].flatMap((family) => textAt(each, family) || []),
      ),
      node: textAt(status, "networking", "node"),
      namedPorts: listAt(status, "named-ports").flatMap((each) => {
        const [port, label] = [numberAt(each, "port"), textAt(each, "name")];
        return port === null || label === null
          ? []
          : [{ name: label, port, protocol: textAt(each, "protocol") ?? "TCP" }];
      }),
    });
  }
  return endpoints;
}

/** Every identity of labels. */
export function ciliumIdentities(cluster: Cluster): CiliumIdentity[] {
  return objectsOf(cluster, "ciliumidentities").flatMap((object) => {
    const id = numberAt(object, "metadata", "name");
    return id === null ? [] : [{ id, labels: mapAt(object, "security-labels") }];
  });
}

/** The node's own addresses, on which NodePorts answer: not that of cilium_host. */
export function nodeAddresses(node: CiliumNode): string[] {
  return node.addresses
    .filter((each) => each.type === "InternalIP" || each.type === "ExternalIP")
    .map((each) => each.ip);
}

/** Kinds of policy that are not modelled and of which there is at least one: what they say of a pod is not known. */
export function unknownPolicies(cluster: Cluster): string[] {
  return ["ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies"].filter(
    (resource) => objectsOf(cluster, resource).length > 0,
  );
}
