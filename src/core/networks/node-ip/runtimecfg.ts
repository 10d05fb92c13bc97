/**
 * OpenShift's choice of a node's addresses, which becomes kubelet's --node-ip (baremetal-runtimecfg cmd/runtimecfg/node-ip.go,
 * pkg/utils/addresses_linux.go).
 */
import { compareIp, formatIp, inPrefix, prefixOf, sameIp, type Ip } from "../../model/address.ts";
import {
  goIp,
  isLinkLocal,
  isPrivate,
  isUnspecified,
  unmapped,
  type HostView,
  type ViewAddress,
  type ViewLink,
} from "./host-view.ts";

export interface RuntimecfgInput {
  /** Addresses that float between the nodes. */
  vips: readonly string[];
  preferIpv6: boolean;
  /** `--network-type`; its default is OVNKubernetes. */
  networkType: string;
  /** `--platform`, `--user-managed-lb`: they decide whether a node beyond the VIPs' network is a remote worker. */
  platform: string;
  userManagedLb: boolean;
}

export interface RuntimecfgChoice {
  /** One, or two of different families; the first is kubelet's primary. */
  addresses: { address: string; because: string }[];
  /** Whether the node is in a VIP's network; keepalived does not run on a remote worker. */
  matchesVips: boolean;
  remoteWorker: boolean;
  /** Links that hold a VIP's network when there are several: the program takes any of them, and not always the same. */
  ambiguous: string[];
  error: string | null;
}

/** OVN-Kubernetes's own address on br-ex. */
const OVN_MASQUERADE = "fd69::2";

/** ValidNodeAddress, ValidOVNNodeAddress. */
function usable(address: ViewAddress, ovn: boolean): boolean {
  if (isLinkLocal(unmapped(address.ip))) return false;
  if (address.ip.v === 6 && address.deprecated) return false;
  if (address.label?.includes("eip") === true) return false;
  return !(ovn && formatIp(address.ip) === OVN_MASQUERADE);
}

/** Length by which an address's network is known: its own, or for a /128 that of a route that was advertised on its link. */
function networks(address: ViewAddress, link: ViewLink, view: HostView): number[] {
  if (address.ip.v === 4 || address.prefixLen < 128) return [address.prefixLen];
  return view.routes
    .filter((route) => route.dev === link.name && route.dst.ip.v === 6 && route.protocol === "ra" && route.dst.len > 0)
    .map((route) => route.dst.len);
}

interface Match {
  link: ViewLink;
  address: ViewAddress;
  vip: Ip;
}

/** The first address of a link, no VIP itself, whose network holds a VIP (AddressesRouting). */
function routing(link: ViewLink, vips: readonly Ip[], view: HostView): Match | null {
  for (const address of link.addresses) {
    if (!usable(address, false) || vips.some((vip) => sameIp(vip, address.ip))) continue;
    for (const len of networks(address, link, view))
      for (const vip of vips) if (inPrefix(vip, prefixOf(address.ip, len))) return { link, address, vip };
  }
  return null;
}

/** Preferred family first; the order is otherwise kept. */
const ordered = <T extends { ip: Ip }>(list: readonly T[], preferIpv6: boolean): T[] =>
  list.toSorted((a, b) => Number((b.ip.v === 6) === preferIpv6) - Number((a.ip.v === 6) === preferIpv6));

/** Addresses on links with a default route, one of each family, best first (AddressesDefault). */
function byDefaultRoute(view: HostView, input: RuntimecfgInput, ovn: boolean): { ip: Ip; because: string }[] {
  const found = view.links.flatMap((link) => {
    const route = view.routes.find(
      (each) => each.dev === link.name && each.dst.len === 0 && isUnspecified(each.dst.ip),
    );
    if (route === undefined) return [];
    return link.addresses
      .filter((address) => usable(address, ovn))
      .map((address) => ({
        ip: address.ip,
        link,
        metric: route.metric,
        gatewayNear: route.gateway !== null && inPrefix(route.gateway, prefixOf(address.ip, address.prefixLen)),
      }));
  });
  const rank = (yes: boolean): number => (yes ? 0 : 1);
  found.sort(
    (a, b) =>
      a.metric - b.metric ||
      a.link.index - b.link.index ||
      rank((a.ip.v === 6) === input.preferIpv6) - rank((b.ip.v === 6) === input.preferIpv6) ||
      rank(a.gatewayNear) - rank(b.gatewayNear) ||
      rank(!isPrivate(unmapped(a.ip))) - rank(!isPrivate(unmapped(b.ip))) ||
      rank(unmapped(a.ip) === a.ip) - rank(unmapped(b.ip) === b.ip) ||
      compareIp(a.ip, b.ip),
  );
  return ([4, 6] as const)
    .map((family) => found.find((each) => each.ip.v === family))
    .filter((each) => each !== undefined)
    .toSorted((a, b) => found.indexOf(a) - found.indexOf(b))
    .map((each) => ({ ip: each.ip, because: `${each.link.name} has a default route of metric ${each.metric}` }));
}

/** The addresses that `runtimecfg node-ip set` chooses. Never throws. */
export function runtimecfgAddresses(input: RuntimecfgInput, view: HostView): RuntimecfgChoice {
  const failed = (error: string): RuntimecfgChoice => ({
    addresses: [],
    matchesVips: false,
    remoteWorker: false,
    ambiguous: [],
    error,
  });
  const vips: Ip[] = [];
  for (const text of input.vips) {
    const vip = goIp(text);
    if (vip === null) return failed(`the VIP "${text}" is no address`);
    vips.push(vip);
  }
  const matches = view.links.map((link) => routing(link, vips, view)).filter((match) => match !== null);
  const [match] = matches;
  let chosen: { ip: Ip; because: string }[];
  if (match === undefined) chosen = byDefaultRoute(view, input, input.networkType === "OVNKubernetes");
  else {
    const other = match.link.addresses.find((each) => each.ip.v !== match.address.ip.v && usable(each, false));
    chosen = [
      { ip: match.address.ip, because: `its network on ${match.link.name} holds the VIP ${formatIp(match.vip)}` },
      ...(other === undefined
        ? []
        : [{ ip: other.ip, because: `first address of the other family on ${match.link.name}` }]),
    ];
    chosen = ordered(chosen, input.preferIpv6);
  }
  const [primary] = chosen;
  if (primary === undefined) return failed("runtimecfg finds no address that will do");
  // The program tries to listen on it, and a tentative address cannot be bound.
  const bound = view.links.flatMap((link) => link.addresses).find((each) => sameIp(each.ip, primary.ip));
  if (primary.ip.v === 6 && bound?.tentative === true)
    return failed(`${formatIp(primary.ip)} is tentative, so nothing can listen on it as yet`);
  return {
    addresses: chosen.map(({ ip, because }) => ({ address: formatIp(ip), because })),
    matchesVips: match !== undefined,
    remoteWorker:
      vips.length > 0 && match === undefined && !input.userManagedLb && input.platform.toLowerCase() === "baremetal",
    ambiguous: matches.length > 1 ? matches.map((each) => each.link.name) : [],
    error: null,
  };
}
