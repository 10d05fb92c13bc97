/** Which changes are explained by a pod that came or went: what mentions its address, its device, its namespace. */
import type { Pod } from "../model/cluster.ts";
import type { State } from "./state.ts";
import type { Change, Side } from "./types.ts";

const nameOf = (pod: Pod): string => `${pod.namespace}/${pod.name}`;

/** Words that can be an address or a device's name. */
const WORD = /[\w.:-]+/g;

/** Pods of `own` that `other` has not, by everything that is theirs alone: addresses anywhere, devices by `PLACE NAME`. */
function marks(own: State, other: State): Map<string, string> {
  const found = new Map<string, string>();
  const there = new Map(other.snapshot.cluster.pods.map((pod) => [nameOf(pod), pod]));
  for (const pod of own.snapshot.cluster.pods) {
    const same = there.get(nameOf(pod));
    if (pod.hostNetwork || same !== undefined) continue;
    for (const ip of pod.ips) found.set(ip, nameOf(pod));
    found.set(`pod ${nameOf(pod)}`, nameOf(pod));
  }
  for (const ns of own.snapshot.namespaces) {
    if (ns.pod === null || there.has(`${ns.pod.namespace}/${ns.pod.name}`)) continue;
    const name = `${ns.pod.namespace}/${ns.pod.name}`;
    found.set(ns.place, name);
    for (const link of ns.links) {
      const peer = own.peerOf(ns.place, link.name);
      if (peer !== null) found.set(`${peer.at} ${peer.dev}`, name);
    }
  }
  return found;
}

function podOf(change: Change, side: Side | null, known: ReadonlyMap<string, string>): string | null {
  if (side === null || known.size === 0) return null;
  const own = known.get(change.at) ?? known.get(`pod ${change.what}`);
  if (own !== undefined) return own;
  for (const text of [change.what, side.text]) {
    for (const word of text.match(WORD) ?? []) {
      const found = known.get(word) ?? known.get(`${change.at} ${word}`);
      if (found !== undefined) return found;
    }
  }
  return null;
}

/** Says of each thing that was added or removed which pod it came or went with. */
export function attributePods(before: State, after: State, changes: readonly Change[]): void {
  const gone = marks(before, after);
  const come = marks(after, before);
  for (const change of changes) {
    if (change.change === "removed") change.pod = podOf(change, change.before, gone);
    else if (change.change === "added") change.pod = podOf(change, change.after, come);
  }
}
