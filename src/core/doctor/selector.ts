/** Label selectors of Kubernetes (apimachinery, labels.Selector), and which pods and workloads a Service selects. */
import type { Pod, Service } from "../model/cluster.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { objectSources } from "./object-sources.ts";
import type { Source } from "../model/source.ts";

type Labels = Readonly<Record<string, string>>;

export type Raw = Readonly<Record<string, unknown>>;

const EMPTY: Raw = {};

/** The value as an object; one without fields when it is none. */
export const asRaw = (value: unknown): Raw =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Raw) : EMPTY;

export const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The fields of an object that are texts. */
export const asLabels = (value: unknown): Record<string, string> =>
  Object.fromEntries(Object.entries(asRaw(value)).filter((e): e is [string, string] => typeof e[1] === "string"));

/** Whether `labels` have every label of `wanted`. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels[key] === value);
}

/** Whether a metav1.LabelSelector takes `labels`; an empty one takes all. */
export function selects(selector: unknown, labels: Labels): boolean {
  const given = asRaw(selector);
  if (!hasLabels(labels, asLabels(given["matchLabels"]))) return false;
  return asList(given["matchExpressions"]).every((each) => {
    const { key, operator, values } = asRaw(each);
    if (typeof key !== "string") return false;
    const value = labels[key];
    const among = value !== undefined && asList(values).includes(value);
    switch (operator) {
      case "In":
        return among;
      // An absent label is not in any set (labels.Requirement.Matches).
      case "NotIn":
        return !among;
      case "Exists":
        return value !== undefined;
      case "DoesNotExist":
        return value === undefined;
      default:
        return false;
    }
  });
}

const byNamespace = new WeakMap<Snapshot, Map<string, Pod[]>>();

/** The pods of a namespace. */
export function podsIn(snapshot: Snapshot, namespace: string): readonly Pod[] {
  let map = byNamespace.get(snapshot);
  if (map === undefined) {
    map = new Map();
    for (const pod of snapshot.cluster.pods) {
      const list = map.get(pod.namespace);
      if (list === undefined) map.set(pod.namespace, [pod]);
      else list.push(pod);
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
      const { metadata, spec } = asRaw(item);
      const { namespace, name } = asRaw(metadata);
      if (namespace !== service.namespace || typeof name !== "string") return [];
      const template = asRaw(asRaw(asRaw(spec)["template"])["metadata"]);
      if (!hasLabels(asLabels(template["labels"]), service.selector)) return [];
      const replicas = asRaw(spec)["replicas"];
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
