/** Who is who in a snapshot: pods, Services, nodes and namespaces by the names that people use. */
import { formatIp } from "../model/address.ts";
import type { EndpointSlice, Node, Pod, Service } from "../model/cluster.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";

/** A pod as names lead to it; known from the cluster's objects, from a recorded namespace, or from both. */
export interface PodEntry {
  /** `NAMESPACE/NAME`. */
  id: string;
  namespace: string;
  name: string;
  node: string | null;
  /** The cluster's object; null when only its namespace was recorded. */
  object: Pod | null;
  /** Where its processes' packets start: its own namespace, or its node's with hostNetwork. Null when that was not recorded. */
  at: Namespace | null;
  /** Addresses in the cluster's order, else as the namespace's links hold them. */
  ips: string[];
}

/** Lookups over a snapshot, made once and never changed. */
export interface Directory {
  snapshot: Snapshot;
  places: ReadonlyMap<string, Namespace>;
  /** By `NAMESPACE/NAME`. */
  pods: ReadonlyMap<string, PodEntry>;
  podsByName: ReadonlyMap<string, readonly PodEntry[]>;
  services: ReadonlyMap<string, Service>;
  /** EndpointSlices by the `NAMESPACE/NAME` of their Service. */
  slices: ReadonlyMap<string, readonly EndpointSlice[]>;
  nodes: ReadonlyMap<string, Node>;
  /** Names of every recorded machine: nodes, and routers and hosts of the fabric. */
  machines: ReadonlySet<string>;
  /** Kubernetes namespaces that anything is in. */
  namespaces: ReadonlySet<string>;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

/** Addresses of a namespace that others can send to, in the order of its links: no loopback, no link-local, no secondary. */
export function globalAddresses(ns: Namespace): string[] {
  const out: string[] = [];
  for (const link of ns.links) {
    for (const a of link.addresses) {
      if (a.scope === "global" && !a.secondary && link.kind.kind !== "loopback") out.push(formatIp(a.ip));
    }
  }
  return out;
}

/** True for a pod that ended: it holds no address and no namespace any more. */
export function hasEnded(pod: PodEntry): boolean {
  return pod.object !== null && (pod.object.phase === "Succeeded" || pod.object.phase === "Failed");
}

/** Indexes the names of a snapshot. Linear in its pods, Services and namespaces. */
export function createDirectory(snapshot: Snapshot): Directory {
  const places = new Map<string, Namespace>();
  const machines = new Set<string>(snapshot.nodes);
  const recorded = new Map<string, Namespace[]>();
  for (const ns of snapshot.namespaces) {
    places.set(ns.place, ns);
    machines.add(ns.node);
    if (ns.pod !== null) push(recorded, `${ns.pod.namespace}/${ns.pod.name}`, ns);
  }

  const pods = new Map<string, PodEntry>();
  for (const object of snapshot.cluster.pods) {
    const id = `${object.namespace}/${object.name}`;
    const own = recorded.get(id) ?? [];
    const at = object.hostNetwork
      ? (places.get(`${object.node}/host`) ?? null)
      : (own.find((ns) => ns.node === object.node) ?? own[0] ?? null);
    const ips = object.ips.length > 0 || at === null || object.hostNetwork ? object.ips : globalAddresses(at);
    pods.set(id, { id, namespace: object.namespace, name: object.name, node: object.node, object, at, ips });
  }
  for (const [id, list] of recorded) {
    if (pods.has(id)) continue;
    const at = list[0]!;
    const { namespace, name } = at.pod!;
    pods.set(id, { id, namespace, name, node: at.node, object: null, at, ips: globalAddresses(at) });
  }

  const podsByName = new Map<string, PodEntry[]>();
  const namespaces = new Set<string>();
  for (const pod of pods.values()) {
    push(podsByName, pod.name, pod);
    namespaces.add(pod.namespace);
  }
  const services = new Map<string, Service>();
  for (const s of snapshot.cluster.services) {
    services.set(`${s.namespace}/${s.name}`, s);
    namespaces.add(s.namespace);
  }
  const slices = new Map<string, EndpointSlice[]>();
  for (const s of snapshot.cluster.endpointSlices) {
    if (s.service !== null) push(slices, `${s.namespace}/${s.service}`, s);
  }
  const nodes = new Map(snapshot.cluster.nodes.map((n) => [n.name, n]));
  return { snapshot, places, pods, podsByName, services, slices, nodes, machines, namespaces };
}
