/** Nodes whose address is wrong beside those of the others: beyond their network, or the same. */
import { formatIp, inPrefix, parseIp, prefixOf, sameIp } from "../model/address.ts";
import type { Suspicion } from "./check.ts";
import {
  holds,
  kubeletRemedy,
  linkEvidence,
  nodeEvidence,
  ownAddresses,
  through,
  type NodeSubject,
} from "./node-subjects.ts";

export const NODE_ADDRESS = "node-address-wrong";

/**
 * The node that alone goes by an address beyond the network of a virtual address or of the other nodes, though it has one within
 * (baremetal-runtimecfg pkg/utils, AddressesRouting, takes that one).
 */
export function oddOneOut(
  subject: NodeSubject,
  subjects: readonly NodeSubject[],
  vips: ReadonlyMap<string, readonly string[]>,
): Suspicion[] {
  const { host, machine, node } = subject;
  return ([4, 6] as const).flatMap((family): Suspicion[] => {
    const internal = subject.internal.filter((ip) => ip.v === family);
    if (internal.length === 0) return [];
    const own = ownAddresses(host, machine, family).filter(({ ip }) => !vips.has(formatIp(ip)));
    const others = subjects
      .filter((each) => each !== subject)
      .map((each) => each.internal.find((ip) => ip.v === family))
      .filter((ip) => ip !== undefined);
    for (const each of own) {
      const network = prefixOf(each.ip, each.len);
      if (each.len >= (family === 4 ? 31 : 127) || internal.some((ip) => inPrefix(ip, network))) continue;
      const near = others.filter((ip) => inPrefix(ip, network)).length;
      if (near < 2 || near < others.length) continue;
      const vip = [...vips].find(([text, holders]) => holders.includes(node.name) && inPrefix(parseIp(text)!, network));
      const text = internal.map(formatIp).join(", ");
      const beside = vip === undefined ? "the other nodes" : `the other nodes and the virtual address ${vip[0]}`;
      return [
        {
          id: NODE_ADDRESS,
          at: host.place,
          summary: `Node ${node.name} goes by ${text}, while ${beside} are in the network of its ${each.dev} ${formatIp(each.ip)}/${each.len}: its peers depend on a way between the two networks`,
          evidence: [nodeEvidence(subject, `InternalIP ${text}`), ...linkEvidence(subject, family)],
          remedy: kubeletRemedy(subject, formatIp(each.ip)),
          hurts: internal.flatMap((ip) => through(subject.chart, ip)),
          otherwise: vip === undefined ? "info" : "warning",
        },
      ];
    }
    return [];
  });
}

/** One InternalIP of several nodes: each holds it behind a translation of its own, as the first interface of many virtual machines. */
export function shared(subjects: readonly NodeSubject[]): Suspicion[] {
  const byAddress = new Map<string, NodeSubject[]>();
  for (const subject of subjects)
    for (const ip of subject.internal) byAddress.set(formatIp(ip), [...(byAddress.get(formatIp(ip)) ?? []), subject]);
  return [...byAddress].flatMap(([address, holders]): Suspicion[] => {
    const [first] = holders;
    const ip = parseIp(address);
    if (first === undefined || holders.length < 2 || ip === null) return [];
    // Of a node that does not have it, that alone is the fault.
    if (!holders.every((each) => holds(each.host, ip))) return [];
    const remedies = holders.flatMap((each) => {
      const other = ownAddresses(each.host, each.machine, ip.v).find((own) => !sameIp(own.ip, ip));
      return other === undefined ? [] : kubeletRemedy(each, formatIp(other.ip));
    });
    return [
      {
        id: NODE_ADDRESS,
        at: "cluster",
        summary: `Nodes ${holders.map((each) => each.node.name).join(", ")} all go by ${address}: nobody can tell them apart`,
        evidence: holders.map((each) => nodeEvidence(each, `InternalIP ${address}`)),
        remedy:
          remedies.length > 0 ? remedies : ["# give each node an address of its own, and kubelet --node-ip with it"],
        hurts: through(first.chart, ip),
        otherwise: "warning",
      },
    ];
  });
}
