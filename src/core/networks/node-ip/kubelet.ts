/**
 * The addresses that kubelet gives its node (pkg/kubelet/nodestatus/setters.go NodeAddress, pkg/kubelet/kubelet_node_status.go
 * validateNodeIP, component-helpers/node/util/ips.go; Kubernetes v1.34).
 */
import { formatIp, sameIp, type Ip } from "../../model/address.ts";
import { resolveBindAddress } from "./bind-address.ts";
import { goIp, isLinkLocal, isLoopback, isMulticast, isUnspecified, unmapped, type HostView } from "./host-view.ts";

export interface NodeAddress {
  type: "InternalIP" | "ExternalIP" | "Hostname" | "InternalDNS" | "ExternalDNS";
  address: string;
  /** Why this one. */
  because: string;
}

export interface KubeletFlags {
  /** `--node-ip` as it stands; empty for none. */
  nodeIp: string;
  /** `--cloud-provider`. */
  cloudProvider: "" | "external";
  /** Name that kubelet goes by: `--hostname-override`, else the machine's. */
  hostname: string;
}

export interface NodeAddressChoice {
  addresses: NodeAddress[];
  /** Annotation alpha.kubernetes.io/provided-node-ip; null when kubelet removes it. */
  annotation: string | null;
  /** What kubelet logs and passes over. */
  warnings: string[];
  /** What kubelet fails with; there are no addresses then. */
  error: string | null;
}

const failed = (error: string, warnings: string[] = []): NodeAddressChoice => ({
  addresses: [],
  annotation: null,
  warnings,
  error,
});

/**
 * Reads `--node-ip` (ParseNodeIPArgument): one address or a pair of both families; what is no address is passed over. An IPv4-mapped
 * IPv6 address counts as IPv4.
 */
export function parseNodeIp(text: string): { ips: Ip[]; warnings: string[]; error: string | null } {
  const ips: Ip[] = [];
  const warnings: string[] = [];
  for (const part of text === "" ? [] : text.split(",")) {
    const ip = goIp(part.trim());
    if (ip === null) warnings.push(`"${part.trim()}" of --node-ip is no address and is passed over`);
    else ips.push(ip);
  }
  const [first, second] = ips;
  let error: string | null = null;
  if (ips.length > 2 || (first !== undefined && second !== undefined && first.v === second.v))
    error = "must contain either a single IP or a dual-stack pair of IPs";
  else if (first !== undefined && second !== undefined && (isUnspecified(first) || isUnspecified(second)))
    error = "dual-stack node IP cannot include '0.0.0.0' or '::'";
  return { ips, warnings, error };
}

/** What is wrong with an address that was asked for, in kubelet's words; null when it will do. */
function validateNodeIp(ip: Ip, view: HostView): string | null {
  if (isLoopback(ip)) return "nodeIP can't be loopback address";
  if (isMulticast(ip)) return "nodeIP can't be a multicast address";
  if (isLinkLocal(ip)) return "nodeIP can't be a link-local unicast address";
  if (isUnspecified(ip)) return "nodeIP can't be an all zeros address";
  const present = view.links.some((link) => link.addresses.some((each) => sameIp(unmapped(each.ip), ip)));
  return present ? null : `node IP: "${formatIp(ip)}" not found in the host's network interfaces`;
}

/**
 * kubelet's choice. `lookUp` gives the addresses that the host's resolver has for the node's name, in its order; `existing` is what
 * status.addresses holds already (kept with an external cloud provider).
 */
export function kubeletNodeAddresses(
  flags: KubeletFlags,
  view: HostView,
  lookUp: (name: string) => string[] = () => [],
  existing: readonly NodeAddress[] = [],
): NodeAddressChoice {
  const given = parseNodeIp(flags.nodeIp);
  if (given.error !== null) return failed(`bad --node-ip "${flags.nodeIp}": ${given.error}`, given.warnings);
  const [first, second] = given.ips;
  const nodeIp = first !== undefined && !isUnspecified(first) ? first : null;
  const secondary = second !== undefined && !isUnspecified(second) ? second : null;
  for (const [ip, name] of [
    [nodeIp, "nodeIP"],
    [secondary, "secondaryNodeIP"],
  ] as const) {
    const wrong = ip === null ? null : validateNodeIp(ip, view);
    if (wrong !== null) return failed(`failed to validate ${name}: ${wrong}`, given.warnings);
  }
  const external = flags.cloudProvider === "external";
  const annotation =
    external && nodeIp !== null ? formatIp(nodeIp) + (secondary === null ? "" : `,${formatIp(secondary)}`) : null;
  const chosen = (addresses: NodeAddress[]): NodeAddressChoice => ({
    addresses,
    annotation,
    warnings: given.warnings,
    error: null,
  });
  const hostname: NodeAddress = { type: "Hostname", address: flags.hostname, because: "kubelet's name for the node" };
  const internal = (ip: Ip, because: string): NodeAddress => ({ type: "InternalIP", address: formatIp(ip), because });
  if (external && existing.length > 0) return chosen([...existing]);
  if (external && first === undefined) return chosen([hostname]);
  if (nodeIp !== null && secondary !== null)
    return chosen([internal(nodeIp, "first of --node-ip"), internal(secondary, "second of --node-ip"), hostname]);
  if (nodeIp !== null) return chosen([internal(nodeIp, "--node-ip"), hostname]);
  const named = goIp(flags.hostname);
  if (named !== null) return chosen([internal(named, "the node's name is an address"), hostname]);
  const preferred = first?.v ?? 4;
  const found = lookUp(flags.hostname)
    .map(goIp)
    .filter((ip) => ip !== null && validateNodeIp(ip, view) === null) as Ip[];
  const byName = found.find((ip) => ip.v === preferred) ?? found[0];
  if (byName !== undefined)
    return chosen([internal(byName, `what the host's resolver has for ${flags.hostname}`), hostname]);
  const bound = resolveBindAddress(first ?? null, view);
  if (bound.ip === null) return failed(`no address for node ${flags.hostname}: ${bound.error}`, given.warnings);
  return chosen([internal(bound.ip, bound.because), hostname]);
}

/**
 * What an external cloud provider makes of its own addresses and the annotation (cloud-provider/node/helpers/address.go
 * GetNodeAddressesFromNodeIP): each address of the annotation must be among them and becomes the only one of its type. Without the
 * annotation: all of them.
 */
export function cloudNodeAddresses(
  annotation: string | null,
  cloud: readonly NodeAddress[],
): { addresses: NodeAddress[]; error: string | null } {
  if (annotation === null) return { addresses: [...cloud], error: null };
  const ips = annotation.split(",").map(goIp);
  if (ips.includes(null)) return { addresses: [], error: `the annotation "${annotation}" holds what is no address` };
  const enforced: NodeAddress[] = [];
  for (const ip of ips as Ip[]) {
    const text = formatIp(ip);
    const matching = cloud.filter((each) => each.address === text);
    if (matching.length === 0)
      return { addresses: [], error: `${text} is not among the addresses that the cloud gives the node` };
    enforced.push(...matching);
  }
  const types = new Set(enforced.map((each) => each.type));
  return { addresses: [...enforced, ...cloud.filter((each) => !types.has(each.type))], error: null };
}
