/** The address that stands for a host when nobody says which (apimachinery pkg/util/net/interface.go, ResolveBindAddress). */
import { formatIp, type Ip } from "../../model/address.ts";
import { isGlobalUnicast, isLoopback, isUnspecified, unmapped, type HostView, type ViewLink } from "./host-view.ts";

export interface BindAddress {
  ip: Ip | null;
  because: string;
  /** Why there is none; empty when there is an address. */
  error: string;
}

/** First global unicast address of a family on a link that is up; Go sees an IPv4-mapped address as IPv4. */
function globalOn(link: ViewLink | undefined, family: 4 | 6): Ip | null {
  if (link === undefined || !link.up) return null;
  return link.addresses.map((each) => unmapped(each.ip)).find((ip) => ip.v === family && isGlobalUnicast(ip)) ?? null;
}

/**
 * `bind` itself when it is an address to bind to; else the first global address on an interface with a default route, IPv4 first
 * (IPv6 first when `bind` is `::`), else one on the loopback interface. Without default routes there is none.
 */
export function resolveBindAddress(bind: Ip | null, view: HostView): BindAddress {
  if (bind !== null && !isUnspecified(bind) && !isLoopback(bind))
    return { ip: bind, because: "the address that was asked for", error: "" };
  // /proc/net/route and ipv6_route: the destination is zero, whatever its mask; an IPv6 route without a gateway is passed over.
  const defaults = view.routes.filter(
    (route) => isUnspecified(route.dst.ip) && (route.dst.ip.v === 4 || route.gateway !== null),
  );
  if (defaults.length === 0) return { ip: null, because: "", error: "there is no default route" };
  const families: (4 | 6)[] = bind?.v === 6 ? [6, 4] : [4, 6];
  for (const family of families)
    for (const route of defaults.filter((each) => each.dst.ip.v === family)) {
      const found = globalOn(
        view.links.find((link) => link.name === route.dev),
        family,
      );
      const to = route.gateway === null ? "" : ` to ${formatIp(route.gateway)}`;
      if (found !== null)
        return {
          ip: found,
          because: `first global IPv${family} address on ${route.dev}, which has the default route${to}`,
          error: "",
        };
      // Networks with link-local next hops (RFC 5549) keep the host's address on the loopback interface.
      const loopback = view.links.find((link) => link.loopback && globalOn(link, family) !== null);
      const onLoopback = globalOn(loopback, family);
      if (onLoopback !== null)
        return { ip: onLoopback, because: `global IPv${family} address on ${loopback!.name}`, error: "" };
    }
  return { ip: null, because: "", error: "no device with a default route is up and has a global address" };
}
