/** Which addresses kube-proxy takes for its node's own. */
import { formatIp, parseIp } from "../../model/address.ts";
import type { Node } from "../../model/cluster.ts";

export type IpFamily = 4 | 6;

export interface NodeIps {
  /** Family of the first address. */
  primary: IpFamily;
  ips: Record<IpFamily, string>;
}

/** First InternalIP, else first ExternalIP, and the next of that kind of the other family (component-helpers GetNodeHostIPs). */
function hostIps(node: Node | null): string[] {
  const all = ["InternalIP", "ExternalIP"].flatMap((type) =>
    (node?.addresses ?? []).filter((each) => each.type === type).map((each) => each.address),
  );
  const ips = all.map(parseIp).filter((ip) => ip !== null);
  const first = ips[0];
  if (first === undefined) return [];
  const second = ips.find((ip) => ip.v !== first.v);
  return (second === undefined ? [first] : [first, second]).map(formatIp);
}

/**
 * The node's addresses, one of each family: the Node object's, loopback's where it has none, and a `bindAddress` that is not
 * 0.0.0.0 or :: before either (cmd/kube-proxy/app/server.go, detectNodeIPs).
 */
export function nodeIps(node: Node | null, bindAddress: string): NodeIps {
  const found: NodeIps = { primary: 4, ips: { 4: "127.0.0.1", 6: "::1" } };
  const own = hostIps(node);
  for (const text of own) found.ips[text.includes(":") ? 6 : 4] = text;
  if (own[0]?.includes(":") === true) found.primary = 6;
  const bound = parseIp(bindAddress);
  if (bound !== null && (bound.a | bound.b | bound.c | bound.d) !== 0) {
    found.primary = bound.v;
    found.ips[bound.v] = formatIp(bound);
  }
  return found;
}
