/** The files below cluster/ from the API server. */
import { PodIndex } from "../attribute.ts";
import type { SnapshotSink } from "../sink.ts";
import { cleanObject } from "./clean-object.ts";
import type { Kube } from "./connection.ts";
import { KubeError } from "./kube-error.ts";
import { ListFile } from "./list-file.ts";
import { networkResources, pages, RESOURCES, type ClusterObject, type Resource } from "./objects.ts";

export interface NodeState {
  name: string;
  /** Whether its kubelet reports. */
  ready: boolean;
}

export interface ClusterFiles {
  pods: PodIndex;
  nodes: NodeState[];
  /** Why a resource is not there, by resource. */
  missing: Map<string, string>;
  /** How many values were removed, by resource. */
  removed: Map<string, number>;
  /** The API server's version; null when it does not tell. */
  kubernetes: string | null;
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

function nodeState(object: ClusterObject): NodeState {
  const conditions = recordOf(object["status"])["conditions"];
  const ready = (Array.isArray(conditions) ? conditions.map(recordOf) : []).find((each) => each["type"] === "Ready");
  return { name: String(recordOf(object["metadata"])["name"]), ready: ready?.["status"] === "True" };
}

async function readResource(
  kube: Kube,
  resource: Resource,
  sink: SnapshotSink,
  found: ClusterFiles,
  signal: AbortSignal,
): Promise<void> {
  const list = new ListFile();
  let removed = 0;
  const count = (): void => {
    removed++;
  };
  try {
    for await (const page of pages(kube, resource, signal))
      for (const object of page) {
        if (resource.file === "pods") found.pods.add(object);
        if (resource.file === "nodes") found.nodes.push(nodeState(object));
        list.add({ apiVersion: resource.apiVersion, kind: resource.kind, ...cleanObject(object, count) });
      }
  } catch (error) {
    if (!(error instanceof KubeError) || error.status === null || error.status === 401) throw error;
    // Of an API that the server does not have, there are no objects.
    if (error.status !== 404) found.missing.set(resource.file, error.message);
    return;
  }
  if (removed > 0) found.removed.set(resource.file, removed);
  if (list.count > 0 || resource.always) await sink.add(`cluster/${resource.file}.json`, list.bytes());
}

/** So many lists are asked for at once. */
const PARALLEL = 6;

/**
 * Reads the cluster's objects into `sink`, cleaned of secrets; Secrets are not read at all. What may not be read is `missing`. With `only`
 * just these resources, and nothing of the networks' own.
 * Rejects with KubeError when the server cannot be asked at all.
 */
export async function readCluster(
  kube: Kube,
  sink: SnapshotSink,
  signal: AbortSignal,
  only: ReadonlySet<string> | null = null,
): Promise<ClusterFiles> {
  const found: ClusterFiles = {
    pods: new PodIndex(),
    nodes: [],
    missing: new Map(),
    removed: new Map(),
    kubernetes: null,
  };
  const version = kube
    .request("GET", "/version", undefined, signal)
    .catch((error: unknown): Record<string, unknown> => {
      if (error instanceof KubeError && error.status !== null && error.status !== 401) return {};
      throw error;
    });
  const ofNetworks = async (): Promise<Resource[]> => {
    if (only !== null) return [];
    try {
      return await networkResources(kube, signal);
    } catch (error) {
      if (!(error instanceof KubeError) || error.status === null || error.status === 401) throw error;
      found.missing.set("networks' own resources", error.message);
      return [];
    }
  };
  const queue = RESOURCES.filter(({ file }) => only === null || only.has(file));
  const worker = async (): Promise<void> => {
    for (let resource = queue.shift(); resource !== undefined; resource = queue.shift())
      await readResource(kube, resource, sink, found, signal);
  };
  const [{ gitVersion }, extra] = await Promise.all([
    version,
    ofNetworks(),
    ...Array.from({ length: PARALLEL }, worker),
  ]);
  found.kubernetes = typeof gitVersion === "string" ? gitVersion : null;
  queue.push(...extra);
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return found;
}
