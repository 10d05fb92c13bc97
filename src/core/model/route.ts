/** Routes, next hops and policy rules. */
import type { Ip, Prefix } from "./address.ts";
import type { Source } from "./source.ts";

export type RouteType =
  | "unicast"
  | "local"
  | "broadcast"
  | "multicast"
  | "anycast"
  | "unreachable"
  | "prohibit"
  | "blackhole"
  | "throw";

/** What carries a packet to a next hop, of route encapsulation (`encap`). */
export type RouteEncap = { type: string } | null;

export interface NextHop {
  gateway: Ip | null;
  /** Output device by name; null for unreachable and its like. */
  dev: string | null;
  weight: number;
  onlink: boolean;
  /** `dead`, `linkdown`: the kernel will not use it (linkdown: only with ignore_routes_with_linkdown). */
  dead: boolean;
  linkdown: boolean;
  encap: RouteEncap;
}

export interface Route {
  dst: Prefix;
  type: RouteType;
  /** Table by number: local 255, main 254, default 253. */
  table: number;
  protocol: string;
  scope: string;
  metric: number;
  tos: number;
  prefSrc: Ip | null;
  mtu: number | null;
  mtuLock: boolean;
  /** IPv6 source-specific routes (`from`). */
  from: Prefix | null;
  /** Empty for blackhole and its like. One for a plain route, several for ECMP. */
  nexthops: NextHop[];
  /** Nexthop object that the route names, already resolved into `nexthops`. */
  nhid: number | null;
  /** IPv6 router preference: low, medium, high. */
  pref: string | null;
  source: Source;
}

export type RuleAction = "lookup" | "goto" | "nop" | "unreachable" | "prohibit" | "blackhole";

/** A policy rule (`ip rule`). Absent selectors are null. */
export interface PolicyRule {
  priority: number;
  not: boolean;
  from: Prefix | null;
  to: Prefix | null;
  iif: string | null;
  oif: string | null;
  fwmark: number | null;
  fwmask: number;
  tos: number | null;
  ipproto: number | null;
  sport: [number, number] | null;
  dport: [number, number] | null;
  uid: [number, number] | null;
  action: RuleAction;
  table: number | null;
  goto: number | null;
  l3mdev: boolean;
  suppressPrefixLength: number | null;
  suppressIfgroup: string | null;
  /** Selectors that kubewalk does not model, by name. */
  unknown: string[];
  source: Source;
}
