/** Recorded BPF maps against those that the cluster's objects ask for. */
import type { IpcacheEntry } from "./address-maps.ts";
import type { PolicyEntry, PolicyMap } from "./policy-map.ts";
import { frontendKey, type Frontend } from "./service-map.ts";

export interface MapDifference {
  map: "services" | "ipcache" | "policy";
  /** Frontend, prefix, or entry. */
  key: string;
  intended: string | null;
  actual: string | null;
}

const shownBackends = (frontend: Frontend | undefined): string | null =>
  frontend === undefined ? null : `${frontend.kind} ${frontend.backends.join(", ") || "nobody"}`;

/** Frontends that are missing, too many, of another kind or with other backends. */
export function serviceDifferences(intended: readonly Frontend[], actual: readonly Frontend[]): MapDifference[] {
  // Old maps do not tell protocols apart, and then one frontend stands for all that share its port.
  const told = actual.every((each) => each.protocol !== "ANY");
  const group = (list: readonly Frontend[]): Map<string, Frontend> => {
    const map = new Map<string, Frontend>();
    for (const each of list) {
      const key = frontendKey(each, told);
      const known = map.get(key);
      map.set(
        key,
        known === undefined
          ? each
          : { ...known, backends: [...new Set([...known.backends, ...each.backends])].toSorted() },
      );
    }
    return map;
  };
  const [wanted, found] = [group(intended), group(actual)];
  const differences: MapDifference[] = [];
  for (const key of new Set([...wanted.keys(), ...found.keys()])) {
    const pair = [shownBackends(wanted.get(key)), shownBackends(found.get(key))] as const;
    if (pair[0] !== pair[1]) differences.push({ map: "services", key, intended: pair[0], actual: pair[1] });
  }
  return differences;
}

/** Entries that are intended and not there, or there with another identity or node; what is there besides is not compared. */
export function ipcacheDifferences(
  intended: readonly IpcacheEntry[],
  actual: readonly IpcacheEntry[],
): MapDifference[] {
  const found = new Map(actual.map((entry) => [entry.prefix, entry]));
  const shown = (entry: IpcacheEntry | undefined): string | null =>
    entry === undefined ? null : `identity ${entry.identity}${entry.tunnel === null ? "" : ` behind ${entry.tunnel}`}`;
  // A node that runs the API server is identity 7 instead of that of a node (reserved:kube-apiserver).
  const same = (a: IpcacheEntry, b: IpcacheEntry): boolean =>
    a.tunnel === b.tunnel &&
    (a.identity === b.identity || (b.identity === 7 && (a.identity === 1 || a.identity === 6)));
  return intended.flatMap((entry) => {
    const other = found.get(entry.prefix);
    if (other !== undefined && same(entry, other)) return [];
    return [{ map: "ipcache" as const, key: entry.prefix, intended: shown(entry), actual: shown(other) }];
  });
}

const shownEntry = (entry: PolicyEntry): string => {
  const peer =
    "identity" in entry.peer
      ? entry.peer.identity === 0
        ? "anybody"
        : `identity ${entry.peer.identity}`
      : entry.peer.cidr;
  const range = entry.endPort === entry.port ? String(entry.port) : `${entry.port}-${entry.endPort}`;
  const port = entry.protocol === "" ? "" : ` ${entry.protocol}${entry.port === 0 ? "" : ` ${range}`}`;
  return `${entry.deny ? "deny" : "allow"} ${entry.direction} ${peer}${port}`;
};

/** Whether an entry is covered by one for anybody: Cilium leaves out what a broader entry says already. */
function covered(entry: PolicyEntry, by: readonly PolicyEntry[]): boolean {
  return by.some(
    (other) =>
      other !== entry &&
      other.direction === entry.direction &&
      other.deny === entry.deny &&
      "identity" in other.peer &&
      (other.peer.identity === 0 || ("identity" in entry.peer && other.peer.identity === entry.peer.identity)) &&
      (other.protocol === "" || other.protocol === entry.protocol) &&
      (other.port === 0 || (other.port <= entry.port && entry.endPort <= other.endPort)),
  );
}

/**
 * Entries that are missing and not covered by another one, and entries of known identities that nothing asks for. Empty when kinds of
 * policy are at work that are not modelled. Identities of address ranges are those that the node's ipcache has for them.
 */
export function policyDifferences(
  intended: PolicyMap,
  actual: readonly PolicyEntry[],
  ipcache: readonly IpcacheEntry[] = [],
): MapDifference[] {
  if (intended.unknown.length > 0) return [];
  const byPrefix = new Map(ipcache.map((entry) => [entry.prefix, entry.identity]));
  const wanted = intended.entries.flatMap((entry): PolicyEntry[] => {
    if ("identity" in entry.peer) return [entry];
    const identity = byPrefix.get(entry.peer.cidr);
    return identity === undefined ? [] : [{ ...entry, peer: { identity } }];
  });
  const key = (entry: PolicyEntry): string => shownEntry(entry);
  const name = `${intended.pod.namespace}/${intended.pod.name}`;
  const [wants, has] = [new Set(wanted.map(key)), new Set(actual.map(key))];
  // Numbers from 2^24 on are a node's own, for address ranges and names.
  const local = (entry: PolicyEntry): boolean => "identity" in entry.peer && entry.peer.identity >= 1 << 24;
  return [
    ...wanted
      .filter((entry) => !has.has(key(entry)) && !covered(entry, actual))
      .map((entry) => ({ map: "policy" as const, key: name, intended: key(entry), actual: null })),
    ...actual
      .filter((entry) => !wants.has(key(entry)) && !local(entry) && !covered(entry, wanted))
      .map((entry) => ({ map: "policy" as const, key: name, intended: null, actual: key(entry) })),
  ];
}
