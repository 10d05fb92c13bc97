/** The other way round: what an address is, in the words that people use. */
import { formatIp } from "../model/address.ts";
import { hasEnded, type Directory } from "./directory.ts";

/**
 * A function from address text to what has it: `svc shop/web`, `pod shop/web-1`, `node n1`, `n1 cni0`; undefined for an
 * address that nobody in the snapshot has. The index is made at once, linear in all addresses.
 */
export function createLabels(dir: Directory): (address: string) => string | undefined {
  const labels = new Map<string, string>();
  const add = (address: string, label: string): void => {
    if (!labels.has(address)) labels.set(address, label);
  };
  for (const [id, s] of dir.services) {
    for (const a of [...s.clusterIPs, ...s.loadBalancerIPs, ...s.externalIPs]) add(a, `svc ${id}`);
  }
  for (const node of dir.nodes.values()) {
    for (const a of node.addresses) if (a.type === "InternalIP") add(a.address, `node ${node.name}`);
  }
  for (const pod of dir.pods.values()) {
    // The address of a pod that ended may be another's by now.
    for (const a of hasEnded(pod) ? [] : pod.ips) add(a, `pod ${pod.id}`);
  }
  for (const ns of dir.snapshot.namespaces) {
    if (ns.pod !== null) continue;
    const owner = ns.place.endsWith("/host") ? ns.node : ns.place;
    for (const link of ns.links) {
      if (link.kind.kind === "loopback") continue;
      for (const a of link.addresses) add(formatIp(a.ip), `${owner} ${link.name}`);
    }
  }
  return (address) => labels.get(address);
}
