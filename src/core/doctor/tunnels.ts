/** The VXLAN tunnels between nodes, as the nodes themselves have them: who is in the same overlay, and what each should know of the others. */
import { formatIp, type Ip } from "../model/address.ts";
import type { FdbEntry, Link, Neighbour } from "../model/link.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Chart } from "./chart.ts";

/** No MAC of a machine: where a device sends what it has no entry for. */
const ZEROS = "00:00:00:00:00:00";

export interface TunnelEnd {
  host: Namespace;
  link: Link;
  vni: number;
  port: number;
  /** Outer address that the others send to; null when the device has none of its own. */
  local: Ip | null;
  /** Addresses of the device itself. */
  addresses: readonly Ip[];
  /** Every address of its host. */
  hostAddresses: ReadonlySet<number | string>;
  neighbours: ReadonlyMap<number | string, Neighbour>;
  fdb: ReadonlyMap<string, readonly FdbEntry[]>;
  /** It asks everyone for what it does not know, or a program is told of it: a missing entry is no fault. */
  finds: boolean;
}

/** Nodes whose VXLAN devices have one VNI, one port and one family of outer addresses. */
export interface Overlay {
  ends: readonly TunnelEnd[];
  byNode: ReadonlyMap<string, TunnelEnd>;
}

function endOf(host: Namespace, link: Link): TunnelEnd | null {
  const { kind } = link;
  if (kind.kind !== "vxlan" || kind.external || kind.id === null) return null;
  const fdb = new Map<string, FdbEntry[]>();
  for (const entry of host.fdb) {
    if (entry.dev !== link.name || entry.master !== null) continue;
    const list = fdb.get(entry.mac);
    if (list === undefined) fdb.set(entry.mac, [entry]);
    else list.push(entry);
  }
  return {
    host,
    link,
    vni: kind.id,
    port: kind.port,
    local: kind.local,
    addresses: link.addresses.filter((each) => each.scope !== "link").map((each) => each.ip),
    hostAddresses: new Set(host.links.flatMap((each) => each.addresses.map(({ ip }) => ip.key))),
    neighbours: new Map(host.neighbours.filter((each) => each.dev === link.name).map((each) => [each.ip.key, each])),
    fdb,
    finds: kind.l2miss || kind.l3miss || kind.remote !== null || fdb.has(ZEROS),
  };
}

const made = new WeakMap<Chart, Overlay[]>();

/** The cluster's overlays. VXLAN devices to which a program gives each packet's tunnel are in none. */
export function overlays(chart: Chart): readonly Overlay[] {
  let found = made.get(chart);
  if (found === undefined) {
    const byKey = new Map<string, TunnelEnd[]>();
    for (const host of chart.hosts) {
      for (const link of host.links) {
        const end = endOf(host, link);
        if (end === null) continue;
        const key = `${end.vni} ${end.port} ${end.local?.v ?? 4}`;
        const list = byKey.get(key);
        if (list === undefined) byKey.set(key, [end]);
        else list.push(end);
      }
    }
    found = [...byKey.values()].map((ends) => ({ ends, byNode: new Map(ends.map((end) => [end.host.node, end])) }));
    made.set(chart, found);
  }
  return found;
}

/** How a tunnel's end reads: `flannel.1 of n2 (96:5b:9d:5c:be:39, 172.30.0.12)`. */
export function endText(end: TunnelEnd): string {
  const facts = [end.link.mac, end.local === null ? null : formatIp(end.local)].filter((each) => each !== null);
  return `${end.link.name} of ${end.host.node} (${facts.join(", ")})`;
}
