/** Nodes that are asked through pods. */
import type { Extent } from "../node-script.ts";
import { NodeError, type NodeSource } from "../source.ts";
import type { NodeState } from "./cluster-files.ts";
import type { Kube } from "./connection.ts";
import { CONTAINER, createPod, deletePod, untilRunning, type DebugPodOptions } from "./debug-pod.ts";
import { execScript } from "./exec.ts";

async function* throughDebugPod(
  kube: Kube,
  node: NodeState,
  options: DebugPodOptions,
  signal: AbortSignal,
  extent: Extent | null,
): AsyncGenerator<Buffer, void, undefined> {
  if (!node.ready) throw new NodeError("it is not ready: its kubelet does not report, so no pod can start there");
  signal.throwIfAborted();
  // Not interrupted: a pod whose name never came back could not be removed.
  const name = await createPod(kube, node.name, options);
  try {
    await untilRunning(kube, options.namespace, name, signal);
    yield* execScript(kube, { namespace: options.namespace, name, container: CONTAINER }, signal, extent);
  } finally {
    await deletePod(kube, options.namespace, name);
  }
}

/** A node, by a privileged pod that is made for it and removed again. */
export function debugPodSource(kube: Kube, node: NodeState, options: DebugPodOptions): NodeSource {
  return {
    label: node.name,
    name: node.name,
    open: (signal, extent = null) => throughDebugPod(kube, node, options, signal, extent),
  };
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
const recordsOf = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map(recordOf) : []);

export interface PodChoice {
  /** In which namespace; null for all. */
  namespace: string | null;
  /** A label selector: `k8s-app=kube-proxy`. */
  selector: string;
}

/**
 * Nodes by pods that run there already: one of those that `selector` finds on each node, the first by name; its first privileged container.
 * Rejects with KubeError, and with NodeError when it finds no pod that would do.
 */
export async function existingPodSources(kube: Kube, choice: PodChoice, signal: AbortSignal): Promise<NodeSource[]> {
  const where = choice.namespace === null ? "" : `/namespaces/${encodeURIComponent(choice.namespace)}`;
  const query = `labelSelector=${encodeURIComponent(choice.selector)}`;
  const list = await kube.request("GET", `/api/v1${where}/pods?${query}`, undefined, signal);
  const sources = new Map<string, NodeSource>();
  const pods = recordsOf(list["items"]).map((pod) => ({
    meta: recordOf(pod["metadata"]),
    spec: recordOf(pod["spec"]),
    phase: recordOf(pod["status"])["phase"],
  }));
  const byName = pods.toSorted((a, b) => (String(a.meta["name"]) < String(b.meta["name"]) ? -1 : 1));
  for (const { meta, spec, phase } of byName) {
    const node = spec["nodeName"];
    if (phase !== "Running" || typeof node !== "string" || sources.has(node) || spec["hostNetwork"] !== true) continue;
    const container = recordsOf(spec["containers"]).find(
      (each) => recordOf(each["securityContext"])["privileged"] === true,
    );
    if (container === undefined) continue;
    const pod = {
      namespace: String(meta["namespace"]),
      name: String(meta["name"]),
      container: String(container["name"]),
    };
    sources.set(node, {
      label: node,
      name: node,
      open: (inner, extent = null) => execScript(kube, pod, inner, extent),
    });
  }
  if (sources.size === 0)
    throw new NodeError(
      pods.length === 0
        ? `no pod has the labels ${choice.selector}`
        : `none of the ${pods.length} pods with the labels ${choice.selector} runs with a privileged container on its host's network`,
    );
  return [...sources.values()].toSorted((a, b) => (a.label < b.label ? -1 : 1));
}
