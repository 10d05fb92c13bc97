/** Which pods and workloads a Service selects. */
import type { Pod, Service } from "../model/cluster.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { objectSources } from "./object-sources.ts";
import type { Source } from "../model/source.ts";
import { object, textMap } from "../networks/raw.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether `labels` have every label of `wanted`. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

const byNamespace = new WeakMap<Snapshot, Map<string, Pod[]>>();

/** The pods of a namespace. */
export function podsIn(snapshot: Snapshot, namespace: string): readonly Pod[] {
  let map = byNamespace.get(snapshot);
  if (map === undefined) {
    map = new Map();
    for (const pod of snapshot.cluster.pods) {
      const own = map.get(pod.namespace);
      if (own === undefined) map.set(pod.namespace, [pod]);
      else own.push(pod);
    }
    byNamespace.set(snapshot, map);
  }
  return map.get(namespace) ?? [];
}

/** The pods that a Service selects; none for a Service without a selector. */
export function selectedPods(snapshot: Snapshot, service: Service): Pod[] {
  if (Object.keys(service.selector).length === 0) return [];
  return podsIn(snapshot, service.namespace).filter((pod) => hasLabels(pod.labels, service.selector));
}

/** What makes pods: a Deployment and its like. */
export interface Workload {
  kind: "deployment" | "statefulset" | "daemonset" | "replicaset";
  name: string;
  /** How many pods it should have; null when that depends on nodes. */
  replicas: number | null;
  source: Source | null;
}

const WORKLOADS = [
  ["deployment", "deployments.apps"],
  ["statefulset", "statefulsets.apps"],
  ["daemonset", "daemonsets.apps"],
] as const;

/** Recorded workloads whose pods a Service would select. */
export function workloadsOf(snapshot: Snapshot, service: Service): Workload[] {
  if (Object.keys(service.selector).length === 0) return [];
  return WORKLOADS.flatMap(([kind, resource]) =>
    (snapshot.cluster.raw.get(resource) ?? []).flatMap((item, i): Workload[] => {
      const { metadata, spec } = object(item);
      const { namespace, name } = object(metadata);
      if (namespace !== service.namespace || typeof name !== "string") return [];
      const template = object(object(object(spec)["template"])["metadata"]);
      if (!hasLabels(textMap(template["labels"]), service.selector)) return [];
      const replicas = object(spec)["replicas"];
      return [
        {
          kind,
          name,
          // One unless said otherwise (apps/v1 DeploymentSpec).
          replicas: kind === "daemonset" ? null : typeof replicas === "number" ? replicas : 1,
          source: objectSources(snapshot, resource)[i] ?? null,
        },
      ];
    }),
  );
}
