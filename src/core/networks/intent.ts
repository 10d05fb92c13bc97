/** Everything that is intended on one machine: by every network, by the machine itself, and by the kernel from these. */
import type { Namespace } from "../model/namespace.ts";
import type { Claim } from "./claim.ts";
import { kernelClaims } from "./kernel.ts";
import { machineClaims } from "./machine.ts";
import { NETWORKS } from "./registry.ts";
import type { Machine, Site } from "./site.ts";

/**
 * All claims on a machine's namespaces. `namespaces` are those that were recorded of it: the kernel derives its part from the devices
 * and addresses that are there. Throws IntentError when a network's configuration makes no sense.
 */
export function intentOf(site: Site, machine: Machine, namespaces: readonly Namespace[]): Claim[] {
  const claims = NETWORKS.flatMap((network) => network.intend(site, machine));
  const host = namespaces.find((ns) => ns.place === machine.place);
  return [
    ...claims,
    ...(host === undefined ? [] : machineClaims(machine, host)),
    ...namespaces.flatMap((ns) => kernelClaims(ns)),
  ];
}
