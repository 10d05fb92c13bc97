/** Nodes as Calico knows them: by the annotations that calico-node writes on them (libcalico-go/lib/backend/k8s/resources/node.go). */
import { formatIp, parseIp, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import type { Cluster, Node } from "../../model/cluster.ts";
import { vtepMac } from "./names.ts";

export interface CalicoNode {
  name: string;
  /** Its address and the subnet that it stands in, by family. */
  address: { 4: NodeAddress | null; 6: NodeAddress | null };
  /** Ends of its tunnels. */
  vtep: { 4: Vtep | null; 6: Vtep | null };
  ipipAddress: string | null;
}

export interface NodeAddress {
  ip: Ip;
  text: string;
  subnet: Prefix;
}

export interface Vtep {
  /** Address of the tunnel's device. */
  address: string;
  mac: string;
  /** Address of the node. */
  node: string;
}

const ANNOTATION = "projectcalico.org/";

function addressOf(given: string | undefined, node: Node, family: 4 | 6): NodeAddress | null {
  const fallback = ["InternalIP", "ExternalIP"]
    .flatMap((type) => node.addresses.filter((each) => each.type === type))
    .find((each) => parseIp(each.address)?.v === family)?.address;
  const text = given ?? fallback;
  if (text === undefined) return null;
  const ip = parseIp(text.split("/", 1)[0] ?? "");
  const subnet = parsePrefix(text);
  return ip === null || subnet === null ? null : { ip, text: formatIp(ip), subnet };
}

function calicoNode(node: Node): CalicoNode {
  const note = (name: string): string | undefined => node.annotations[ANNOTATION + name] || undefined;
  const address = {
    4: addressOf(note("IPv4Address"), node, 4),
    6: addressOf(note("IPv6Address"), node, 6),
  };
  const vtep = (family: 4 | 6, tunnel: string | undefined, mac: string | undefined): Vtep | null => {
    const own = address[family];
    if (tunnel === undefined || own === null) return null;
    return { address: tunnel, mac: mac ?? vtepMac(node.name, family), node: own.text };
  };
  return {
    name: node.name,
    address,
    vtep: {
      4: vtep(4, note("IPv4VXLANTunnelAddr"), note("VXLANTunnelMACAddr")),
      6: vtep(6, note("IPv6VXLANTunnelAddr"), note("VXLANTunnelMACAddrV6")),
    },
    ipipAddress: note("IPv4IPIPTunnelAddr") ?? null,
  };
}

export function calicoNodes(cluster: Cluster): Map<string, CalicoNode> {
  return new Map(cluster.nodes.map((node) => [node.name, calicoNode(node)]));
}
