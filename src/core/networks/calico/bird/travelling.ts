/** A route on its way from node to node, and what each hop makes of it: the filters that confd writes, and BGP's own rules in BIRD 1.6. */
import { formatPrefix, parsePrefix, type Prefix } from "../../../model/address.ts";
import { within } from "../ipam/range.ts";
import { decide } from "./bgp-filter.ts";
import type { BirdInput } from "./input.ts";
import type { BirdPeer } from "./peers.ts";

/** Local preference of what comes from another AS (BIRD's default bgp_local_pref). */
export const OUTSIDE_PREFERENCE = 100;

/** A route on its way. */
export interface Travelling {
  prefix: Prefix;
  origin: string;
  nextHop: string;
  preference: number;
  asPath: readonly number[];
  /** Route reflectors that it passed, by cluster. */
  clusters: readonly string[];
  /** Address of the peer that it was learned of last; null for what is the node's own. */
  neighbour: string | null;
  /** Whether that one is of the same AS. */
  internally: boolean;
  certain: boolean;
}

/** The number that a node takes in a session. */
export function asOf(input: BirdInput, peer: BirdPeer): number {
  return peer.localAs ?? input.node.as;
}

/** Whether the sender's filters let the route out to this peer, and with which preference; null when not. */
export function leaves(route: Travelling, from: BirdInput, peer: BirdPeer): Travelling | null {
  const { family, filters, pools, settings } = from;
  const internal = peer.as === asOf(from, peer);
  let { preference, certain } = route;
  for (const name of peer.filters) {
    const filter = filters.get(name);
    if (filter === undefined) continue;
    const seen = { ...route, learned: route.neighbour !== null, device: null, preference };
    const { decision, preference: given } = decide(filter, "export", family, seen, internal);
    preference = given ?? preference;
    if (decision === "reject") return null;
    if (decision === "unknown") certain = false;
    if (decision === "accept") return { ...route, preference, certain };
  }
  if (route.neighbour === null) return { ...route, preference, certain };
  // What was learned goes on when it lies in a pool, or a reflector may pass Services on.
  const pool = pools.find((each) => within(route.prefix, each.cidr));
  if (pool !== undefined) return pool.hidden ? null : { ...route, preference, certain };
  const services = [...settings.serviceLoadBalancerIPs, ...settings.serviceExternalIPs, ...from.services.announced];
  const taken = services.map(parsePrefix).some((range) => range !== null && within(route.prefix, range));
  return taken && (from.node.cluster !== null || from.services.announced.includes(formatPrefix(route.prefix)))
    ? { ...route, preference, certain }
    : null;
}

/** The route as the peer gets it; null when BGP's own rules stop it (RFC 4271, RFC 4456). */
export function crosses(
  route: Travelling,
  from: BirdInput,
  peer: BirdPeer,
  to: BirdInput,
  back: BirdPeer,
): Travelling | null {
  const internal = peer.as === asOf(from, peer);
  const { family } = from;
  if (internal && route.internally && peer.reflects === null && !reflectsTo(from, route)) return null;
  if (route.origin === to.node.name) return null;
  const address = peer.source ?? from.node.address[family] ?? "";
  const keeps = route.neighbour !== null && peer.nextHop !== "self" && (peer.nextHop === "keep" || internal);
  const asPath = internal ? route.asPath : [asOf(from, peer), ...route.asPath];
  const own = asPath.filter((as) => as === asOf(to, back)).length;
  if (own > back.allowLocalAs) return null;
  const cluster = from.node.cluster;
  const clusters = internal && route.internally && cluster !== null ? [cluster, ...route.clusters] : route.clusters;
  if (to.node.cluster !== null && clusters.includes(to.node.cluster)) return null;
  return {
    ...route,
    asPath,
    clusters: internal ? clusters : [],
    nextHop: keeps ? route.nextHop : address,
    preference: internal ? route.preference : OUTSIDE_PREFERENCE,
    neighbour: from.node.address[family],
    internally: internal,
  };
}

/** Whether a reflector has the route of a client of its own: then everybody gets it. */
function reflectsTo(from: BirdInput, route: Travelling): boolean {
  return route.neighbour !== null && (from.peerAt(route.neighbour)?.reflects ?? null) !== null;
}

/** Whether the receiver's filters take the route in; null when not. */
export function enters(route: Travelling, to: BirdInput, back: BirdPeer): Travelling | null {
  let { preference, certain } = route;
  for (const name of back.filters) {
    const filter = to.filters.get(name);
    if (filter === undefined) continue;
    const seen = { ...route, learned: route.neighbour !== null, device: null, preference };
    const { decision, preference: given } = decide(filter, "import", to.family, seen, back.as === asOf(to, back));
    preference = given ?? preference;
    if (decision === "reject") return null;
    if (decision === "unknown") certain = false;
    if (decision === "accept") break;
  }
  return { ...route, preference, certain };
}
