/** A namespace at work: the model's lists turned into what lookups need. Built once, read only from then on. */
import type { Ip } from "../model/address.ts";
import type { CtEntry, CtTuple } from "../model/conntrack.ts";
import type { Aspect, Namespace } from "../model/namespace.ts";
import type { PolicyRule, Route } from "../model/route.ts";
import type { Socket } from "../model/socket.ts";
import type { Source } from "../model/source.ts";
import { Device } from "./device.ts";
import { Fib } from "./fib.ts";
import { HookPlans } from "./hook-plan.ts";
import type { Netfilter } from "./netfilter/context.ts";
import type { World } from "./world.ts";

/** Hash of a tuple for the conntrack index; collisions are resolved by comparing. */
export function tupleHash(proto: number, src: Ip, dst: Ip, a: number, b: number): number {
  let h = Math.imul(src.a ^ Math.imul(src.d, 31), 0x9e3779b1) ^ Math.imul(dst.a ^ Math.imul(dst.d, 31), 0x85ebca6b);
  h ^= Math.imul((a << 16) ^ b ^ (proto << 8), 0xc2b2ae35);
  return h ^ (h >>> 15);
}

export interface StoredTuple {
  entry: CtEntry;
  reply: boolean;
  tuple: CtTuple;
}

export class Ns {
  readonly world: World;
  readonly model: Namespace;
  readonly place: string;
  /** Place that a server in this namespace is reported at. */
  readonly node: string;
  readonly devices: Device[] = [];
  readonly byName = new Map<string, Device>();
  readonly byIndex = new Map<number, Device>();
  readonly loopback: Device | null;
  readonly vxlans: readonly Device[];
  /** Which device has a local address; the first when several do. */
  private readonly owners = new Map<number | string, Device>();
  /** The same, where they are so few that looking at each is quicker. */
  private readonly few: readonly { readonly key: Ip["key"]; readonly dev: Device }[] | null;
  private ttl = 0;
  private fib4Cache: Fib | null = null;
  private fib6Cache: Fib | null = null;
  private netfilterCache: Netfilter | null = null;
  private belowIpCache: boolean | null = null;
  private hooks4: HookPlans | null = null;
  private hooks6: HookPlans | null = null;
  private socketCache: Map<number, Socket[]> | null = null;
  private storedCache: Map<number, StoredTuple[]> | null = null;
  private readonly sysctlCache = new Map<string, number | null>();
  /** What is not known of it; null when all is. */
  private readonly gaps: ReadonlyMap<Aspect, string> | null;
  /** The conntrack table has entries. */
  readonly hasStored: boolean;
  /** IPVS has virtual servers here, or may have. */
  readonly mayHaveIpvs: boolean;
  /** Why its list of sockets can't be all (sockets.ts); undefined until it was asked. */
  socketsDoubt: string | null | undefined = undefined;

  constructor(world: World, model: Namespace) {
    this.world = world;
    this.model = model;
    this.place = model.place;
    this.node = model.node;
    this.gaps = model.missing.size === 0 ? null : model.missing;
    this.hasStored = model.conntrack.length > 0;
    this.mayHaveIpvs = model.ipvs.length > 0 || model.missing.has("ipvs");
    for (const link of model.links) {
      const dev = new Device(this, link);
      this.devices.push(dev);
      this.byName.set(dev.name, dev);
      this.byIndex.set(dev.index, dev);
    }
    this.devices.sort((x, y) => x.index - y.index);
    for (const dev of this.devices) {
      if (dev.link.master !== null) dev.master = this.byName.get(dev.link.master) ?? null;
      for (const a of dev.addresses) if (!this.owners.has(a.ip.key)) this.owners.set(a.ip.key, dev);
    }
    this.few = this.owners.size > FEW ? null : [...this.owners].map(([key, dev]) => ({ key, dev }));
    for (const dev of this.devices) if (dev.master?.link.kind.kind === "bridge") dev.master.ports.push(dev);
    this.loopback = this.devices.find((d) => d.isLoopback) ?? null;
    this.vxlans = this.devices.filter((d) => d.link.kind.kind === "vxlan");
    for (const n of model.neighbours) {
      const dev = n.dev === null ? undefined : this.byName.get(n.dev);
      if (dev !== undefined) (n.ip.v === 4 ? dev.neigh4 : dev.neigh6).set(n.ip.key, n);
    }
    for (const e of model.fdb) {
      // An entry of a bridge is looked up in the bridge; `self` entries in the device's own table (vxlan).
      const holder = e.master !== null && !e.self ? this.byName.get(e.master) : this.byName.get(e.dev);
      if (holder === undefined) continue;
      const list = holder.fdb.get(e.mac);
      if (list === undefined) holder.fdb.set(e.mac, [e]);
      else list.push(e);
    }
  }

  /** Why an aspect is not known; null when it is. */
  missing(aspect: Aspect): string | null {
    return this.gaps === null ? null : (this.gaps.get(aspect) ?? null);
  }

  /** A setting as a number; null when it was not recorded or is no number. */
  sysctl(key: string): number | null {
    let v = this.sysctlCache.get(key);
    if (v === undefined) {
      const raw = this.model.sysctls.values.get(key);
      const n = raw === undefined ? Number.NaN : Number(raw.value);
      v = Number.isFinite(n) ? n : null;
      this.sysctlCache.set(key, v);
    }
    return v;
  }

  sysctlSource(key: string): Source | null {
    const raw = this.model.sysctls.values.get(key);
    return raw === undefined ? null : { file: this.model.sysctls.file, line: raw.line };
  }

  /** Device that holds `ip` as its own address; null when none does. */
  owner(ip: Ip): Device | null {
    const { few } = this;
    if (few === null) return this.owners.get(ip.key) ?? null;
    for (let i = 0; i < few.length; i++) if (few[i]!.key === ip.key) return few[i]!.dev;
    return null;
  }

  /** ip4_dst_hoplimit: the TTL of what is sent from here. */
  get defaultTtl(): number {
    if (this.ttl === 0) {
      const own = this.sysctl("net.ipv4.ip_default_ttl");
      this.ttl = own !== null && own > 0 ? own : 64;
    }
    return this.ttl;
  }

  /** Sockets of any protocol with this local port, in the order of their listing. */
  socketsAt(port: number): readonly Socket[] {
    if (this.socketCache === null) {
      this.socketCache = new Map();
      for (const s of this.model.sockets) {
        const list = this.socketCache.get(s.port);
        if (list === undefined) this.socketCache.set(s.port, [s]);
        else list.push(s);
      }
    }
    return this.socketCache.get(port) ?? NO_SOCKETS;
  }

  fib(v: 4 | 6): Fib {
    return v === 4
      ? (this.fib4Cache ??= new Fib(this, 4, this.model.routes4, this.rulesOf(this.model.rules4)))
      : (this.fib6Cache ??= new Fib(this, 6, this.model.routes6, this.rulesOf(this.model.rules6)));
  }

  private rulesOf(rules: readonly PolicyRule[]): readonly PolicyRule[] {
    return rules.toSorted((x, y) => x.priority - y.priority);
  }

  /** What the hooks of an IP version hold. */
  hooks(v: 4 | 6): HookPlans {
    return v === 4
      ? (this.hooks4 ??= new HookPlans(this.netfilter, 4, this))
      : (this.hooks6 ??= new HookPlans(this.netfilter, 6, this));
  }

  /** Some chain stands below IP: a bridge's, a device's, ARP's. Only nft makes these. */
  get filtersBelowIp(): boolean {
    return (this.belowIpCache ??= (this.model.nft?.tables ?? []).some((t) => t.family !== "ip" && t.family !== "ip6"));
  }

  get netfilter(): Netfilter {
    return (this.netfilterCache ??= this.world.buildNetfilter(this.model));
  }

  /** Entries of the snapshot's conntrack table under a tuple's hash. */
  stored(hash: number): readonly StoredTuple[] {
    this.storedCache ??= this.indexStored();
    return this.storedCache.get(hash) ?? NONE;
  }

  private indexStored(): Map<number, StoredTuple[]> {
    const out = new Map<number, StoredTuple[]>();
    for (const entry of this.model.conntrack) {
      for (const reply of [false, true]) {
        const t = reply ? entry.reply : entry.orig;
        const icmp = entry.proto === 1 || entry.proto === 58;
        const h = tupleHash(entry.proto, t.src, t.dst, icmp ? t.icmpId : t.sport, icmp ? 0 : t.dport);
        const list = out.get(h);
        if (list === undefined) out.set(h, [{ entry, reply, tuple: t }]);
        else list.push({ entry, reply, tuple: t });
      }
    }
    return out;
  }

  /** Routes of a table, for shows and checks. */
  routes(v: 4 | 6): readonly Route[] {
    return v === 4 ? this.model.routes4 : this.model.routes6;
  }
}

const FEW = 8;
const NONE: readonly StoredTuple[] = [];
const NO_SOCKETS: readonly Socket[] = [];
