/** A machine's interfaces and routes, as programs that choose a node's address see them. */
import { formatIp, inPrefix, ip4, parseIp, prefixOf, type Ip } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Route } from "../../model/route.ts";
import { MAIN_TABLE } from "../state.ts";

export interface ViewAddress {
  ip: Ip;
  prefixLen: number;
  /** IPv6: preferred lifetime 0. */
  deprecated: boolean;
  /** IPv6: not usable as yet. */
  tentative: boolean;
  label: string | null;
}

export interface ViewLink {
  index: number;
  name: string;
  up: boolean;
  loopback: boolean;
  addresses: ViewAddress[];
}

/** A unicast route of the main table. */
export interface ViewRoute {
  dst: { ip: Ip; len: number };
  dev: string;
  gateway: Ip | null;
  prefSrc: Ip | null;
  metric: number;
  protocol: string;
}

export interface HostView {
  /** In the order of their index. */
  links: ViewLink[];
  /** In the kernel's order: of one destination, the smallest metric first. */
  routes: ViewRoute[];
}

function viewRoutes(routes: readonly Route[]): ViewRoute[] {
  return routes
    .filter((route) => route.table === MAIN_TABLE && route.type === "unicast")
    .flatMap((route) =>
      route.nexthops.flatMap((hop) =>
        hop.dev === null
          ? []
          : [
              {
                dst: route.dst,
                dev: hop.dev,
                gateway: hop.gateway,
                prefSrc: route.prefSrc,
                metric: route.metric,
                protocol: route.protocol,
              },
            ],
      ),
    )
    .toSorted((a, b) => a.metric - b.metric);
}

/** What a recorded root namespace shows. */
export function hostView(ns: Namespace): HostView {
  return {
    links: ns.links
      .map((link) => ({
        index: link.index,
        name: link.name,
        up: link.up,
        loopback: link.kind.kind === "loopback",
        addresses: link.addresses.map((each) => ({
          ip: each.ip,
          prefixLen: each.prefixLen,
          deprecated: each.deprecated,
          tentative: each.tentative,
          label: each.label,
        })),
      }))
      .toSorted((a, b) => a.index - b.index),
    routes: [...viewRoutes(ns.routes4), ...viewRoutes(ns.routes6)],
  };
}

/** An IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) as the IPv4 address within: Go's net.IP makes no difference between the two. */
export function unmapped(ip: Ip): Ip {
  return ip.v === 6 && ip.a === 0 && ip.b === 0 && ip.c === 0xffff ? ip4(ip.d) : ip;
}

/** An address as Go reads it (net.ParseIP, netutils.ParseIPSloppy): mapped ones are IPv4, zones are refused. Null when it is none. */
export function goIp(text: string): Ip | null {
  const ip = text.includes("%") ? null : parseIp(text);
  return ip === null ? null : unmapped(ip);
}

const inRange = (ip: Ip, range: string, len: number): boolean => {
  const start = parseIp(range);
  return start !== null && inPrefix(ip, prefixOf(start, len));
};

/** Go's classes of addresses (net/ip.go). */
export const isLoopback = (ip: Ip): boolean => (ip.v === 4 ? inRange(ip, "127.0.0.0", 8) : formatIp(ip) === "::1");
export const isMulticast = (ip: Ip): boolean => (ip.v === 4 ? inRange(ip, "224.0.0.0", 4) : inRange(ip, "ff00::", 8));
export const isLinkLocal = (ip: Ip): boolean =>
  ip.v === 4 ? inRange(ip, "169.254.0.0", 16) : inRange(ip, "fe80::", 10);
export const isUnspecified = (ip: Ip): boolean => formatIp(ip) === (ip.v === 4 ? "0.0.0.0" : "::");
export const isPrivate = (ip: Ip): boolean =>
  ip.v === 4
    ? inRange(ip, "10.0.0.0", 8) || inRange(ip, "172.16.0.0", 12) || inRange(ip, "192.168.0.0", 16)
    : inRange(ip, "fc00::", 7);
/** IsGlobalUnicast: private addresses are, too. */
export const isGlobalUnicast = (ip: Ip): boolean =>
  !isUnspecified(ip) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocal(ip) &&
  !(ip.v === 4 && formatIp(ip) === "255.255.255.255");
