/**
 * Route lookup: policy rules, then the longest prefix of the table that they name (fib_lookup, fib_rules_lookup, fib_table_lookup;
 * fib6_rule_lookup and fib6_table_lookup for IPv6).
 */
import { inPrefix, type Ip } from "../model/address.ts";
import type { NextHop, PolicyRule, Route } from "../model/route.ts";
import type { Device } from "./device.ts";
import { buildLpm, type Lpm } from "./lpm.ts";
import type { Hop } from "./next-hop.ts";
import type { Ns } from "./ns.ts";

/** What a lookup goes by (struct flowi4, flowi6). */
export interface Flow {
  dst: Ip;
  /** Null while the source is not chosen yet. */
  src: Ip | null;
  /** Device that the packet came in by; null for local output (the kernel's LOOPBACK_IFINDEX). */
  iif: Device | null;
  /** Device that the sender is bound to, or that must carry the answer; null for any. */
  oif: Device | null;
  /** Device that rules see as that of the sender, though routes need not lead there. */
  ruleOif?: Device | null;
  mark: number;
  tos: number;
  proto: number;
  sport: number;
  dport: number;
  /** Sending user; null when not known or not local. */
  uid: number | null;
}

/** Errors as the kernel returns them: no route, unreachable, prohibit, blackhole. */
export type FibError = "ENETUNREACH" | "EHOSTUNREACH" | "EACCES" | "EINVAL";

export interface FibResult {
  readonly error: FibError | null;
  /** The route that answered, also when its type is an error; null when nothing matched. */
  readonly route: Route | null;
  /** The policy rule that led there; null with the kernel's three default rules only. */
  readonly rule: PolicyRule | null;
  /** Could not be decided; names what is missing. */
  readonly unknown: string | null;
  /** The route's next hop, where it has just one and its device was recorded. */
  readonly only: Hop | null;
}

/** A route in its table, with what a lookup comes to that finds it. */
class Answer implements FibResult {
  readonly error: FibError | null;
  readonly route: Route;
  readonly rule = null;
  readonly unknown = null;
  readonly only: Hop | null;
  /** It serves every flow that is bound to no device. */
  readonly plain: boolean;

  constructor(ns: Ns, route: Route) {
    const { type, nexthops } = route;
    this.error = ROUTE_ERROR[type] ?? null;
    this.route = route;
    const [hop] = nexthops;
    const dev = nexthops.length !== 1 || hop!.dev === null ? undefined : ns.byName.get(hop!.dev);
    this.only = dev === undefined ? null : { dev, gateway: hop!.gateway, nextHop: hop! };
    this.plain =
      route.tos === 0 &&
      (route.from === null || route.from.len === 0) &&
      (nexthops.length === 0 || nexthops.some((nh) => !nh.dead && (nh.dev === null || !nh.linkdown)));
  }
}

const failed = (error: FibError, rule: PolicyRule | null = null, unknown: string | null = null): FibResult => ({
  error,
  route: null,
  rule,
  unknown,
  only: null,
});

const LOCAL = 255;
const MAIN = 254;
const DEFAULT = 253;

const ROUTE_ERROR: Partial<Record<Route["type"], FibError>> = {
  unreachable: "EHOSTUNREACH",
  prohibit: "EACCES",
  blackhole: "EINVAL",
};

function isDefaultRule(r: PolicyRule, v: 4 | 6): boolean {
  if (r.from !== null && r.from.len > 0) return false;
  const plain =
    !r.not &&
    r.to === null &&
    r.iif === null &&
    r.oif === null &&
    r.fwmark === null &&
    r.tos === null &&
    r.ipproto === null &&
    r.sport === null &&
    r.dport === null &&
    r.uid === null &&
    !r.l3mdev &&
    r.suppressPrefixLength === null &&
    r.suppressIfgroup === null &&
    r.unknown.length === 0 &&
    r.action === "lookup";
  if (!plain) return false;
  return (
    (r.priority === 0 && r.table === LOCAL) ||
    (r.priority === 32766 && r.table === MAIN) ||
    (v === 4 && r.priority === 32767 && r.table === DEFAULT)
  );
}

export class Fib {
  readonly v: 4 | 6;
  /** Rules beyond the three that every kernel starts with (fib4_has_custom_rules). */
  readonly customRules: boolean;
  /** Local-type routes that no address accounts for (net.ipv4.fib_has_custom_local_routes). */
  readonly customLocalRoutes: boolean;
  /** Some rule looks at ports, which lookups for received packets must then carry. */
  readonly looksAtPorts: boolean;
  /** Why lookups can't be trusted; null when all is known. */
  readonly unknown: string | null;
  private readonly ns: Ns;
  private readonly rules: readonly PolicyRule[];
  private readonly tables = new Map<number, Lpm<Answer>>();
  /** The tables that the kernel's own rules name, in their order, as far as they have routes. */
  private readonly standing: readonly Lpm<Answer>[];
  private readonly accept: (a: Answer) => boolean;
  private flow: Flow | null = null;
  constructor(ns: Ns, v: 4 | 6, routes: readonly Route[], rules: readonly PolicyRule[]) {
    this.ns = ns;
    this.v = v;
    this.rules = rules;
    this.unknown = ns.missing(v === 4 ? "route4" : "route6") ?? ns.missing(v === 4 ? "rule4" : "rule6");
    this.customRules = rules.length > (v === 4 ? 3 : 2) || rules.some((r) => !isDefaultRule(r, v));
    this.looksAtPorts = rules.some((r) => r.sport !== null || r.dport !== null || r.ipproto !== null);
    const byTable = new Map<number, Route[]>();
    let customLocal = false;
    for (const r of routes) {
      const list = byTable.get(r.table);
      if (list === undefined) byTable.set(r.table, [r]);
      else list.push(r);
      // fib_table_insert: a host route of type local that is not of scope host's own making, such as AnyIP.
      if (r.type === "local" && r.protocol !== "kernel") customLocal = true;
    }
    this.customLocalRoutes = customLocal;
    for (const [table, list] of byTable) {
      // fib_find_alias keeps aliases of one prefix by TOS, highest first, then by metric.
      list.sort((x, y) => y.tos - x.tos || x.metric - y.metric);
      this.tables.set(table, buildLpm(list.map((r) => [r.dst, new Answer(ns, r)] as const)));
    }
    this.standing = (v === 4 ? DEFAULT_TABLES_4 : DEFAULT_TABLES_6).flatMap((table) => this.tables.get(table) ?? []);
    this.accept = (a) => this.usable(a.route);
  }

  /** fib_table_lookup's per-alias checks. */
  private usable(r: Route): boolean {
    const f = this.flow!;
    if (r.tos !== 0 && r.tos !== (f.tos & 0xfc)) return false;
    if (r.from !== null && r.from.len > 0 && (f.src === null || !inPrefix(f.src, r.from))) return false;
    if (r.nexthops.length === 0) return true;
    for (const nh of r.nexthops) if (this.nextHopUsable(nh, f.oif)) return true;
    return false;
  }

  nextHopUsable(nh: NextHop, oif: Device | null): boolean {
    if (nh.dead) return false;
    if (nh.dev === null) return oif === null;
    if (oif !== null && nh.dev !== oif.name) return false;
    if (!nh.linkdown) return true;
    const dev = this.ns.byName.get(nh.dev);
    return dev === undefined || !dev.conf.ignoreLinkdown;
  }

  /** Longest usable prefix of one table; null when the table has none. */
  private inTable(table: number, flow: Flow): Answer | null {
    const lpm = this.tables.get(table);
    if (lpm === undefined) return null;
    this.flow = flow;
    return lpm.firstMatch(flow.dst, this.accept);
  }

  /** The local table's entry for an IPv4 address, whatever the rules say (inet_addr_type); null when it has none. */
  inLocalTable(ip: Ip): Route | null {
    const found = this.inTable(LOCAL, {
      dst: ip,
      src: null,
      iif: null,
      oif: null,
      mark: 0,
      tos: 0,
      proto: 0,
      sport: 0,
      dport: 0,
      uid: null,
    });
    return found === null ? null : found.route;
  }

  /** As `lookup`, of a flow that is bound to no device, where its destination alone decides; null where it does not. */
  byDestination(dst: Ip): FibResult | null {
    if (this.customRules || this.unknown !== null) return null;
    for (let i = 0; i < this.standing.length; i++) {
      const answer = this.standing[i]!.longest(dst);
      if (answer === null) continue;
      if (!answer.plain) return null;
      if (answer.route.type !== "throw") return answer;
    }
    return UNREACHABLE;
  }

  /** The route for a flow. Never throws; `unknown` tells when rules or routes were not recorded. */
  lookup(flow: Flow): FibResult {
    if (this.unknown !== null) return failed("ENETUNREACH", null, this.unknown);
    if (!this.customRules) {
      this.flow = flow;
      for (let i = 0; i < this.standing.length; i++) {
        const answer = this.standing[i]!.firstMatch(flow.dst, this.accept);
        if (answer !== null && answer.route.type !== "throw") return answer;
      }
      return UNREACHABLE;
    }
    return this.byRules(flow);
  }

  private byRules(flow: Flow): FibResult {
    for (let i = 0; i < this.rules.length; i++) {
      const rule = this.rules[i]!;
      const hit = this.matches(rule, flow);
      if (hit === null)
        return failed(
          "ENETUNREACH",
          rule,
          `rule ${rule.priority} uses ${rule.unknown.join(", ") || "a user that is not known"}`,
        );
      if (hit === rule.not) continue;
      switch (rule.action) {
        case "unreachable":
          return failed("ENETUNREACH", rule);
        case "prohibit":
          return failed("EACCES", rule);
        case "blackhole":
          return failed("EINVAL", rule);
        case "nop":
          continue;
        case "goto": {
          // fib_rules_lookup: on with the rule of exactly that priority; a target that is not there makes the rule do nothing.
          const to = this.rules.findIndex((r, j) => j > i && r.priority === rule.goto);
          if (to < 0) continue;
          i = to - 1;
          continue;
        }
        case "lookup": {
          const table = rule.l3mdev ? this.vrfTable(flow) : rule.table;
          if (table === null) continue;
          const found = this.inTable(table, flow);
          if (found === null || found.route.type === "throw") continue;
          const { route } = found;
          // fib4_rule_suppress: a route that is not more specific than asked does not count.
          if (rule.suppressPrefixLength !== null && route.dst.len <= rule.suppressPrefixLength) continue;
          if (rule.suppressIfgroup !== null && this.inGroup(route, rule.suppressIfgroup)) continue;
          return { error: found.error, route, rule, unknown: null, only: found.only };
        }
      }
    }
    return UNREACHABLE;
  }

  /** Whether the route leads out by a device of a group (suppress_ifgroup). */
  private inGroup(route: Route, name: string): boolean {
    const group = name === "default" ? 0 : Number(name);
    const dev = route.nexthops[0]?.dev;
    return dev !== undefined && dev !== null && this.ns.byName.get(dev)?.group === group;
  }

  private vrfTable(flow: Flow): number | null {
    for (const dev of [flow.iif, flow.oif]) {
      const vrf = dev === null ? null : dev.link.kind.kind === "vrf" ? dev : dev.master;
      if (vrf?.link.kind.kind === "vrf") return vrf.link.kind.table;
    }
    return null;
  }

  /** fib_rule_match and fib4_rule_match; null when it can't be told. */
  private matches(rule: PolicyRule, f: Flow): boolean | null {
    if (
      rule.iif !== null &&
      (f.iif === null ? (this.ns.loopback?.name ?? "lo") : f.iif.name) !== rule.iif &&
      f.iif?.masterName !== rule.iif
    )
      return false;
    if (rule.oif !== null && (f.oif ?? f.ruleOif)?.name !== rule.oif) return false;
    if (rule.fwmark !== null && ((f.mark ^ rule.fwmark) & rule.fwmask) !== 0) return false;
    if (rule.l3mdev && this.vrfTable(f) === null) return false;
    if (rule.from !== null && rule.from.len > 0 && (f.src === null || !inPrefix(f.src, rule.from))) return false;
    if (rule.to !== null && !inPrefix(f.dst, rule.to)) return false;
    if (rule.tos !== null && rule.tos !== 0 && rule.tos !== (f.tos & 0xfc)) return false;
    if (rule.ipproto !== null && rule.ipproto !== f.proto) return false;
    if (rule.sport !== null && (f.sport < rule.sport[0] || f.sport > rule.sport[1])) return false;
    if (rule.dport !== null && (f.dport < rule.dport[0] || f.dport > rule.dport[1])) return false;
    if (rule.unknown.length > 0) return null;
    if (rule.uid !== null) {
      // Received packets are looked up as root's (sock_net_uid of no socket).
      const uid = f.iif !== null ? 0 : f.uid;
      if (uid === null) return null;
      if (uid < rule.uid[0] || uid > rule.uid[1]) return false;
    }
    return true;
  }
}

const UNREACHABLE = failed("ENETUNREACH");

const DEFAULT_TABLES_4: readonly number[] = [LOCAL, MAIN, DEFAULT];
const DEFAULT_TABLES_6: readonly number[] = [LOCAL, MAIN];
