/**
 * A route with a longer prefix, or the same one with a lower metric, leads astray what another route of the node would bring to its
 * destination: docker0, a VPN, a route that someone added. The kernel takes the longest prefix and asks no further (fib_table_lookup).
 */
import { formatPrefix, inPrefix, sameIp, type Ip } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Route } from "../../model/route.ts";
import { routeLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death, type RouteTaken } from "../deaths.ts";
import { leads, ownerOf } from "../peer-routes.ts";
import { nodeBehind, podNetworks } from "../pod-networks.ts";

interface Shadow {
  host: Namespace;
  by: Route;
  /** The route that is not asked. */
  over: Route;
  deaths: Death[];
}

/** Whether a route of a host without a gateway is one of a link that the host itself has an address on. */
function isConnected(host: Namespace, route: Route): boolean {
  const [hop] = route.nexthops;
  if (route.type !== "unicast" || hop === undefined || hop.gateway !== null) return false;
  const link = host.links.find((each) => each.name === hop.dev);
  return link?.addresses.some((each) => each.prefixLen === route.dst.len && inPrefix(each.ip, route.dst)) ?? false;
}

/** Whether `route` brings what is for `dst` to `node`. */
function isRight(chart: Chart, host: Namespace, route: Route, dst: Ip, node: string): boolean {
  if (leads(chart, route, node) === "there") return true;
  // A neighbour's own address is found on the link.
  return ownerOf(chart, dst) === node && isConnected(host, route);
}

/** The route that would have been right, next in line after the one that was taken. */
function behind(chart: Chart, host: Namespace, taken: Route, dst: Ip, node: string): Route | undefined {
  const routes = dst.v === 4 ? host.routes4 : host.routes6;
  return routes
    .filter((each) => each !== taken && each.table === taken.table && each.dst.len > 0 && inPrefix(dst, each.dst))
    .filter((each) => each.dst.len < taken.dst.len || (each.dst.len === taken.dst.len && each.metric > taken.metric))
    .toSorted((a, b) => b.dst.len - a.dst.len || a.metric - b.metric)
    .find((each) => isRight(chart, host, each, dst, node));
}

/** Whether the packet came to `node` after all, so that it died of something else. */
function arrived(taken: RouteTaken, node: string): boolean {
  return taken.after.some((step) => step.at.startsWith(`${node}/`));
}

function shadowOf(chart: Chart, death: Death, taken: RouteTaken): Omit<Shadow, "deaths"> | null {
  const { dst, route } = taken;
  const host = chart.dir.places.get(taken.at);
  if (host === undefined || route === null || dst === null || taken.rule !== null) return null;
  const node = ownerOf(chart, dst) ?? nodeBehind(chart, dst);
  if (node == null || node === host.node || arrived(taken, node) || isRight(chart, host, route, dst, node)) return null;
  const over = behind(chart, host, route, dst, node) ?? stranded(death, host, taken);
  return over === undefined ? null : { host, by: route, over };
}

/**
 * The default route, where a pod of another node is looked for on a link that it is not on: a router would know better, as it does for
 * whoever learns no routes to other nodes' pods.
 */
function stranded(death: Death, host: Namespace, { route, dst }: RouteTaken): Route | undefined {
  const onLink = route?.nexthops.length === 1 && route.nexthops[0]?.gateway === null && route.dst.len > 0;
  if (!onLink || death.disposition !== "neighbour-unreachable" || death.at !== host.place || dst === null)
    return undefined;
  const routes = dst.v === 4 ? host.routes4 : host.routes6;
  return routes.find(
    (each) => each.dst.len === 0 && each.table === route.table && each.nexthops.some((hop) => hop.gateway !== null),
  );
}

function fromDeaths(chart: Chart): Shadow[] {
  const hosts = new Set(chart.hosts.map((host) => host.place));
  const found = new Map<Route, Shadow>();
  for (const death of deathsOf(chart)) {
    const taken = death.routes.findLast((each) => hosts.has(each.at));
    const shadow = taken === undefined ? null : shadowOf(chart, death, taken);
    if (shadow === null) continue;
    const known = found.get(shadow.by);
    if (known === undefined) found.set(shadow.by, { ...shadow, deaths: [death] });
    else known.deaths.push(death);
  }
  return [...found.values()];
}

/**
 * Routes to a part of another node's pod network that leave by a device which leads to no node, although no pod is there as yet. Addresses
 * that one node borrowed of another's block lead to a node or to a pod's veth, and are no shadow.
 */
function latent(chart: Chart, known: ReadonlySet<Route>): Shadow[] {
  const { all } = podNetworks(chart);
  return chart.hosts.flatMap((host) => {
    const machine = chart.site.machines.find((each) => each.place === host.place);
    const veths = new Set(machine?.sandboxes.map((each) => each.hostDevice?.name));
    return [...host.routes4, ...host.routes6].flatMap((route): Shadow[] => {
      if (known.has(route) || route.table !== 254 || route.dst.len === 0 || route.type !== "unicast") return [];
      const strange = route.nexthops.every(
        (hop) =>
          (hop.gateway === null || ownerOf(chart, hop.gateway) === undefined) &&
          !(veths.has(hop.dev ?? "") && hop.gateway === null),
      );
      if (!strange || route.protocol === "kernel" || route.protocol === "bird") return [];
      const network = all.find((each) => each.prefix.len < route.dst.len && inPrefix(route.dst.ip, each.prefix));
      if (network === undefined || network.node === host.node) return [];
      const over = behind(chart, host, route, route.dst.ip, network.node);
      return over === undefined || sameWay(over, route) ? [] : [{ host, by: route, over, deaths: [] }];
    });
  });
}

function sameWay(a: Route, b: Route): boolean {
  const [x, y] = [a.nexthops[0], b.nexthops[0]];
  if (x === undefined || y === undefined || x.dev !== y.dev) return false;
  return x.gateway === null ? y.gateway === null : y.gateway !== null && sameIp(x.gateway, y.gateway);
}

function suspicion(chart: Chart, { host, by, over, deaths }: Shadow): Suspicion {
  const v = by.dst.ip.v;
  const dev = by.nexthops[0]?.dev;
  const where = dev == null ? `is ${by.type}` : `leads to ${dev}`;
  const why = by.dst.len > over.dst.len ? "has the longer prefix" : "has the lower metric";
  return {
    id: "route-shadowed",
    at: host.place,
    summary: `On ${host.node} the route to ${formatPrefix(by.dst)} ${where} and ${why}, so that the right one (${routeLine(over)}) is not used${
      deaths.length > 0 ? "" : ": pods that get an address there will not be reached"
    }`,
    evidence: [chart.evidence(by.source, routeLine(by)), chart.evidence(over.source, routeLine(over))],
    remedy: [
      `# on ${host.node}, when nothing else needs it (${by.protocol === "" ? "someone" : `protocol ${by.protocol}`} wrote it):`,
      `ip ${v === 6 ? "-6 " : ""}route del ${formatPrefix(by.dst)}${dev == null ? "" : ` dev ${dev}`}${by.metric === 0 ? "" : ` metric ${by.metric}`}`,
    ],
    hurts: hurtsOf(deaths),
    otherwise: "warning",
  };
}

function look(chart: Chart): Diagnosis {
  const shadows = fromDeaths(chart);
  const known = new Set(shadows.map((each) => each.by));
  return { suspicions: [...shadows, ...latent(chart, known)].map((each) => suspicion(chart, each)) };
}

export const routeShadowed: Check = { ids: ["route-shadowed"], depth: "underlay", look };
