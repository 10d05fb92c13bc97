/** Networks of other nodes' pods to which a node has no route, although it should have one. */
import { formatIp, formatPrefix, inPrefix, parseIp, type Ip } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Route } from "../model/route.ts";
import type { Chart } from "./chart.ts";
import { deathsOf, type Death } from "./deaths.ts";
import { isReached, leads, ownerOf, routesTo } from "./peer-routes.ts";
import { podNetworks, type PodNetwork } from "./pod-networks.ts";
import { overlays } from "./tunnels.ts";

export interface MissingRoute {
  host: Namespace;
  network: PodNetwork;
  /** What is there instead and leads elsewhere. */
  astray: Route | null;
  /** The rest of the words of `ip route` that would lead there. */
  way: string;
  /** Whether that is a tunnel's way. */
  tunnelled: boolean;
}

/** Whether what a node has for the network leads there, or to a router of which nothing more is known. */
function isServed(chart: Chart, host: Namespace, network: PodNetwork): boolean {
  const exact = routesTo(chart, host.node, network.prefix);
  if (exact.length > 0) return exact.some((route) => leads(chart, route, network.node) !== "astray");
  const { ip } = network.prefix;
  const flow = { dst: ip, src: null, iif: null, oif: null, mark: 0, tos: 0, proto: 0, sport: 0, dport: 0, uid: null };
  const found = chart.world.byPlace.get(host.place)?.fib(ip.v).lookup(flow);
  if (found === undefined || found.unknown !== null) return true;
  return found.route !== null && found.route.dst.len > 0 && leads(chart, found.route, network.node) !== "astray";
}

/** Whether `ip` is on a link of the host, so that it may be a next hop. */
function onLink(host: Namespace, ip: Ip): boolean {
  return host.links.some(
    (link) => link.up && link.addresses.some((each) => inPrefix(ip, { ip: each.ip, len: each.prefixLen })),
  );
}

/** How the host would reach the node of a network: by the tunnel that both are in, else by its address on a link of both. */
function wayTo(chart: Chart, host: Namespace, network: PodNetwork): { way: string; tunnelled: boolean } | null {
  const { v } = network.prefix.ip;
  for (const { byNode } of overlays(chart)) {
    const end = byNode.get(host.node);
    const address = byNode.get(network.node)?.addresses.find((ip) => ip.v === v);
    if (address === undefined) continue;
    // Whose own end is not there or down lacks more than a route.
    return end?.link.up === true
      ? { way: `via ${formatIp(address)} dev ${end.link.name} onlink`, tunnelled: true }
      : null;
  }
  const peer = chart.dir.places.get(`${network.node}/host`);
  for (const { ip, scope } of peer?.links.flatMap((link) => link.addresses) ?? [])
    if (ip.v === v && scope === "global" && ownerOf(chart, ip) === network.node && onLink(host, ip))
      return { way: `via ${formatIp(ip)}`, tunnelled: false };
  return null;
}

/** Who has a route that leads to each network. */
function reachersOf(chart: Chart): Map<PodNetwork, Set<string>> {
  const { all } = podNetworks(chart);
  return new Map(
    all.map((network) => [
      network,
      new Set(
        chart.hosts.map((host) => host.node).filter((node) => node !== network.node && isReached(chart, node, network)),
      ),
    ]),
  );
}

/**
 * The routes that are missing. A node should have one to another node's pods when there is a tunnel or a link between the two and the
 * network is in use: some other node has such a route, or the other node has one back. Nothing is expected of nodes whose tunnel device
 * is down (that is the fault then), or of those behind a router, whose routes are the router's affair.
 */
export function missingRoutes(chart: Chart): readonly MissingRoute[] {
  let routes = made.get(chart);
  if (routes === undefined) made.set(chart, (routes = findMissing(chart)));
  return routes;
}

const made = new WeakMap<Chart, MissingRoute[]>();

function findMissing(chart: Chart): MissingRoute[] {
  const { all, byNode } = podNetworks(chart);
  const reachers = reachersOf(chart);
  return chart.hosts.flatMap((host) =>
    all.flatMap((network): MissingRoute[] => {
      const { node } = network;
      const { v } = network.prefix.ip;
      if (node === host.node || reachers.get(network)!.has(host.node)) return [];
      if (host.missing.has(v === 4 ? "route4" : "route6") || isServed(chart, host, network)) return [];
      const mine = (byNode.get(host.node) ?? []).filter((each) => each.prefix.ip.v === v);
      const inUse = reachers.get(network)!.size > 0 || mine.some((each) => reachers.get(each)!.has(node));
      const way = inUse ? wayTo(chart, host, network) : null;
      if (way === null) return [];
      const astray = routesTo(chart, host.node, network.prefix)[0] ?? null;
      return [{ host, network, astray, ...way }];
    }),
  );
}

/** Deaths of packets for the network's pods that left the host by what stands in for its route. */
export function lostFor(chart: Chart, { host, network }: Pick<MissingRoute, "host" | "network">): Death[] {
  return deathsOf(chart).filter((death) => {
    // Without the route, what comes from there seems to come from the wrong side.
    const source =
      death.at === host.place
        ? parseIp(/^(?:the answer: )?rp_filter: (\S+) came in/.exec(death.text)?.[1] ?? "")
        : null;
    if (source !== null && inPrefix(source, network.prefix)) return true;
    const taken = death.routes.findLast((each) => each.at === host.place && each.layer === 0);
    if (taken?.dst == null || !inPrefix(taken.dst, network.prefix)) return false;
    if (podNetworks(chart).pods.get(taken.dst.key)?.node === host.node) return false;
    return taken.route === null || taken.route.dst.len === 0 || leads(chart, taken.route, network.node) === "astray";
  });
}

/** `10.244.1.0/24`, or two of them and how many more there are. */
export function networksText(networks: readonly PodNetwork[]): string {
  const shown = networks.slice(0, 2).map((each) => `${formatPrefix(each.prefix)} (pods of ${each.node})`);
  const more = networks.length - shown.length;
  return `${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
