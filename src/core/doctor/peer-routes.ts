/** Whether a node's route to another node's pods leads there. */
import type { Ip, Prefix } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Route } from "../model/route.ts";
import type { Chart } from "./chart.ts";
import type { Death } from "./deaths.ts";
import { nodeBehind, type PodNetwork } from "./pod-networks.ts";
import { overlays } from "./tunnels.ts";

/** Map key of a prefix, cheaper than its text: nodes times networks are looked up. */
const keyOf = (prefix: Prefix): string => `${prefix.ip.key}/${prefix.len}/${prefix.ip.v}`;

interface Hosts {
  /** Node that holds an address, on whatever device of its root namespace. */
  owners: ReadonlyMap<number | string, string>;
  /** Routes of a node beyond the local table, by prefix. */
  routes: ReadonlyMap<string, ReadonlyMap<string, readonly Route[]>>;
}

const made = new WeakMap<Chart, Hosts>();

function routesByPrefix(host: Namespace): Map<string, Route[]> {
  const byPrefix = new Map<string, Route[]>();
  for (const route of [...host.routes4, ...host.routes6]) {
    if (route.table === 255) continue;
    const key = keyOf(route.dst);
    const list = byPrefix.get(key);
    if (list === undefined) byPrefix.set(key, [route]);
    else list.push(route);
  }
  return byPrefix;
}

function hostsOf(chart: Chart): Hosts {
  let hosts = made.get(chart);
  if (hosts === undefined) {
    const owners = new Map<number | string, string>();
    for (const host of chart.hosts)
      for (const link of host.links)
        for (const { ip, scope } of link.addresses) if (scope === "global") owners.set(ip.key, host.node);
    hosts = { owners, routes: new Map(chart.hosts.map((host) => [host.node, routesByPrefix(host)])) };
    made.set(chart, hosts);
  }
  return hosts;
}

/** The node whose root namespace holds an address; undefined when none does. */
export const ownerOf = (chart: Chart, ip: Ip): string | undefined => hostsOf(chart).owners.get(ip.key);

/** A node's routes to exactly this prefix, the local table's left out. */
export function routesTo(chart: Chart, node: string, prefix: Prefix): readonly Route[] {
  return hostsOf(chart).routes.get(node)?.get(keyOf(prefix)) ?? [];
}

/** Whether nodes have VXLAN devices of this name to each other. */
function isTunnel(chart: Chart, dev: string | null): boolean {
  return overlays(chart).some(({ ends }) => ends.length > 1 && ends.some((end) => end.link.name === dev));
}

export type Leads = "there" | "astray" | "somewhere";

/**
 * Where a route leads as seen from what it should reach: `there` by way of an address of that node; `astray` by way of another node of
 * the cluster or to nothing at all; `somewhere` to a router whose further ways are its own affair.
 */
export function leads(chart: Chart, route: Route, node: string): Leads {
  if (route.type !== "unicast") return "astray";
  const ways = route.nexthops.map((hop): Leads => {
    if (hop.gateway === null) return "somewhere";
    const owner = ownerOf(chart, hop.gateway);
    // In a tunnel there are the nodes' ends and nobody else.
    if (owner === undefined && isTunnel(chart, hop.dev) && chart.dir.places.has(`${node}/host`)) return "astray";
    return owner === undefined ? "somewhere" : owner === node ? "there" : "astray";
  });
  return ways.includes("there") ? "there" : ways.includes("somewhere") ? "somewhere" : "astray";
}

/** Whether some node has a route by way of `network`'s node to exactly that network. */
export function isReached(chart: Chart, from: string, network: PodNetwork): boolean {
  return routesTo(chart, from, network.prefix).some((route) => leads(chart, route, network.node) === "there");
}

/**
 * Deaths of packets for pods that took a route of `host` which does not lead to their node: what a missing route to a peer does.
 * `to` limits it to the pods of one node.
 */
export function strayed(chart: Chart, deaths: readonly Death[], host: Namespace, to?: string): Death[] {
  return deaths.filter((death) => {
    const taken = death.routes.findLast((each) => each.at === host.place && each.layer === 0);
    if (taken === undefined || taken.dst === null) return false;
    const node = nodeBehind(chart, taken.dst);
    if (node === null || node === host.node || (to !== undefined && node !== to)) return false;
    return taken.route === null || taken.route.dst.len === 0 || leads(chart, taken.route, node) === "astray";
  });
}
