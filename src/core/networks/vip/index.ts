/** The virtual addresses that keepalived puts on machines, and the redirect to their load balancer. */
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { elect, type Contender, type Election } from "./election.ts";
import { haproxyOf, keepalivedOf, loadBalancerPorts, sourceOf, virtualAddresses, type Holder } from "./recorded.ts";
import { redirectClaims } from "./redirect.ts";

const OWNER = "keepalived";

/** Contenders for one address, all of them well: nothing in their files says how they are. */
function contenders(vip: string, holders: readonly Holder[]): Contender[] {
  return holders.map(({ machine, instance }) => ({
    node: machine.name,
    instance,
    source: sourceOf(machine, instance, vip) ?? "",
    ready: true,
    scripts: new Map(),
    master: false,
  }));
}

/** The election for one address by the machines' files, when every machine is well and hears the others. */
export function electionFor(vip: string, holders: readonly Holder[]): Election {
  return elect(contenders(vip, holders), () => true);
}

function addressClaims(site: Site, machine: Machine): Claim[] {
  const claims: Claim[] = [];
  for (const [vip, holders] of virtualAddresses(site).byAddress) {
    const own = holders.find((each) => each.machine === machine);
    const virtual = own?.instance.addresses.find((each) => each.address === vip);
    if (own === undefined || virtual === undefined) continue;
    // Whose checks succeed is in no file: where an address really is, only the kernel tells. Any instance may hold it.
    claims.push({
      owner: OWNER,
      at: machine.place,
      optional: true,
      kind: "address",
      state: { dev: virtual.dev ?? own.instance.interface, address: `${vip}/${virtual.prefixLen}` },
    });
  }
  return claims;
}

function redirects(site: Site, machine: Machine): Claim[] {
  const haproxy = haproxyOf(machine);
  const ports = haproxy === null ? null : loadBalancerPorts(site, haproxy);
  // Without a change of port there is nothing to redirect.
  if (ports === null || ports.lbPort === ports.apiPort) return [];
  const api = keepalivedOf(machine)?.instances.find((instance) => instance.name.endsWith("_API"));
  return (api?.addresses ?? []).flatMap((each) =>
    redirectClaims({ vip: each.address, ...ports }, OWNER, machine.place),
  );
}

export const vip: Network = {
  name: OWNER,
  about: "A floating address before the API servers: keepalived, HAProxy and the redirect between them",
  intend(site, machine) {
    if (keepalivedOf(machine) === null) return [];
    return [...addressClaims(site, machine), ...redirects(site, machine)];
  },
};
