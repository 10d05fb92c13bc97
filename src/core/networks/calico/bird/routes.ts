/**
 * Which routes a node has of BGP, and which of them BIRD writes into the kernel: its own blocks, and what other nodes and routers tell it.
 */
import { formatPrefix, parseIp, parsePrefix, type Prefix } from "../../../model/address.ts";
import type { Machine, Site } from "../../site.ts";
import { width, within } from "../ipam/range.ts";
import { feet, nextHop, type NextHop } from "../next-hop.ts";
import { arrivals, arrivalsOfRouters, type Arrived } from "./arrivals.ts";
import { birdInputs, ofFamily, type BirdInput } from "./input.ts";
import { felixOwns, kernelDecision } from "./pool-filters.ts";
import { PREFERENCE_SUM } from "./settings.ts";

export interface RouteHop {
  /** BGP's next hop. */
  address: string;
  /** The way to it, as a neighbour; null when it is not known. */
  way: NextHop | null;
  /** Whether it goes through tunl0. */
  tunnel: boolean;
  /** The protocol of BIRD that the route came by. */
  session: string;
}

export interface BgpRoute {
  family: 4 | 6;
  /** `10.244.40.128/26`. */
  prefix: string;
  /** Blackhole: the node's own block or a Service's, which it tells to others. */
  type: "unicast" | "blackhole";
  /** Machine that it comes from first. */
  origin: string;
  /** Several for ECMP. */
  hops: RouteHop[];
  /** Of the kernel; 0 for blackholes. */
  metric: number;
  asPath: number[];
  /** Whether BIRD writes it into the kernel, and why not. */
  written: boolean;
  because: string | null;
  /** False when it hangs on what routers beyond the cluster pass on, or on communities. */
  certain: boolean;
}

/** BIRD's order of what is left to compare (bgp_rte_better): higher first. */
function rank({ route }: Arrived, priority: number): number[] {
  const raised = route.preference > PREFERENCE_SUM - priority ? 1 : 0;
  return [raised, route.preference, -route.asPath.length, route.internally ? 0 : 1];
}

function better(x: readonly number[], y: readonly number[]): number {
  const at = x.findIndex((value, i) => value !== y[i]);
  return at < 0 ? 0 : y[at]! - x[at]!;
}

/** The best route of a prefix, with all next hops of those that are as good (`merge paths on`). */
function chosen(site: Site, machine: Machine, to: BirdInput, prefix: Prefix, arrived: readonly Arrived[]): BgpRoute {
  const priority = to.settings.priority[to.family];
  const sorted = arrived.toSorted((x, y) => better(rank(x, priority), rank(y, priority)));
  const [best] = sorted;
  const equals = sorted.filter((each) => better(rank(each, priority), rank(best!, priority)) === 0);
  const { route } = best!;
  const kept = ofFamily(to.services.kept, to.family).map(parsePrefix);
  const isKept = kept.some((range) => range !== null && within(prefix, range));
  const decision = kernelDecision(prefix, route.nextHop, to.pools, to.settings, to.node.subnet[to.family]);
  const guarded =
    to.node.wireguard[to.family] !== null &&
    to.nodes.some((node) => node.wireguard[to.family] !== null && node.address[to.family] === route.nextHop);
  const written = !isKept && decision.accept && !guarded;
  const hops = new Map<string, RouteHop>();
  for (const { route: each, session } of equals) {
    if (hops.has(each.nextHop)) continue;
    const ip = parseIp(each.nextHop);
    const { tunnel } = kernelDecision(prefix, each.nextHop, to.pools, to.settings, to.node.subnet[to.family]);
    hops.set(each.nextHop, {
      address: each.nextHop,
      way: ip === null ? null : nextHop(site, machine, ip),
      tunnel,
      session,
    });
  }
  return {
    family: to.family,
    prefix: formatPrefix(prefix),
    type: "unicast",
    origin: route.origin,
    hops: [...hops.values()],
    metric: PREFERENCE_SUM - route.preference,
    asPath: [...route.asPath],
    written,
    because: isKept
      ? "routes to Services are not written"
      : guarded
        ? "WireGuard routes handled by Felix."
        : decision.why,
    certain: equals.every((each) => each.route.certain),
  };
}

/** The node's own static routes. */
function ownRoutes(to: BirdInput): BgpRoute[] {
  const statics = ofFamily(to.services.announced, to.family).map((cidr) => ({
    cidr,
    because: "routes to Services are not written",
  }));
  const blocks = to.blocks
    .filter(({ prefix }) => prefix.len < width(to.family))
    .map(({ prefix }) => {
      const pool = to.pools.find((each) => within(prefix, each.cidr));
      const felix = pool !== undefined && felixOwns(pool, to.settings);
      return { cidr: formatPrefix(prefix), because: felix ? "Felix writes the routes of this pool" : null };
    });
  return [...blocks, ...statics].map(({ cidr, because }) => ({
    family: to.family,
    prefix: cidr,
    type: "blackhole",
    origin: to.node.name,
    hops: [],
    metric: 0,
    asPath: [],
    written: because === null,
    because,
    certain: true,
  }));
}

function routesOf(site: Site, machine: Machine, family: 4 | 6): BgpRoute[] {
  const to = birdInputs(site.cluster)(machine.name, family);
  if (to === null || to.node.address[family] === null) return [];
  const own = ownRoutes(to);
  // Static and device routes are preferred to what BGP says.
  const taken = new Set([
    ...own.map(({ prefix }) => prefix),
    ...feet(machine, family).map((foot) => formatPrefix(foot.subnet)),
  ]);
  const byPrefix = new Map<string, Arrived[]>();
  for (const each of [...arrivals(site, to, new Set([machine.name])), ...arrivalsOfRouters(site, machine, to)]) {
    const key = formatPrefix(each.route.prefix);
    if (taken.has(key)) continue;
    const list = byPrefix.get(key);
    if (list === undefined) byPrefix.set(key, [each]);
    else list.push(each);
  }
  const learned = [...byPrefix.values()].map((list) => chosen(site, machine, to, list[0]!.route.prefix, list));
  return [...own, ...learned].toSorted((x, y) => (x.prefix < y.prefix ? -1 : 1));
}

/** Every route that Calico's BIRD has on a node, of its own and learned, by prefix; none on machines without it. */
export function bgpRoutes(site: Site, machine: Machine): BgpRoute[] {
  return ([4, 6] as const).flatMap((family) => routesOf(site, machine, family));
}
