/**
 * Connection tracking entries of datagrams that lead to an address that nobody has: as long as the client sends, they keep it from being
 * balanced anew. All other entries come and go with what packets pass by.
 */
import { formatIp } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { conntrackLine } from "../show/lines.ts";
import type { Item } from "./items.ts";

const IPPROTO_UDP = 17;

/** Every address of the recorded namespaces, the cluster's pods, nodes and endpoints. */
export function knownAddresses(snapshot: Snapshot): ReadonlySet<string> {
  const found = new Set<string>();
  for (const ns of snapshot.namespaces)
    for (const link of ns.links) for (const { ip } of link.addresses) found.add(formatIp(ip));
  for (const pod of snapshot.cluster.pods) for (const ip of pod.ips) found.add(ip);
  for (const slice of snapshot.cluster.endpointSlices)
    for (const endpoint of slice.endpoints) for (const ip of endpoint.addresses) found.add(ip);
  return found;
}

/** Entries that translate the destination of datagrams to none of `known`. */
export function lostEntries(ns: Namespace, known: ReadonlySet<string>): Item[] {
  return ns.conntrack.flatMap((entry): Item[] => {
    if (entry.proto !== IPPROTO_UDP) return [];
    const [to, server] = [formatIp(entry.orig.dst), formatIp(entry.reply.src)];
    if (to === server || known.has(server)) return [];
    const what = `${to}:${entry.orig.dport} → ${server}:${entry.reply.sport}`;
    return [{ key: what, what, fields: {}, text: conntrackLine(entry), source: entry.source }];
  });
}
