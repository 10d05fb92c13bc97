/**
 * A next hop that nobody is behind is still used: the kernel takes one out of a multipath route only when its device goes down
 * (fib_sync_down_dev), not when its neighbour fails, so every connection that hashes to it is lost. One of two ToR switches down is the
 * usual case.
 */
import { formatIp } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { NextHop, Route } from "../../model/route.ts";
import { sysctlConf, sysctlNumber } from "../../model/sysctl.ts";
import { neighbourLine, routeLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";

interface Dead {
  host: Namespace;
  route: Route;
  hop: NextHop;
  deaths: Death[];
}

/** The next hop of the last route of a death that its end names: `nobody answers for ADDRESS on DEV`, or a device without a carrier. */
function deadOf(chart: Chart, death: Death): Omit<Dead, "deaths"> | null {
  const taken = death.routes.at(-1);
  const host = chart.dir.places.get(taken?.at ?? "");
  if (taken?.route == null || host === undefined || host.pod !== null || taken.at !== death.at) return null;
  const { route } = taken;
  // The next hops of a tunnel are its ends, which the tables for them tell of.
  const tunnels = new Set(host.links.filter((link) => link.kind.kind === "vxlan").map((link) => link.name));
  const hop = route.nexthops.find(
    (each) =>
      !tunnels.has(each.dev ?? "") &&
      ((death.disposition === "neighbour-unreachable" &&
        each.gateway !== null &&
        death.text.includes(`${formatIp(each.gateway)} on ${each.dev}`)) ||
        (each.linkdown && death.text.startsWith(`${each.dev} `))),
  );
  return hop === undefined ? null : { host, route, hop };
}

/** Next hops of multipath routes whose neighbour the kernel has given up on, or whose device has lost its carrier. */
function latent(chart: Chart, known: ReadonlySet<NextHop>): Dead[] {
  const places = [
    ...chart.hosts,
    ...(chart.snapshot.fabric?.routers ?? []).flatMap((name) => chart.dir.places.get(`${name}/host`) ?? []),
  ];
  return places.flatMap((host) =>
    [...host.routes4, ...host.routes6]
      .filter((route) => route.nexthops.length > 1 && route.table !== 255)
      .flatMap((route) =>
        route.nexthops.flatMap((hop): Dead[] => {
          if (known.has(hop) || hop.dead || !(isFailed(chart, host, hop) || isStillUsed(host, route, hop))) return [];
          return [{ host, route, hop, deaths: [] }];
        }),
      ),
  );
}

function isFailed(chart: Chart, host: Namespace, hop: NextHop): boolean {
  const { gateway, dev } = hop;
  if (gateway === null) return false;
  const entry = host.neighbours.find((each) => each.dev === dev && each.ip.key === gateway.key);
  if (entry?.state !== "FAILED") return false;
  // Where someone recorded has the address, the entry is a leftover of a moment ago.
  return !chart.world.namespaces.some((ns) => ns.owner(gateway) !== null);
}

/** A device without a carrier is used all the same unless ignore_routes_with_linkdown is on. */
function isStillUsed(host: Namespace, route: Route, hop: NextHop): boolean {
  if (!hop.linkdown || hop.dev === null) return false;
  const family = route.dst.ip.v === 4 ? "ipv4" : "ipv6";
  return [hop.dev, "all"].every(
    (dev) => sysctlNumber(host.sysctls, sysctlConf(family, dev, "ignore_routes_with_linkdown"), 0) === 0,
  );
}

function suspicion(chart: Chart, { host, route, hop, deaths }: Dead): Suspicion {
  const gateway = hop.gateway === null ? `${hop.dev}` : `${formatIp(hop.gateway)} (${hop.dev})`;
  const entry = host.neighbours.find((each) => each.dev === hop.dev && each.ip.key === hop.gateway?.key);
  const all = route.nexthops.reduce((sum, each) => sum + each.weight, 0);
  const part =
    route.nexthops.length > 1
      ? `, and ${hop.weight} of ${all} connections by the route go there`
      : ", and the route has no other";
  const text = routeLine(route);
  const v6 = route.dst.ip.v === 6 ? "-6 " : "";
  const dst = text.split(" ")[0] ?? "";
  const rest = route.nexthops
    .filter((each) => each !== hop)
    .map(
      (each) =>
        ` nexthop${each.gateway === null ? "" : ` via ${formatIp(each.gateway)}`} dev ${each.dev} weight ${each.weight}`,
    );
  return {
    id: "next-hop-dead",
    at: host.place,
    summary: `Next hop ${gateway} of "${dst}" on ${host.node} is ${hop.linkdown ? "behind a device without a carrier" : "answered for by nobody"}${part}`,
    evidence: [
      chart.evidence(route.source, text),
      ...(entry === undefined ? [] : [chart.evidence(entry.source, neighbourLine(entry, false))]),
    ],
    remedy: [
      `# bring ${gateway} back, or until then take it out of the route on ${host.node}:`,
      ...(rest.length === 0
        ? []
        : [`ip ${v6}route replace ${dst}${route.metric === 0 ? "" : ` metric ${route.metric}`}${rest.join("")}`]),
    ],
    hurts: hurtsOf(deaths),
    otherwise: "warning",
  };
}

function look(chart: Chart): Diagnosis {
  const found = new Map<NextHop, Dead>();
  for (const death of deathsOf(chart)) {
    const dead = deadOf(chart, death);
    if (dead === null) continue;
    const known = found.get(dead.hop);
    if (known === undefined) found.set(dead.hop, { ...dead, deaths: [death] });
    else known.deaths.push(death);
  }
  const dead = [...found.values(), ...latent(chart, new Set(found.keys()))];
  return { suspicions: dead.map((each) => suspicion(chart, each)) };
}

export const nextHopDead: Check = { ids: ["next-hop-dead"], depth: "underlay", look };
