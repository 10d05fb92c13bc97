/**
 * What the kernel derives by itself from devices and addresses: `lo`, local, connected, broadcast, anycast and multicast routes, the
 * first policy rules. (Entries that it learns cannot be foretold; the comparison knows them by their state.)
 */
import { formatIp, formatPrefix, prefixOf, type Ip } from "../model/address.ts";
import type { Link, LinkAddress } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import { sysctlConf, sysctlNumber } from "../model/sysctl.ts";
import type { Claim } from "./claim.ts";
import { MAIN_TABLE, type RouteState } from "./state.ts";

const OWNER = "kernel";
const LOCAL = 255;
/** The last address of a subnet. */
function broadcastOf(ip: Ip, len: number): string {
  const host = len === 0 ? -1 : ~(-1 << (32 - len));
  const word = len === 0 ? -1 : ip.a | host;
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}/32`;
}

type Derived = RouteState & { optional?: boolean };

/** fib_add_ifaddr in net/ipv4/fib_frontend.c. */
function routes4(link: Link, address: LinkAddress, vrf: number | null): Derived[] {
  const src = formatIp(address.ip);
  const ways = [{ via: null, dev: link.name }];
  const common = { family: 4 as const, metric: 0, protocol: "kernel", src, ways };
  const local = vrf ?? LOCAL;
  const routes: Derived[] = [
    { ...common, table: local, dst: `${src}/32`, type: "local", scope: "host", optional: address.secondary },
  ];
  const len = address.prefixLen;
  if (len < 32 && !address.secondary && address.peer === null) {
    const net = formatPrefix(prefixOf(address.ip, len));
    if (link.name === "lo") routes.push({ ...common, table: local, dst: net, type: "local", scope: "host" });
    else if (!address.noPrefixRoute)
      routes.push({ ...common, table: vrf ?? MAIN_TABLE, dst: net, type: "unicast", scope: "link" });
    if (len < 31) {
      const broadcast = { ...common, table: local, type: "broadcast", scope: "link" };
      routes.push({ ...broadcast, dst: broadcastOf(address.ip, len) });
      // Up to Linux 5.14 the first address of a subnet was a broadcast, too.
      routes.push({ ...broadcast, dst: `${formatIp(prefixOf(address.ip, len).ip)}/32`, optional: true });
    }
  } else if (address.peer !== null) {
    routes.push({
      ...common,
      table: vrf ?? MAIN_TABLE,
      dst: formatPrefix(address.peer),
      type: "unicast",
      scope: "link",
    });
  }
  return routes;
}

/**
 * addrconf.c: addrconf_prefix_route, __ipv6_ifa_notify, addrconf_join_anycast. All of it may be absent: it depends on duplicate address
 * detection, on how the address was made and on settings that change afterwards.
 */
function routes6(link: Link, address: LinkAddress): Derived[] {
  const ip = `${formatIp(address.ip)}/128`;
  const net = formatPrefix(prefixOf(address.ip, address.prefixLen));
  const subnet = `${formatIp(prefixOf(address.ip, address.prefixLen).ip)}/128`;
  const common = { family: 6 as const, protocol: "kernel", ways: [{ via: null, dev: link.name }], optional: true };
  const routes: Derived[] = [
    { ...common, table: LOCAL, dst: ip, type: "local", metric: 0 },
    { ...common, table: MAIN_TABLE, dst: net, type: "unicast", metric: 256 },
    { ...common, table: LOCAL, dst: subnet, type: "anycast", metric: 0 },
  ];
  if (address.peer !== null)
    routes.push({ ...common, table: MAIN_TABLE, dst: formatPrefix(address.peer), type: "unicast", metric: 256 });
  return routes;
}

/** Devices that are up and speak IPv6 join all groups (addrconf_add_mroute) and have link-local addresses of their own. */
function deviceRoutes6(link: Link): Derived[] {
  const ways = [{ via: null, dev: link.name }];
  const common = { family: 6 as const, protocol: "kernel", ways, optional: true, metric: 256 };
  return [
    { ...common, table: LOCAL, dst: "ff00::/8", type: "multicast" },
    { ...common, table: MAIN_TABLE, dst: "fe80::/64", type: "unicast" },
    { ...common, table: LOCAL, dst: "fe80::/128", type: "anycast", metric: 0 },
  ];
}

function ruleLookups(ns: Namespace): Claim[] {
  const rule = (family: 4 | 6, priority: number, table: string, optional: boolean): Claim => ({
    kind: "rule-lookup",
    owner: OWNER,
    at: ns.place,
    optional,
    state: { family, priority, selector: "from all", action: `lookup ${table}` },
  });
  const v6 = ns.rules6.length === 0;
  return [
    rule(4, 0, "local", false),
    rule(4, 32766, "main", false),
    rule(4, 32767, "default", false),
    rule(6, 0, "local", v6),
    rule(6, 32766, "main", v6),
  ];
}

/** Claims of owner `kernel` on one namespace, derived from the devices and addresses that it has. */
export function kernelClaims(ns: Namespace): Claim[] {
  const up = ns.links.filter((link) => link.up);
  // Local routes may outlive their device's going down (fib_sync_down_dev leaves what is not forced).
  const left = ns.links
    .filter((link) => !link.up)
    .flatMap((link) => link.addresses.filter(({ ip }) => ip.v === 4).flatMap((address) => routes4(link, address, null)))
    .filter((route) => route.type === "local")
    .map((route) => ({ ...route, optional: true }));
  const tables = new Map(ns.links.flatMap((link) => (link.kind.kind === "vrf" ? [[link.name, link.kind.table]] : [])));
  const routes = up.flatMap((link): Derived[] => {
    const vrf = link.master === null ? null : (tables.get(link.master) ?? null);
    const v6off = sysctlNumber(ns.sysctls, sysctlConf("ipv6", link.name, "disable_ipv6"), 0) !== 0;
    return [
      ...link.addresses.flatMap((address) =>
        address.ip.v === 4 ? routes4(link, address, vrf) : v6off ? [] : routes6(link, address),
      ),
      ...(v6off ? [] : deviceRoutes6(link)),
    ];
  });
  const seen = new Set<string>();
  const claims = ruleLookups(ns);
  for (const { optional, ...state } of [...routes, ...left]) {
    const key = `${state.table} ${state.dst} ${state.type} ${state.metric} ${state.ways[0]?.dev ?? ""}`;
    if (seen.has(key)) continue;
    seen.add(key);
    claims.push({ kind: "route", owner: OWNER, at: ns.place, state, optional: optional === true });
  }
  return claims;
}
