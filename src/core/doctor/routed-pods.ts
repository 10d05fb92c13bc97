/** Pods that hang on their node by a veth pair of their own and no bridge, as Calico, Cilium and the ptp plugin connect them. */
import { parseIp, type Ip } from "../model/address.ts";
import type { Link } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import { hasEnded, type PodEntry } from "../names/directory.ts";
import type { Chart } from "./chart.ts";

export interface RoutedPod {
  pod: PodEntry;
  /** Its own namespace. */
  ns: Namespace;
  host: Namespace;
  /** The veth's end on the host. */
  veth: Link;
  ips: readonly Ip[];
}

const made = new WeakMap<Chart, RoutedPod[]>();

/** All of them that run and were recorded together with their node. */
export function routedPods(chart: Chart): readonly RoutedPod[] {
  let found = made.get(chart);
  if (found !== undefined) return found;
  found = [];
  for (const machine of chart.nodes) {
    const host = chart.dir.places.get(machine.place);
    if (host === undefined) continue;
    const links = new Map(host.links.map((link) => [link.name, link]));
    for (const { place, pod: id, hostDevice } of machine.sandboxes) {
      const pod = chart.dir.pods.get(`${id.namespace}/${id.name}`);
      const ns = chart.dir.places.get(place);
      const veth = hostDevice === null ? undefined : links.get(hostDevice.name);
      if (pod === undefined || ns === undefined || pod.at !== ns || veth === undefined || veth.master !== null)
        continue;
      if (pod.object === null || hasEnded(pod) || pod.object.terminating || pod.object.phase !== "Running") continue;
      const held = new Set(ns.links.flatMap((link) => link.addresses.map((each) => each.ip.key)));
      const ips = pod.ips.map((each) => parseIp(each)).filter((ip) => ip !== null && held.has(ip.key)) as Ip[];
      found.push({ pod, ns, host, veth, ips });
    }
  }
  made.set(chart, found);
  return found;
}

/** Gateways of the namespace's default routes. */
export function gatewaysOf(ns: Namespace): Ip[] {
  return [...ns.routes4, ...ns.routes6]
    .filter((route) => route.dst.len === 0 && route.type === "unicast")
    .flatMap((route) => route.nexthops.flatMap((hop) => hop.gateway ?? []));
}
