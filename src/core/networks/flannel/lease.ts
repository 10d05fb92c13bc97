/** A node's lease of the cluster's network, as its Node object tells it to the other nodes. */
import { formatIp, parseIp, parsePrefix, type Prefix } from "../../model/address.ts";
import type { Node } from "../../model/cluster.ts";
import { parseObject, reader } from "../cni/json-config.ts";

/** The lease in one address family. */
export interface FamilyLease {
  subnet: Prefix;
  /** Where the other nodes send to. */
  publicIP: string;
  /** Address of the node's tunnel device; null when its backend has none. */
  vtepMac: string | null;
  vni: number | null;
}

export interface Lease {
  node: string;
  /** vxlan, host-gw … */
  backend: string;
  v4: FamilyLease | null;
  v6: FamilyLease | null;
}

/** Keys of flannel's annotations: `prefix` with a slash or dash behind it when it has none (pkg/subnet/kube, newAnnotations). */
export function annotationKey(prefix: string, name: string): string {
  const start = prefix.includes("/") ? prefix : `${prefix}/`;
  return `${start}${start.endsWith("/") || start.endsWith("-") ? "" : "-"}${name}`;
}

/** `{"VNI":1,"VtepMAC":"…"}`; for backends without data `null`. */
function backendData(text: string | undefined, what: string): { vtepMac: string | null; vni: number | null } {
  if (text === undefined || !text.startsWith("{")) return { vtepMac: null, vni: null };
  const data = reader(parseObject(text, what), what);
  return { vtepMac: data.text("VtepMAC")?.toLowerCase() ?? null, vni: data.integer("VNI") };
}

/**
 * The lease that a Node's annotations and podCIDRs tell (pkg/subnet/kube, nodeToLease); null for a node that flannel does not manage.
 * A family is null when the node has no address or no pod network of it. Throws IntentError when the backend's data is no JSON.
 */
export function leaseOf(node: Node, prefix: string): Lease | null {
  const annotation = (name: string): string | undefined => node.annotations[annotationKey(prefix, name)];
  if (annotation("kube-subnet-manager") !== "true") return null;
  const cidrs = node.podCIDRs.map(parsePrefix).filter((cidr) => cidr !== null);
  const family = (v: 4 | 6, ip: string, data: string): FamilyLease | null => {
    const subnet = cidrs.find((cidr) => cidr.ip.v === v);
    const publicIP = parseIp(annotation(ip) ?? "");
    if (subnet === undefined || publicIP === null || publicIP.v !== v) return null;
    const what = `Node ${node.name}, annotation ${annotationKey(prefix, data)}`;
    return { subnet, publicIP: formatIp(publicIP), ...backendData(annotation(data), what) };
  };
  return {
    node: node.name,
    backend: annotation("backend-type") ?? "",
    v4: family(4, "public-ip", "backend-data"),
    v6: family(6, "public-ipv6", "backend-v6-data"),
  };
}
