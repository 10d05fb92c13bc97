/** Where a packet starts: the words that people use → a canonical place (contract: "Places"). */
import { formatIp, parseIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import { hasEnded, type Directory, type PodEntry } from "./directory.ts";
import { NameError, NotRecordedError } from "./errors.ts";
import { hostNamespace } from "./machines.ts";
import { findPod, matchPods, unknownPod } from "./pods.ts";
import { nearest, someOf } from "./suggest.ts";

function placeOfPod(pod: PodEntry): string {
  if (pod.at !== null) return pod.at.place;
  if (hasEnded(pod)) throw new NameError(`pod ${pod.id} has ended (${pod.object?.phase}): it has no network`);
  if (pod.node === null) throw new NameError(`pod ${pod.id} is on no node yet: it has no network`);
  throw new NotRecordedError(`the network namespace of pod ${pod.id} on node ${pod.node} was not recorded`);
}

/** `NODE/pod/NAMESPACE/NAME` that is no recorded place as it stands. */
function podOfPath(dir: Directory, node: string, id: string, text: string): string {
  const pod = dir.pods.get(id);
  if (pod === undefined) {
    const ids = nearest(id, dir.pods.keys());
    throw new NameError(
      `unknown pod ${id}`,
      ids.map((i) => dir.pods.get(i)?.at?.place ?? i),
    );
  }
  const place = placeOfPod(pod);
  if (pod.node !== node) throw new NameError(`pod ${id} is on ${pod.node}, not on ${node}`, [place]);
  if (pod.object?.hostNetwork !== true) throw new NameError(`unknown place ${text}`, [place]);
  return place;
}

/** `NODE/netns/ID` that is no recorded place as it stands: the namespace may be a pod's, and be named after it. */
function netnsOfPath(dir: Directory, node: string, id: string): string {
  const here = dir.snapshot.namespaces.filter((ns) => ns.node === node && ns.inode !== null);
  const found = here.find((ns) => String(ns.inode) === id);
  if (found !== undefined) return found.place;
  hostNamespace(dir, node);
  throw new NameError(
    `no namespace ${id} was recorded on ${node}; there are ${someOf(here.map((ns) => String(ns.inode)))}`,
  );
}

/** Recorded namespaces that hold an address. */
function holders(dir: Directory, address: string): Namespace[] {
  return dir.snapshot.namespaces.filter((ns) =>
    ns.links.some((l) => l.kind.kind !== "loopback" && l.addresses.some((a) => formatIp(a.ip) === address)),
  );
}

function placeOfAddress(dir: Directory, text: string): string {
  const ip = parseIp(text);
  if (ip === null) throw new NameError(`"${text}" is no address`);
  const address = formatIp(ip);
  const found = holders(dir, address);
  if (found.length === 1) return found[0]!.place;
  if (found.length > 1) throw new NameError(`${address} is held by ${someOf(found.map((ns) => ns.place))}: name one`);
  for (const pod of dir.pods.values()) {
    if (!hasEnded(pod) && pod.ips.includes(address)) return placeOfPod(pod);
  }
  throw new NameError(`no recorded namespace holds ${address}`);
}

/** A word without prefix and slash: a pod, a machine, or a workload with one pod. */
function placeOfWord(dir: Directory, word: string): string {
  const exact = dir.podsByName.get(word) ?? [];
  const machine = dir.machines.has(word) || dir.nodes.has(word);
  if (exact.length > 0 && machine) throw new NameError(`${word} is a pod and a node`, [exact[0]!.id, `node:${word}`]);
  if (machine) return hostNamespace(dir, word).place;
  if (exact.length > 0 || matchPods(dir, null, word).length > 0) return placeOfPod(findPod(dir, word));
  throw new NameError(
    `unknown pod or node ${word}`,
    nearest(word, new Set([...dir.machines, ...dir.podsByName.keys()])),
  );
}

/**
 * The canonical place that `text` means: `NODE/host`, `NODE/pod/NS/NAME`, `NODE/netns/ID`, `pod:NS/NAME`, `NS/NAME`, a
 * pod's bare name, a workload that has one pod, `node:NAME`, a node's bare name, or an address that one namespace holds.
 * Throws NameError for what is unknown or could be several, NotRecordedError for what exists but was not recorded.
 */
export function resolveFrom(dir: Directory, text: string): string {
  const t = text.trim();
  if (dir.places.has(t)) return t;
  const prefixed = /^(pod|node|svc|service):(.*)$/s.exec(t);
  if (prefixed !== null) {
    const [, kind, name] = prefixed as unknown as [string, string, string];
    if (kind === "pod") return placeOfPod(findPod(dir, name));
    if (kind === "node") return hostNamespace(dir, name).place;
    throw new NameError(
      `${t} is a Service: a packet starts from a pod or a node, such as pod:NAMESPACE/NAME or node:NAME`,
    );
  }
  if (parseIp(t) !== null) return placeOfAddress(dir, t);
  const parts = t.split("/");
  const [first, second, third, fourth] = parts as [string, ...(string | undefined)[]];
  if (parts.length === 4 && second === "pod") return podOfPath(dir, first, `${third}/${fourth}`, t);
  if (parts.length === 3 && second === "netns") return netnsOfPath(dir, first, third ?? "");
  if (parts.length === 2) {
    const pods = matchPods(dir, first, second ?? "");
    if (pods.length > 0) return placeOfPod(findPod(dir, t));
    if (second === "host") return hostNamespace(dir, first).place;
    if (dir.machines.has(first)) throw new NameError(`unknown place ${t}`, [`${first}/host`]);
    return placeOfPod(findPod(dir, t));
  }
  if (parts.length > 2) {
    throw new NameError(`unknown place ${t}: a place is NODE/host, NODE/pod/NAMESPACE/NAME or NODE/netns/ID`);
  }
  if (t === "") throw unknownPod(dir, '""');
  return placeOfWord(dir, t);
}
