/** The pods of a machine as a plugin meets them. */
import { parseIp } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Machine, Sandbox, Site } from "../site.ts";
import type { Ipam, PodAddress } from "./ipam.ts";

/** One ADD of the runtime: a pod, its addresses and the id of its sandbox. */
export interface Attached {
  pod: Pod;
  /** Name of the device within; runtimes ask for eth0. */
  ifname: string;
  /** Null when it was not recorded. */
  containerId: string | null;
  /** IPv4 first, as in the pod's status; without those that the configuration does not explain. */
  addresses: PodAddress[];
}

/** One whose namespace was recorded. */
export interface Attachment extends Attached {
  sandbox: Sandbox;
}

const DEVICE = "eth0";

const addressesOf = (pod: Pod, ipam: Ipam): PodAddress[] =>
  pod.ips
    .map(parseIp)
    .filter((ip) => ip !== null)
    .map((ip) => ipam.address(ip))
    .filter((each) => each !== null);

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
      return [{ pod, sandbox, ifname: DEVICE, containerId: idOf(pod), addresses: addressesOf(pod, ipam) }];
    })
    .toSorted((a, b) => (a.sandbox.hostDevice?.index ?? 0) - (b.sandbox.hostDevice?.index ?? 0));
}

/** Phases of pods whose containers have ended for good: the runtime has taken their sandboxes away. */
const ENDED: ReadonlySet<string> = new Set(["Succeeded", "Failed"]);

/**
 * Pods of this machine that are attached although their namespaces were not recorded: none of their containers runs now (one that
 * crashes again and again, an image that is missing), but the sandbox stays, and with it what plugins made for it on the host. Their
 * addresses are still taken, so whoever gave them still has the sandbox's id.
 */
export function unseenAttachments(
  site: Site,
  machine: Machine,
  ipam: Ipam,
  idOf: (pod: Pod) => string | null,
): Attached[] {
  const seen = new Set(machine.sandboxes.map(({ pod }) => `${pod.namespace}/${pod.name}`));
  return site.cluster.pods.flatMap((pod): Attached[] => {
    if (pod.node !== machine.name || pod.hostNetwork || ENDED.has(pod.phase)) return [];
    if (seen.has(`${pod.namespace}/${pod.name}`)) return [];
    const containerId = idOf(pod);
    const addresses = addressesOf(pod, ipam);
    return containerId === null || addresses.length === 0 ? [] : [{ pod, ifname: DEVICE, containerId, addresses }];
  });
}
