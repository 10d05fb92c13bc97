/** Cilium: forwarding by BPF, over a VXLAN or Geneve tunnel or by the nodes' own routes. */
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import { ciliumConfig } from "./config.ts";
import { deviceClaims } from "./devices.ts";
import { endpointClaims } from "./endpoints.ts";
import { localNode } from "./local-node.ts";
import { routeClaims } from "./routes.ts";
import { xtablesClaims } from "./xtables.ts";

export const cilium: Network = {
  name: "cilium",
  about: "Cilium: pods' veth pairs, devices and routes around its BPF programs, iptables rules beside them",
  intend(site, machine): Claim[] {
    const config = ciliumConfig(site, machine);
    const local = config === null ? null : localNode(site, machine, config);
    if (local === null) return [];
    const pods = new Map(site.cluster.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
    const endpoints = machine.sandboxes.flatMap((sandbox) => {
      const pod = pods.get(`${sandbox.pod.namespace}/${sandbox.pod.name}`);
      return pod === undefined || pod.hostNetwork ? [] : endpointClaims(local, sandbox, pod);
    });
    return [...deviceClaims(local), ...routeClaims(local), ...endpoints, ...xtablesClaims(local)];
  },
};
