/** What a machine brought with it: its own devices, their addresses, the way to its default gateway. */
import { formatIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Route } from "../model/route.ts";
import type { Claim } from "./claim.ts";
import type { Machine } from "./site.ts";
import { MAIN_TABLE, type RouteState } from "./state.ts";

const OWNER = "machine";

function defaultRoute(family: 4 | 6, route: Route): RouteState {
  return {
    family,
    table: MAIN_TABLE,
    dst: family === 4 ? "0.0.0.0/0" : "::/0",
    type: "unicast",
    metric: route.metric,
    ways: route.nexthops.map((hop) => ({ via: hop.gateway === null ? null : formatIp(hop.gateway), dev: hop.dev })),
  };
}

/**
 * Claims of owner `machine` on its root namespace: whoever set the machine up gave it its own devices (OwnDevice), their addresses and
 * default routes through them. No object of the cluster says what these should be, so they are held to be right as they are.
 */
export function machineClaims(machine: Machine, host: Namespace): Claim[] {
  const at = machine.place;
  const own = new Set(machine.devices.map((device) => device.name));
  const claims: Claim[] = machine.devices.flatMap((device): Claim[] => [
    {
      kind: "link",
      owner: OWNER,
      at,
      state: { name: device.name, type: typeOf(host, device.name), mtu: device.mtu, up: true },
    },
    ...device.addresses
      .filter((address) => !address.startsWith("fe80:"))
      .map((address): Claim => ({ kind: "address", owner: OWNER, at, state: { dev: device.name, address } })),
  ]);
  const routes = [
    ...host.routes4.map((route) => ({ family: 4 as const, route })),
    ...host.routes6.map((route) => ({ family: 6 as const, route })),
  ];
  for (const { family, route } of routes) {
    if (route.dst.len !== 0 || route.type !== "unicast" || route.table !== MAIN_TABLE) continue;
    if (!route.nexthops.every((hop) => hop.dev !== null && own.has(hop.dev))) continue;
    claims.push({ kind: "route", owner: OWNER, at, state: defaultRoute(family, route) });
  }
  return claims;
}

function typeOf(host: Namespace, name: string): string {
  const kind = host.links.find((link) => link.name === name)?.kind;
  return kind === undefined ? "ethernet" : kind.kind === "other" ? kind.name : kind.kind;
}
