/** What generators know of the world that they are making: who is attached to what, under which addresses. */
import type { Rng } from "../rng.ts";
import type { Item, Phase, ServerSpec } from "../world.ts";

/** A link's place on a segment. */
export interface Member {
  ns: number;
  dev: string;
  v4: string | null;
  v6: string | null;
}

/** A stretch of layer 2 that namespaces share. */
export interface Segment {
  kind: "veth" | "bridge" | "vxlan";
  members: Member[];
  /** First three octets and prefix length; null without IPv4. */
  v4: { base: string; len: number } | null;
  /** Prefix without its last group; null without IPv6. */
  v6: { base: string; len: number } | null;
}

/** A device, whether or not it has an address. */
export interface Device {
  ns: number;
  dev: string;
  kind: "veth" | "bridge" | "port" | "vxlan" | "macvlan" | "lo";
  mtu: number;
}

export interface Plan {
  rng: Rng;
  namespaces: string[];
  segments: Segment[];
  devices: Device[];
  /** Addresses on loopbacks. */
  extras: { ns: number; address: string; family: 4 | 6 }[];
  servers: { ns: number; server: ServerSpec }[];
  items: Item[];
  /** Marks, tables and the like that policy rules use, so that others can aim at them. */
  marks: number[];
  filter: Filter;
}

/** Which features to use beyond the bare network. */
export interface Filter {
  /** Null means all. */
  only: ReadonlySet<string> | null;
  without: ReadonlySet<string>;
}

/** Whether a generator may act. */
export function wants(plan: Plan, feature: string): boolean {
  return (plan.filter.only === null || plan.filter.only.has(feature)) && !plan.filter.without.has(feature);
}

/** Adds a line of `ip -batch`. */
export function ip(
  plan: Plan,
  ns: number,
  phase: Phase & ("link" | "upper" | "address" | "route"),
  text: string,
  feature: string,
): void {
  plan.items.push({ ns, phase, kind: "ip", text, feature });
}

/** Adds a setting; `path` below /proc/sys. */
export function sysctl(
  plan: Plan,
  ns: number,
  path: string,
  value: number | string,
  feature: string,
  phase: "sysctl" | "sysctl-before" = "sysctl",
): void {
  plan.items.push({ ns, phase, kind: "sysctl", path, value: String(value), feature });
}

/** Every address of a namespace, of one family. */
export function addressesOf(plan: Plan, ns: number, family: 4 | 6): string[] {
  const own = plan.segments.flatMap((s) =>
    s.members.filter((m) => m.ns === ns).map((m) => (family === 4 ? m.v4 : m.v6)),
  );
  return [
    ...own.filter((a) => a !== null),
    ...plan.extras.filter((e) => e.ns === ns && e.family === family).map((e) => e.address),
  ];
}

/** Every address of the world, of one family. */
export function allAddresses(plan: Plan, family: 4 | 6): string[] {
  return plan.namespaces.flatMap((_, ns) => addressesOf(plan, ns, family));
}

/** Device names of a namespace, loopback excluded. */
export function devicesOf(plan: Plan, ns: number): Device[] {
  return plan.devices.filter((d) => d.ns === ns && d.kind !== "lo");
}

/** Prefixes on the world's segments, `10.1.0.0/24`. */
export function prefixesOf(plan: Plan, family: 4 | 6): string[] {
  return plan.segments.flatMap((s) => {
    const p = segmentPrefix(s, family);
    return p === null ? [] : [p];
  });
}

/** The segment's prefix, as text; null when it has none of this family. */
export function segmentPrefix(s: Segment, family: 4 | 6): string | null {
  if (family === 4) return s.v4 === null ? null : `${s.v4.base}.0/${s.v4.len}`;
  return s.v6 === null ? null : `${s.v6.base}:0/${s.v6.len}`;
}

/** An address on a segment that no one has. */
export function vacant(s: Segment, family: 4 | 6): string | null {
  if (family === 4) return s.v4 === null ? null : `${s.v4.base}.${s.v4.len >= 29 ? 6 : 99}`;
  return s.v6 === null ? null : `${s.v6.base}:99`;
}
