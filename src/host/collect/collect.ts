/** Takes a snapshot: of a cluster through its API, of machines through ssh, of this machine, or from pieces. */
import { randomBytes } from "node:crypto";
import { PodIndex } from "./attribute.ts";
import { localSource, sshSource, type SshOptions } from "./child-source.ts";
import { gather, type NodeResult } from "./gather.ts";
import type { ClusterFiles } from "./kube/cluster-files.ts";
import type { Kube } from "./kube/connection.ts";
import type { DebugPodOptions } from "./kube/debug-pod.ts";
import type { SnapshotSink } from "./sink.ts";
import type { NodeSource } from "./source.ts";
import { snapshotJson } from "./summary.ts";

/** What every way of collecting needs. */
export interface CollectOptions {
  sink: SnapshotSink;
  /** How many nodes at a time. */
  parallel: number;
  /** Milliseconds for one node. */
  timeout: number;
  /** Version of the command, for snapshot.json. */
  version: string;
  signal: AbortSignal;
  onNode?: (result: NodeResult, done: number, total: number) => void;
}

/** What was collected; snapshot.json says the same. */
export interface Collected {
  nodes: NodeResult[];
  /** Resources of the cluster that could not be had, and why. */
  missing: ReadonlyMap<string, string>;
  /** How many values were removed from the cluster's objects, by resource. */
  removed: ReadonlyMap<string, number>;
  interrupted: boolean;
}

/** What is known of the cluster when nodes are asked. */
export type KnownCluster = Pick<ClusterFiles, "pods" | "missing" | "removed" | "kubernetes">;

export interface Plan {
  /** For snapshot.json: `api`, `ssh` … */
  way: string;
  sources: readonly NodeSource[];
  cluster: KnownCluster;
  /** Whether the archives are made now, so that clocks can be compared. */
  live: boolean;
}

const NO_CLUSTER: KnownCluster = { pods: new PodIndex(), missing: new Map(), removed: new Map(), kubernetes: null };

/** Asks the sources and writes snapshot.json; the sink is left open. */
export async function collectFrom(plan: Plan, options: CollectOptions): Promise<Collected> {
  const { sink, parallel, timeout, signal, version, onNode } = options;
  const takenAt = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const { way, sources, cluster, live } = plan;
  const nodes = await gather(sources, sink, {
    parallel,
    timeout,
    pods: cluster.pods,
    signal,
    live,
    now: Date.now,
    ...(onNode === undefined ? {} : { onNode }),
  });
  const { missing, removed, kubernetes } = cluster;
  const interrupted = signal.aborted;
  const summary = snapshotJson({ takenAt, way, version, kubernetes, nodes, missing, removed, interrupted });
  await sink.add("snapshot.json", Buffer.from(summary));
  return { nodes, missing, removed, interrupted };
}

export interface ApiOptions extends CollectOptions {
  kube: Kube;
  /** By pods that are there already, or by pods that are made (and removed again). */
  by:
    | { kind: "exec-pod"; namespace: string | null; selector: string }
    | { kind: "debug-pod"; namespace: string; image: string };
  /** Only these nodes; all when null. */
  only: readonly string[] | null;
}

/** A node that was asked for and that the cluster does not have. */
export class UnknownNodeError extends Error {
  override readonly name = "UnknownNodeError";
}

function chosen<T>(all: readonly T[], only: readonly string[] | null, nameOf: (each: T) => string): T[] {
  if (only === null) return [...all];
  const known = new Map(all.map((each) => [nameOf(each), each]));
  return [...new Set(only)].map((name) => {
    const found = known.get(name);
    if (found === undefined)
      throw new UnknownNodeError(`no node "${name}" to ask; there are ${[...known.keys()].join(", ") || "none"}`);
    return found;
  });
}

/**
 * Through the API server: its objects, and the nodes by pods. `only` limits the nodes, not the objects. The pods that were made are gone
 * when it resolves or rejects. Rejects with KubeError when the API server cannot be asked, with UnknownNodeError, with NodeError when
 * there is no pod to use, and with what the sink throws; what single nodes refuse is in their results.
 */
export async function collectFromApi(options: ApiOptions): Promise<Collected> {
  const { kube, sink, signal, by, only } = options;
  const { readCluster } = await import("./kube/cluster-files.ts");
  const { debugPodSource, existingPodSources } = await import("./kube/pod-source.ts");
  const { cleanUp } = await import("./kube/debug-pod.ts");
  const cluster = await readCluster(kube, sink, signal);
  if (by.kind === "exec-pod") {
    const sources = chosen(await existingPodSources(kube, by, signal), only, (each) => each.label);
    return collectFrom({ way: by.kind, sources, cluster, live: true }, options);
  }
  const pod: DebugPodOptions = { namespace: by.namespace, image: by.image, run: randomBytes(6).toString("hex") };
  const sources = chosen(cluster.nodes, only, (each) => each.name).map((node) => debugPodSource(kube, node, pod));
  try {
    return await collectFrom({ way: "api", sources, cluster, live: true }, options);
  } finally {
    // None should be left; a request that failed half-way may have made one nevertheless.
    if (signal.aborted) await cleanUp(kube, pod.namespace, pod.run);
  }
}

/** The cluster's objects beside nodes that are asked without it; none when there is no connection. */
async function clusterBeside(kube: Kube | null, { sink, signal }: CollectOptions): Promise<KnownCluster> {
  if (kube === null) return NO_CLUSTER;
  const { readCluster } = await import("./kube/cluster-files.ts");
  return readCluster(kube, sink, signal);
}

/**
 * Machines through the user's own ssh, and the cluster's objects when there is a connection. Rejects with KubeError when the API server
 * cannot be asked and with what the sink throws; what single machines refuse is in their results.
 */
export async function collectBySsh(
  targets: readonly string[],
  ssh: SshOptions,
  env: Readonly<Record<string, string | undefined>>,
  kube: Kube | null,
  options: CollectOptions,
): Promise<Collected> {
  const cluster = await clusterBeside(kube, options);
  const sources = [...new Set(targets)].map((target) => sshSource(target, ssh, env));
  return collectFrom({ way: "ssh", sources, cluster, live: true }, options);
}

/** This machine, and the cluster's objects when there is a connection. Rejects as `collectBySsh` does. */
export async function collectHere(
  env: Readonly<Record<string, string | undefined>>,
  kube: Kube | null,
  options: CollectOptions,
): Promise<Collected> {
  const cluster = await clusterBeside(kube, options);
  return collectFrom({ way: "local", sources: [localSource(env)], cluster, live: true }, options);
}
