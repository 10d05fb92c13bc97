/** Routes as flannel's netlink library writes them. */
import type { Claim } from "../claim.ts";
import type { WayState } from "../state.ts";

/**
 * A unicast route of the main table with the defaults of vishvananda/netlink, RouteAdd: protocol boot, universal scope, no source. IPv6
 * routes get the kernel's metric 1024 (ip6_route_info_create).
 */
export function programRoute(at: string, family: 4 | 6, dst: string, ways: WayState[]): Claim {
  return {
    owner: "flannel",
    at,
    kind: "route",
    state: {
      family,
      table: 254,
      dst,
      type: "unicast",
      metric: family === 4 ? 0 : 1024,
      protocol: "boot",
      scope: "global",
      src: null,
      ways,
    },
  };
}

/** The blackhole of the node's own subnet that `-ip-blackhole-route` asks for (pkg/ip, AddBlackholeV4Route). */
export function blackholeRoute(at: string, family: 4 | 6, dst: string): Claim {
  return {
    owner: "flannel",
    at,
    kind: "route",
    state: { family, table: 254, dst, type: "blackhole", metric: family === 4 ? 0 : 1024, protocol: "boot", ways: [] },
  };
}
