/** Claims on links, addresses, routes, rules, neighbours, FDB entries and settings as the commands that make them. */
import type { Claim } from "../claim.ts";
import type { AddressState, FdbState, NeighbourState, RouteState } from "../state.ts";
import { linkCommands, netnsCommand, toolsOf, words, type Made, type Tools } from "./link-commands.ts";

function routeCommand(route: RouteState, tools: Tools): string {
  const way = (each: RouteState["ways"][number]): string =>
    words(
      each.via !== null && `via ${each.via}`,
      each.dev !== null && `dev ${each.dev}`,
      each.onlink === true && "onlink",
    );
  const several = route.ways.length > 1;
  return words(
    // One that the kernel made of an address gives way, as it does for the programs.
    `${tools.ip}${route.family === 6 ? " -6" : ""} route replace`,
    route.type !== "unicast" && route.type,
    route.dst,
    !several && route.ways.map(way).join(""),
    route.table !== 254 && `table ${route.table}`,
    route.protocol !== undefined && route.protocol !== "boot" && `proto ${route.protocol}`,
    route.scope !== undefined && route.scope !== "global" && route.type !== "blackhole" && `scope ${route.scope}`,
    typeof route.src === "string" && `src ${route.src}`,
    route.metric !== 0 && !(route.family === 6 && route.metric === 1024) && `metric ${route.metric}`,
    typeof route.mtu === "number" && `mtu ${route.mtu}`,
    // Nothing of the route itself may stand behind the first of several ways.
    several && route.ways.map((each) => words("nexthop", way(each), `weight ${each.weight ?? 1}`)).join(" "),
  );
}

function addressCommand({ address, dev }: AddressState, tools: Tools): string {
  // Without nodad an IPv6 address is nobody's source until it has been looked for on the link.
  return words(`${tools.ip} address add ${address} dev ${dev}`, address.includes(":") && "nodad");
}

function neighbourCommand(entry: NeighbourState, tools: Tools): string {
  if (entry.proxy === true) return `${tools.ip} neigh add proxy ${entry.ip} dev ${entry.dev}`;
  return words(
    `${tools.ip} neigh add ${entry.ip}`,
    typeof entry.mac === "string" && `lladdr ${entry.mac}`,
    `dev ${entry.dev}`,
    `nud ${(entry.state ?? "PERMANENT").toLowerCase()}`,
  );
}

function fdbCommand(entry: FdbState, tools: Tools): string {
  return words(
    `${tools.bridge} fdb append ${entry.mac} dev ${entry.dev}`,
    typeof entry.dst === "string" && `dst ${entry.dst}`,
    typeof entry.master === "string" ? "master" : "self",
    entry.state === "static" ? "static" : "permanent",
  );
}

const ORDER = ["link", "address", "sysctl", "route", "rule-lookup", "neighbour", "fdb"];

/** The commands for the claims on one namespace, links first. `made` remembers what stands already. */
export function ipCommands(claims: readonly Claim[], made: Made): string[] {
  const sorted = claims
    .filter((claim) => ORDER.includes(claim.kind))
    .toSorted((a, b) => ORDER.indexOf(a.kind) - ORDER.indexOf(b.kind));
  return sorted.flatMap((claim): string[] => {
    const tools = toolsOf(claim.at);
    const first = netnsCommand(claim.at, made);
    switch (claim.kind) {
      case "link":
        return [...first, ...linkCommands(claim.state, claim.at, made)];
      case "address":
        return [...first, addressCommand(claim.state, tools)];
      case "sysctl":
        return [...first, `${tools.sysctl} -w ${claim.state.key}=${claim.state.value}`];
      case "route":
        return [...first, routeCommand(claim.state, tools)];
      case "rule-lookup": {
        const { family, priority, selector, action } = claim.state;
        const ip = `${tools.ip}${family === 6 ? " -6" : ""}`;
        // Another place for the look-up that the kernel has first of all (Cilium): the first one goes.
        const moved = selector === "from all" && action === "lookup local" && priority !== 0;
        return [
          `${ip} rule add priority ${priority} ${selector} ${action}`,
          ...(moved ? [`${ip} rule del priority 0 ${selector} ${action}`] : []),
        ];
      }
      case "neighbour":
        return [...first, neighbourCommand(claim.state, tools)];
      case "fdb":
        return [...first, fdbCommand(claim.state, tools)];
      default:
        return [];
    }
  });
}
