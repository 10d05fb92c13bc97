/** Finds pods by whole name, by the workload that made them, or by a beginning that only one has. */
import { NameError } from "./errors.ts";
import { hasEnded, type Directory, type PodEntry } from "./directory.ts";
import { nearest, someOf } from "./suggest.ts";

/** Pods whose name is `text`, else those of the workload `text` (`text-…`), else those that begin with it. Ended ones only by whole name. */
export function matchPods(dir: Directory, namespace: string | null, text: string): PodEntry[] {
  if (namespace !== null) {
    const exact = dir.pods.get(`${namespace}/${text}`);
    if (exact !== undefined) return [exact];
  } else {
    const exact = dir.podsByName.get(text);
    if (exact !== undefined) return [...exact];
  }
  if (text === "") return [];
  const ofWorkload: PodEntry[] = [];
  const beginning: PodEntry[] = [];
  for (const pod of dir.pods.values()) {
    if ((namespace !== null && pod.namespace !== namespace) || !pod.name.startsWith(text) || hasEnded(pod)) continue;
    beginning.push(pod);
    if (pod.name[text.length] === "-") ofWorkload.push(pod);
  }
  return ofWorkload.length > 0 ? ofWorkload : beginning;
}

/** The one pod that `NAMESPACE/NAME` or a bare `NAME` means. Throws NameError when there is none or more than one. */
export function findPod(dir: Directory, text: string): PodEntry {
  const slash = text.indexOf("/");
  const namespace = slash < 0 ? null : text.slice(0, slash);
  const name = text.slice(slash + 1);
  if (namespace === "" || name === "" || name.includes("/")) {
    throw new NameError(`"${text}" names no pod: write NAMESPACE/NAME`);
  }
  const found = matchPods(dir, namespace, name);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const ids = found.map((p) => p.id).toSorted();
    throw new NameError(`${text} could be ${found.length} pods: ${someOf(ids)}`);
  }
  if (namespace !== null && !dir.namespaces.has(namespace)) {
    throw new NameError(
      `unknown namespace ${namespace}`,
      nearest(namespace, dir.namespaces).map((n) => `${n}/${name}`),
    );
  }
  throw unknownPod(dir, text);
}

/** "unknown pod X", with the nearest names. */
export function unknownPod(dir: Directory, text: string): NameError {
  const candidates = text.includes("/") ? dir.pods.keys() : dir.podsByName.keys();
  return new NameError(`unknown pod ${text}`, nearest(text, candidates));
}
