/** Everything that is intended on one machine: by every network, by the machine itself, and by the kernel from these. */
import type { Namespace } from "../model/namespace.ts";
import type { Claim } from "./claim.ts";
import { peerRoutes } from "./cni/peer-routes.ts";
import { kernelClaims } from "./kernel.ts";
import { machineClaims } from "./machine.ts";
import { NETWORKS } from "./registry.ts";
import type { Machine, Site } from "./site.ts";
import type { RouteState } from "./state.ts";

const routeKey = (at: string, route: RouteState): string =>
  `${at} ${route.family} ${route.table} ${route.dst} ${route.metric}`;

/** Whether a program has the look-up of table local, which the kernel has first of all, at another priority (Cilium does). */
function movesLocal(programs: readonly Claim[], first: Claim & { kind: "rule-lookup" }): boolean {
  const { family, action } = first.state;
  return programs.some(
    (claim) =>
      claim.kind === "rule-lookup" &&
      claim.at === first.at &&
      claim.state.family === family &&
      claim.state.selector === "from all" &&
      claim.state.action === action,
  );
}

/** What programs want, and what the kernel makes of these namespaces' devices and addresses by itself. */
export function withKernel(programs: readonly Claim[], namespaces: readonly Namespace[]): Claim[] {
  const taken = new Set(programs.flatMap((claim) => (claim.kind === "route" ? [routeKey(claim.at, claim.state)] : [])));
  // A route that a program puts in the place of the kernel's own (the ptp plugin does) is the program's.
  const derived = namespaces
    .flatMap((ns) => kernelClaims(ns))
    .filter(
      (claim) =>
        !(claim.kind === "route" && taken.has(routeKey(claim.at, claim.state))) &&
        !(claim.kind === "rule-lookup" && claim.state.priority === 0 && movesLocal(programs, claim)),
    );
  return [...programs, ...derived];
}

/**
 * All claims on a machine's namespaces. `namespaces` are those that were recorded of it: the kernel derives its part from the devices
 * and addresses that are there. Throws IntentError when a network's configuration makes no sense.
 */
export function intentOf(site: Site, machine: Machine, namespaces: readonly Namespace[]): Claim[] {
  const claims = NETWORKS.flatMap((network) => network.intend(site, machine));
  const host = namespaces.find((ns) => ns.place === machine.place);
  const addressKey = (claim: Claim): string | null =>
    claim.kind === "address" ? `${claim.at} ${claim.state.dev} ${claim.state.address}` : null;
  // An address that a program may put on the machine's device (keepalived's) is the program's.
  const taken = new Set(claims.map(addressKey));
  const own = (host === undefined ? [] : machineClaims(machine, host)).filter(
    (claim) => claim.kind !== "address" || !taken.has(addressKey(claim)),
  );
  return withKernel([...claims, ...peerRoutes(site, machine), ...own], namespaces);
}
