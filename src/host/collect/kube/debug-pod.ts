/** The short-lived pod by which a node's own tools are reached. */
import type { Kube } from "./connection.ts";
import { KubeError } from "./kube-error.ts";
import { NodeError } from "../source.ts";

/** Every pod that kubewalk makes has it, so that what a killed kubewalk left can be found. */
export const LABEL = "app.kubernetes.io/managed-by=kubewalk";

/** The container in the pod. */
export const CONTAINER = "collect";

/** An image that has a shell, where the user names none. */
export const DEFAULT_IMAGE = "docker.io/library/busybox:1.37";

/** Seconds after which kubelet ends the pod, whatever became of kubewalk. */
const LIFETIME = 600;

/** Milliseconds between looks at a pod that is not there yet. */
const INTERVAL = 150;

export interface DebugPodOptions {
  namespace: string;
  image: string;
  /** The same in all pods of one run. */
  run: string;
}

/**
 * The pod's manifest: on that node whatever its taints and without the scheduler, in the node's own process, network and, through
 * its first process, mount namespace; without credentials of the cluster, and with nothing of it writable.
 */
export function debugPod(node: string, { namespace, image, run }: DebugPodOptions): Record<string, unknown> {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: "kubewalk-collect-",
      namespace,
      labels: {
        "app.kubernetes.io/name": "kubewalk-collect",
        "app.kubernetes.io/managed-by": "kubewalk",
        "kubewalk/run": run,
      },
    },
    spec: {
      nodeName: node,
      hostPID: true,
      hostNetwork: true,
      restartPolicy: "Never",
      activeDeadlineSeconds: LIFETIME,
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      tolerations: [{ operator: "Exists" }],
      containers: [
        {
          name: CONTAINER,
          image,
          imagePullPolicy: "IfNotPresent",
          command: ["sh", "-c", `exec sleep ${LIFETIME}`],
          securityContext: { privileged: true, readOnlyRootFilesystem: true },
          terminationMessagePolicy: "File",
        },
      ],
    },
  };
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
const recordsOf = (value: unknown): Record<string, unknown>[] => (Array.isArray(value) ? value.map(recordOf) : []);

/** Reasons why a container will not start without someone doing something (kubelet pkg/kubelet/images/types.go, container/sync_result.go). */
const HOPELESS = new Set([
  "ErrImagePull",
  "ImagePullBackOff",
  "ErrImageNeverPull",
  "InvalidImageName",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);

/** Whether the pod runs; throws NodeError when it never will. */
function isRunning(pod: Record<string, unknown>): boolean {
  const status = recordOf(pod["status"]);
  const [container] = recordsOf(status["containerStatuses"]);
  const state = recordOf(container?.["state"]);
  const waiting = recordOf(state["waiting"]);
  if (typeof waiting["reason"] === "string" && HOPELESS.has(waiting["reason"]))
    throw new NodeError(`its pod cannot start: ${waiting["reason"]}: ${String(waiting["message"] ?? "")}`);
  if (status["phase"] === "Failed" || state["terminated"] !== undefined) {
    const why = status["reason"] ?? recordOf(state["terminated"])["reason"] ?? "it ended";
    throw new NodeError(`its pod failed: ${String(why)}: ${String(status["message"] ?? "")}`);
  }
  return state["running"] !== undefined;
}

/** Makes the pod. Resolves to its name. Rejects with KubeError. */
export async function createPod(kube: Kube, node: string, options: DebugPodOptions): Promise<string> {
  const path = `/api/v1/namespaces/${encodeURIComponent(options.namespace)}/pods`;
  const made = await kube.request("POST", path, debugPod(node, options));
  return String(recordOf(made["metadata"])["name"]);
}

/** Resolves when the pod runs. Rejects with NodeError when it cannot, with KubeError, or when `signal` fires. */
export async function untilRunning(kube: Kube, namespace: string, name: string, signal: AbortSignal): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${name}`;
  for (;;) {
    signal.throwIfAborted();
    if (isRunning(await kube.request("GET", path, undefined, signal))) return;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

/** Removes the pod at once. A pod that is gone is no error. Rejects with KubeError. */
export async function deletePod(kube: Kube, namespace: string, name: string): Promise<void> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${name}`;
  try {
    await kube.request("DELETE", path, { kind: "DeleteOptions", apiVersion: "v1", gracePeriodSeconds: 0 });
  } catch (error) {
    if (!(error instanceof KubeError && error.status === 404)) throw error;
  }
}

/**
 * Removes every pod that kubewalk ever made and that is still there, in `namespace` or in all. `run` limits it to those of one run.
 * Resolves to their names as NAMESPACE/NAME. Rejects with KubeError.
 */
export async function cleanUp(kube: Kube, namespace: string | null, run: string | null): Promise<string[]> {
  const selector = encodeURIComponent(run === null ? LABEL : `${LABEL},kubewalk/run=${run}`);
  const where = namespace === null ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
  const list = await kube.request("GET", `/api/v1${where}/pods?labelSelector=${selector}`);
  const found = recordsOf(list["items"]).map((pod) => recordOf(pod["metadata"]));
  await Promise.all(found.map((meta) => deletePod(kube, String(meta["namespace"]), String(meta["name"]))));
  return found.map((meta) => `${String(meta["namespace"])}/${String(meta["name"])}`).toSorted();
}
