/** How kube-proxy tells packets of its own node's pods. */
import { formatPrefix, parsePrefix } from "../../model/address.ts";
import type { IpFamily } from "./node-ips.ts";

export type LocalTraffic =
  /** Source addresses within a prefix. */
  | { by: "cidr"; cidr: string }
  /** Packets that come in by one bridge. */
  | { by: "bridge"; name: string }
  /** Packets that come in by a device whose name begins so. */
  | { by: "prefix"; prefix: string };

/** First prefix of the family; null for none. Prefixes that cannot be read are passed over, as kube-proxy does. */
function firstOf(family: IpFamily, cidrs: readonly string[]): LocalTraffic | null {
  const found = cidrs.map((cidr) => parsePrefix(cidr.trim())).find((prefix) => prefix?.ip.v === family);
  return found === undefined || found === null ? null : { by: "cidr", cidr: formatPrefix(found) };
}

/**
 * What marks a pod's packet in one family; null when nothing does (cmd/kube-proxy/app/server_linux.go, getLocalDetectors).
 * `mode` is ClusterCIDR, NodeCIDR, BridgeInterface or InterfaceNamePrefix.
 */
export function localTraffic(
  family: IpFamily,
  mode: string,
  given: { clusterCIDRs: readonly string[]; podCIDRs: readonly string[]; bridge: string; prefix: string },
): LocalTraffic | null {
  switch (mode) {
    case "NodeCIDR":
      return firstOf(family, given.podCIDRs);
    case "BridgeInterface":
      return { by: "bridge", name: given.bridge };
    case "InterfaceNamePrefix":
      return { by: "prefix", prefix: given.prefix };
    default:
      return firstOf(family, given.clusterCIDRs);
  }
}
