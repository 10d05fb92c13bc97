/** Which senders are asked about which targets: all of them in a small cluster, in a large one a part that still meets every target, node and way. */
import type { Sender, Target } from "./target.ts";

/** More questions than this are not asked at once. */
export const MOST_QUESTIONS = 12_000;

export interface Pair {
  sender: Sender;
  target: Target;
}

const familyOf = (target: Target): 4 | 6 => (target.address.includes(":") ? 6 : 4);

/** Whether someone would ask this at all: nobody beyond the cluster knows the addresses of pods and clusterIPs. */
function makesSense(sender: Sender, target: Target): boolean {
  const { aim } = target;
  if (!sender.families.has(familyOf(target))) return false;
  if (sender.kind === "outside") {
    if (aim.kind === "pod") return false;
    if (aim.kind === "service" && aim.way === "clusterIP") return false;
    if (aim.kind === "outside") return false;
  }
  if (aim.kind === "node" && aim.node === sender.node && sender.kind === "node") return false;
  if (aim.kind === "pod" && aim.place === sender.place) return false;
  return true;
}

/** Senders of one node with the same labels and namespace meet the same rules: the first of each kind stands for all. */
function representatives(senders: readonly Sender[]): Sender[] {
  const seen = new Set<string>();
  return senders.filter((sender) => {
    const labels = Object.entries(sender.pod?.labels ?? {})
      .filter(([name]) => name !== "pod-template-hash" && name !== "controller-revision-hash")
      .toSorted()
      .map(([name, value]) => `${name}=${value}`);
    const key = `${sender.node} ${sender.kind} ${sender.pod?.namespace ?? ""} ${labels.join(",")}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/**
 * The questions of a survey, at most about `most`. When not every pair can be asked, senders that look alike are asked once, and of
 * what is left every n-th, so that each sender and each target still has its turn.
 */
export function pairs(senders: readonly Sender[], targets: readonly Target[], most = MOST_QUESTIONS): Pair[] {
  const asking = senders.length * targets.length <= most ? senders : representatives(senders);
  const total = asking.length * targets.length;
  const stride = Math.max(1, Math.ceil(total / most));
  const found: Pair[] = [];
  asking.forEach((sender, i) => {
    // Each sender begins elsewhere, so that together they meet all targets.
    for (let j = i % stride; j < targets.length; j += stride) {
      const target = targets[j]!;
      if (makesSense(sender, target)) found.push({ sender, target });
    }
  });
  return found;
}
