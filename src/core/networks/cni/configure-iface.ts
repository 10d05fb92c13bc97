/** A pod's device after a plugin gave it its addresses and routes. */
import { formatIp } from "../../model/address.ts";
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import { MAIN_TABLE, type RouteState } from "../state.ts";
import type { Attachment } from "./attachments.ts";
import type { IpamRoute } from "./ipam.ts";

/** Names of scopes as iproute2 prints them (rtnl_rtscope_tab). */
const SCOPES: Record<number, string> = { 0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere" };

/** A route as vishvananda/netlink adds it: protocol boot; the kernel gives IPv6 routes the metric 1024 when none is asked for. */
export function podRoute(
  owner: string,
  at: string,
  dev: string,
  route: Pick<IpamRoute, "dst" | "family" | "gw"> & Partial<IpamRoute>,
  more: Partial<RouteState> = {},
): Claim {
  const scope = route.scope ?? 0;
  return {
    owner,
    at,
    kind: "route",
    state: {
      family: route.family,
      table: route.table || MAIN_TABLE,
      dst: route.dst,
      type: "unicast",
      metric: route.metric || (route.family === 4 ? 0 : 1024),
      protocol: "boot",
      // The kernel keeps no scope of IPv6 routes.
      scope: route.family === 4 ? (SCOPES[scope] ?? String(scope)) : "global",
      ways: [{ via: route.gw === null ? null : formatIp(route.gw), dev }],
      ...more,
    },
  };
}

/**
 * Addresses and routes of a pod's device (pkg/ipam, ConfigureIface). A route without a gateway of its own goes by the first one of its
 * family.
 */
export function configureIface(owner: string, attachment: Attachment, routes: readonly IpamRoute[]): Claim[] {
  const at = attachment.sandbox.place;
  const dev = attachment.ifname;
  const { addresses } = attachment;
  const gateway = (family: 4 | 6) => addresses.find((each) => each.gateway?.v === family)?.gateway ?? null;
  const claims: Claim[] = addresses.map(({ ip, len }) => ({
    owner,
    at,
    kind: "address",
    state: { dev, address: `${formatIp(ip)}/${len}`, scope: "global" },
  }));
  if (addresses.some(({ ip }) => ip.v === 6)) {
    // Versions from 1.2 on set keep_addr_on_down as well; no record says which version it was.
    for (const device of ["lo", dev])
      claims.push({
        owner,
        at,
        kind: "sysctl",
        state: { key: sysctlConf("ipv6", device, "disable_ipv6"), value: "0" },
      });
  }
  // Without its addresses the pod's gateways are not known, and so where its routes lead.
  if (addresses.length < attachment.pod.ips.length) return claims;
  for (const route of routes)
    claims.push(podRoute(owner, at, dev, { ...route, gw: route.gw ?? gateway(route.family) }));
  return claims;
}
