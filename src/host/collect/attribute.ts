/** Which pod a network namespace is of, where the node itself could not tell. */
import type { ClusterObject } from "./kube/objects.ts";

/** What is known of the cluster's pods, to find theirs by. */
export interface KnownPods {
  byContainer: ReadonlyMap<string, PodName>;
  byUid: ReadonlyMap<string, PodName>;
  /** Running pods with a network of their own, by node. */
  onNode: ReadonlyMap<string, readonly PodName[]>;
}

export interface PodName {
  namespace: string;
  name: string;
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

/** Collects what identifies pods, object by object. */
export class PodIndex implements KnownPods {
  readonly byContainer = new Map<string, PodName>();
  readonly byUid = new Map<string, PodName>();
  readonly onNode = new Map<string, PodName[]>();

  /** `pod` as the API server gives it. */
  add(pod: ClusterObject): void {
    const meta = recordOf(pod["metadata"]);
    const spec = recordOf(pod["spec"]);
    const status = recordOf(pod["status"]);
    const found = { namespace: textOf(meta["namespace"]), name: textOf(meta["name"]) };
    if (spec["hostNetwork"] === true) return;
    this.byUid.set(textOf(meta["uid"]), found);
    for (const key of ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"])
      for (const each of listOf(status[key])) {
        // containerd://ID
        const id = textOf(recordOf(each)["containerID"]).replace(/^.*\/\//, "");
        if (id !== "") this.byContainer.set(id, found);
      }
    const node = textOf(spec["nodeName"]);
    if (node === "" || status["phase"] !== "Running") return;
    const list = this.onNode.get(node);
    if (list === undefined) this.onNode.set(node, [found]);
    else list.push(found);
  }
}

/**
 * netns.json as it should be: with the pod that the cluster's objects tell, where the node told none. `text` is returned as it is when
 * there is nothing to add. `taken` are pods that have a namespace already.
 */
export function attribute(text: string, pods: KnownPods, taken: Set<string>): string {
  let netns: Record<string, unknown>;
  try {
    netns = recordOf(JSON.parse(text));
  } catch {
    // Whoever reads the snapshot says what is wrong with it.
    return text;
  }
  const given = recordOf(netns["pod"]);
  if (typeof given["name"] === "string") {
    taken.add(`${textOf(given["namespace"])}/${given["name"]}`);
    return text;
  }
  const ids = listOf(netns["containers"]).map(textOf);
  const pod =
    pods.byUid.get(textOf(netns["podUid"])) ??
    ids.map((id) => pods.byContainer.get(id)).find((found) => found !== undefined);
  if (pod === undefined || taken.has(`${pod.namespace}/${pod.name}`)) return text;
  taken.add(`${pod.namespace}/${pod.name}`);
  return `${JSON.stringify({ ...netns, pod })}\n`;
}
