/** All namespaces of a snapshot joined: veth pairs, devices stacked over namespaces, and the fabric between the nodes. */
import type { Ip } from "../model/address.ts";
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";
import type { Device } from "./device.ts";
import { buildNetfilter } from "./netfilter/build.ts";
import type { Netfilter } from "./netfilter/context.ts";
import { CommonRules } from "./netfilter/xt/common-rules.ts";
import { Ns } from "./ns.ts";

/** A stretch of layer 2 between machines. */
export interface SegmentState {
  name: string;
  source: Source | null;
  devices: Device[];
  /** Who is attached too, but was not recorded: frames may end there. */
  absent: string[];
  /** Nothing was recorded of the fabric: it delivers a node's address to that node and knows nothing else. */
  implicit: boolean;
  /** Devices that a frame may be for, by its destination, as far as anyone asked (transmit.ts). */
  takers: Map<string | null, readonly Device[]>;
}

export class World {
  readonly snapshot: Snapshot;
  readonly namespaces: Ns[] = [];
  readonly byPlace = new Map<string, Ns>();
  private readonly byNode = new Map<string, Ns[]>();
  private readonly common = new CommonRules();
  private readonly nodeOwners = new Map<number | string, Device>();

  constructor(snapshot: Snapshot) {
    this.snapshot = snapshot;
    for (const model of snapshot.namespaces) {
      const ns = new Ns(this, model);
      this.namespaces.push(ns);
      this.byPlace.set(ns.place, ns);
      const ofNode = this.byNode.get(ns.node);
      if (ofNode === undefined) this.byNode.set(ns.node, [ns]);
      else ofNode.push(ns);
    }
    this.attachSegments();
    this.joinVeths();
    this.joinLowers();
    for (const ns of this.namespaces) {
      if (!ns.place.endsWith("/host")) continue;
      for (const dev of ns.devices) {
        if (dev.segment === null) continue;
        for (const a of dev.addresses) if (!this.nodeOwners.has(a.ip.key)) this.nodeOwners.set(a.ip.key, dev);
      }
    }
  }

  /** Device on the implicit fabric that holds a node's address; null when no node owns it there. */
  nodeOwner(ip: Ip): Device | null {
    return this.nodeOwners.get(ip.key) ?? null;
  }

  private portsCache: Set<number> | null = null;

  /** Ports that some conntrack entry of the snapshot has on its client's side. */
  usedPorts(): ReadonlySet<number> {
    if (this.portsCache === null) {
      this.portsCache = new Set();
      for (const ns of this.namespaces)
        for (const e of ns.model.conntrack) this.portsCache.add(e.orig.sport).add(e.reply.dport);
    }
    return this.portsCache;
  }

  buildNetfilter(model: Namespace): Netfilter {
    return buildNetfilter(model, (source) => this.line(source), this.common);
  }

  /** The text of a line of the snapshot; empty when the file or line is not there. */
  line(source: Source): string {
    return this.snapshot.line(source);
  }

  private attachSegments(): void {
    const fabric = this.snapshot.fabric;
    if (fabric !== null) {
      for (const s of fabric.segments) {
        const state: SegmentState = {
          name: s.name,
          source: s.source,
          devices: [],
          absent: [],
          implicit: false,
          takers: new Map(),
        };
        for (const { node, dev } of s.attached) {
          const device = this.byPlace.get(`${node}/host`)?.byName.get(dev);
          if (device === undefined) {
            state.absent.push(`${node} ${dev}`);
            continue;
          }
          device.segment = state;
          state.devices.push(device);
        }
      }
      return;
    }
    const implicit: SegmentState = {
      name: "fabric",
      source: null,
      devices: [],
      absent: [],
      implicit: true,
      takers: new Map(),
    };
    for (const ns of this.namespaces) {
      if (!ns.place.endsWith("/host")) continue;
      for (const dev of ns.devices) {
        const kind = dev.link.kind.kind;
        const uplink = kind === "ethernet" || kind === "bond" || (kind === "veth" && this.pairOf(dev).length === 0);
        if (uplink && dev.link.master === null) {
          dev.segment = implicit;
          implicit.devices.push(dev);
        }
      }
    }
  }

  /** Name of a namespace as the kernel lists it for `netnsid`; undefined when that is not recorded. */
  private nsName(ns: Ns, id: number): string | null | undefined {
    return ns.model.nsids.find((n) => n.id === id)?.name;
  }

  /** Whether device `a` can have its peer in namespace `other`, by what the netnsid of `a` says. */
  private mayPointTo(a: Device, other: Ns): boolean {
    const id = a.link.peerNetnsId;
    if (id === null) return a.ns === other;
    if (a.ns === other) return false;
    const name = this.nsName(a.ns, id);
    if (name === undefined || name === null || other.model.path === null) return true;
    return other.model.path.split("/").pop() === name.split("/").pop();
  }

  /** Devices of the same machine that name `dev` as their peer and are named by it. Indexes of two machines mean nothing to each other. */
  private pairOf(dev: Device): Device[] {
    const out: Device[] = [];
    for (const ns of this.byNode.get(dev.ns.node) ?? []) {
      const other = dev.link.peerIndex === null ? undefined : ns.byIndex.get(dev.link.peerIndex);
      if (other === undefined || other === dev || other.link.kind.kind !== "veth" || other.link.peerIndex !== dev.index)
        continue;
      if (this.mayPointTo(dev, ns) && this.mayPointTo(other, dev.ns)) out.push(other);
    }
    return out;
  }

  private joinVeths(): void {
    for (const ns of this.namespaces) {
      for (const dev of ns.devices) {
        if (dev.link.kind.kind !== "veth" || dev.segment !== null) continue;
        const pairs = this.pairOf(dev);
        if (pairs.length === 1) dev.peer = pairs[0]!;
      }
    }
  }

  private joinLowers(): void {
    for (const ns of this.namespaces) {
      for (const dev of ns.devices) {
        const kind = dev.link.kind;
        if (kind.kind === "veth" || kind.kind === "bridge") continue;
        const name = kind.kind === "vxlan" ? kind.link : dev.link.lower;
        if (name !== null && dev.link.peerNetnsId === null) dev.lower = ns.byName.get(name) ?? null;
        else if (dev.link.peerIndex !== null && dev.link.peerNetnsId !== null) {
          const below = (this.byNode.get(ns.node) ?? []).filter(
            (o) => this.mayPointTo(dev, o) && o.byIndex.has(dev.link.peerIndex!),
          );
          const host = below.find((o) => o.place.endsWith("/host")) ?? (below.length === 1 ? below[0] : undefined);
          dev.lower = host?.byIndex.get(dev.link.peerIndex) ?? null;
        }
        if (
          dev.lower !== null &&
          (kind.kind === "macvlan" || kind.kind === "macvtap" || kind.kind === "ipvlan" || kind.kind === "vlan")
        )
          dev.lower.uppers.push(dev);
      }
    }
  }
}
