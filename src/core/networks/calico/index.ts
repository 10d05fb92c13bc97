/** Calico: Felix with iptables, the CNI plugin's devices, tunnels, and the routes that Felix and BIRD write. */
import type { Cluster } from "../../model/cluster.ts";
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { arpTableClaims } from "./arp-table.ts";
import { birdClaims } from "./bird/claims.ts";
import { calicoNodes } from "./calico-node.ts";
import { OWNER, sysctl } from "./claims.ts";
import { cniSettings } from "./cni-settings.ts";
import { calicoConfig, type CalicoConfig } from "./config.ts";
import { felixRuns } from "./felix-parameters.ts";
import { felixRoutes } from "./felix-routes.ts";
import { hostEndpoints } from "./host-endpoints.ts";
import { ipipClaims } from "./ipip.ts";
import { setClaims } from "./ipsets.ts";
import { enforced, iptablesClaims } from "./iptables.ts";
import { labelled, type Labelled } from "./labelled.ts";
import { oncePer } from "../once.ts";
import { profileLabelsOf } from "./policies.ts";
import { vxlanClaims } from "./vxlan.ts";
import { workloadEndpoints, type WorkloadEndpoint } from "./workload-endpoints.ts";
import { workloadClaims } from "./workloads.ts";

interface Pods {
  byNode: Map<string, WorkloadEndpoint[]>;
  /** All of them and whatever else selectors choose from. */
  labelled: Labelled[];
}

/** Pods of a cluster by node, and as selectors see them; the names of their devices begin with the prefix. */
const podsOf = oncePer((cluster: Cluster) => {
  const byPrefix = new Map<string, Pods>();
  return (prefix: string) => {
    const known = byPrefix.get(prefix);
    if (known !== undefined) return known;
    const all = workloadEndpoints(cluster, prefix);
    const byNode = new Map<string, WorkloadEndpoint[]>();
    for (const endpoint of all) {
      const list = byNode.get(endpoint.node);
      if (list === undefined) byNode.set(endpoint.node, [endpoint]);
      else list.push(endpoint);
    }
    const found = { byNode, labelled: labelled(cluster, all, profileLabelsOf(cluster)) };
    byPrefix.set(prefix, found);
    return found;
  };
});

const nodesOf = oncePer(calicoNodes);

function forwarding(machine: Machine, config: CalicoConfig): Claim[] {
  if (!config.forwarding) return [];
  return config.families.map((family) =>
    sysctl(machine.place, family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding", "1"),
  );
}

function intend(site: Site, machine: Machine): Claim[] {
  const { cluster } = site;
  if (machine.node === null) return [];
  const cni = cniSettings(machine);
  if (cni === null && !felixRuns(machine)) return [];
  const nodes = nodesOf(cluster);
  const own = nodes.get(machine.name);
  if (own === undefined) return [];
  const config = calicoConfig(site, machine);
  const pods = podsOf(cluster)(config.devicePrefixes[0] ?? "cali");
  // Another plugin's pods may still have Felix's policies, but not its devices.
  const local = pods.byNode.get(machine.name) ?? [];
  const claims = [
    ...forwarding(machine, config),
    ...(cni === null ? [] : workloadClaims(machine, local, cni, config)),
    ...([4, 6] as const).flatMap((family) =>
      config.vxlan[family] ? vxlanClaims(machine, own, nodes, family, config) : [],
    ),
    ...(config.ipip ? ipipClaims(machine, own, config) : []),
    ...felixRoutes(site, machine, own, nodes, config),
    ...birdClaims(site, machine, own),
  ];
  claims.push(...arpTableClaims(machine.place, local));
  if (config.dataplane !== "iptables") return claims;
  const what = enforced(cluster, local, hostEndpoints(cluster, machine));
  for (const family of config.families) {
    claims.push(
      ...iptablesClaims(machine, own, family, config, what),
      ...setClaims(cluster, machine, own, nodes, family, config, what.sets, pods.labelled),
    );
  }
  return claims;
}

export const calico: Network = {
  name: OWNER,
  about: "Calico: Felix with iptables, VXLAN, IPIP and BGP, and the devices of its CNI plugin",
  intend,
};
