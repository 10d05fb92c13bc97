/** The pods of a machine as a plugin meets them. */
import { parseIp } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Machine, Sandbox, Site } from "../site.ts";
import type { Ipam, PodAddress } from "./ipam.ts";

/** One ADD of the runtime: a pod's namespace, its addresses and the id of its sandbox. */
export interface Attachment {
  pod: Pod;
  sandbox: Sandbox;
  /** Name of the device within; runtimes ask for eth0. */
  ifname: string;
  /** Null when it was not recorded. */
  containerId: string | null;
  /** IPv4 first, as in the pod's status; without those that the configuration does not explain. */
  addresses: PodAddress[];
}

const DEVICE = "eth0";

/**
 * The pods of this machine that have a namespace of their own, in the order in which they were attached: a device that is made later has
 * a higher index (dev_new_index).
 */
export function attachmentsOf(
  site: Site,
  machine: Machine,
  ipam: Ipam,
  idOf: (pod: Pod) => string | null,
): Attachment[] {
  const pods = new Map(site.cluster.pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  return machine.sandboxes
    .flatMap((sandbox): Attachment[] => {
      const pod = pods.get(`${sandbox.pod.namespace}/${sandbox.pod.name}`);
      if (pod === undefined || pod.hostNetwork || pod.node !== machine.name) return [];
      const ips = pod.ips.map(parseIp).filter((ip) => ip !== null);
      const addresses = ips.map((ip) => ipam.address(ip)).filter((each) => each !== null);
      return [{ pod, sandbox, ifname: DEVICE, containerId: idOf(pod), addresses }];
    })
    .toSorted((a, b) => (a.sandbox.hostDevice?.index ?? 0) - (b.sandbox.hostDevice?.index ?? 0));
}
