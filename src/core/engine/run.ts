/** One run of a walk: what its packets share on one of the ways that they can go. */
import { formatIp, type Ip } from "../model/address.ts";
import type { Source } from "../model/source.ts";
import type { Changed, Step, StepKind } from "../model/walk.ts";
import type { Connection } from "./connection.ts";
import type { IpvsConnection } from "./ipvs.ts";
import type { Device } from "./device.ts";
import type { BridgePorts } from "./hooks.ts";
import type { BaseChain, Hook, PolicyRef, RuleContext, RuleRef, RuleTrace } from "./netfilter/context.ts";
import type { Ns } from "./ns.ts";
import type { Oracle } from "./oracle.ts";
import type { Routed } from "./output.ts";
import type { Packet } from "./packet.ts";
import { HookContext } from "./rule-services.ts";
import type { World } from "./world.ts";

/** More devices than this and the packet goes in circles: IP's TTL bounds routed loops, this bounds bridged ones. */
export const MAX_TRAVERSALS = 600;
/** A connection of a namespace's table, in a list. */
export interface Tracked {
  readonly ns: Ns;
  readonly ct: Connection;
  next: Tracked | null;
}

export class Run {
  readonly world: World;
  readonly oracle: Oracle;
  /** Steps of this run; null when nobody wants them. */
  readonly steps: Step[] | null;
  readonly allRules: boolean;
  /** The question names the client's port: an entry of a conntrack table may be for just that. */
  exactPort = false;
  direction: "forward" | "reply" = "forward";
  /** Off while frames are tried out that may not be wanted where they go, and after the first packet of each direction. */
  recording: boolean;
  traversals = 0;
  /** What a packet that is being sent was routed to again, within OUTPUT. */
  rerouted: Routed | null = null;
  /** Requests for neighbours that go through a tunnel, within each other. */
  asking = 0;
  /** Confirmed connections that this run made or took over from the snapshot, oldest first. */
  tracked: Tracked | null = null;
  private newest: Tracked | null = null;
  /** Choices that a hash of the flow makes: the same flow gets the same answer again. */
  private hashed: Map<string, number> | null = null;
  private readonly ctx: HookContext;

  constructor(world: World, oracle: Oracle, withSteps: boolean, allRules: boolean) {
    this.world = world;
    this.oracle = oracle;
    this.steps = withSteps ? [] : null;
    this.recording = withSteps;
    this.allRules = allRules;
    this.ctx = new HookContext(this, oracle, withSteps ? new StepTrace(this) : SILENT);
  }

  /** The rule context, filled for one hook. There is one for the whole run: hooks do not nest. */
  context(
    ns: Ns,
    hook: Hook,
    pkt: Packet,
    iif: Device | null,
    oif: Device | null,
    ports: BridgePorts | null,
  ): HookContext {
    const c = this.ctx;
    c.ns = ns;
    c.hook = hook;
    c.pkt = pkt;
    c.iif = iif;
    c.oif = oif;
    c.physIn = ports?.in ?? pkt.port;
    c.physOut = ports === null ? null : ports.out;
    c.bridged = ports !== null;
    c.rejectWith = null;
    c.decidedBy = null;
    c.kernelDrop = null;
    c.quiet = !this.recording;
    return c;
  }

  /**
   * Whether a chain would do anything to this packet but let it pass: tried on a copy, without steps.
   * A chain that asks chance or meets something unknown counts as having an effect.
   */
  hasEffect(ctx: HookContext, pkt: Packet, chain: BaseChain): boolean {
    const copy = pkt.headers();
    if (pkt.ct !== null) copy.ct = { ...pkt.ct };
    const { oracle, trace } = ctx;
    ctx.pkt = copy;
    ctx.oracle = REFUSING;
    ctx.trace = SILENT;
    try {
      if (chain.run(ctx) !== "accept") return true;
    } catch (e) {
      if (e !== ASKED) throw e;
      return true;
    } finally {
      ctx.pkt = pkt;
      ctx.oracle = oracle;
      ctx.trace = trace;
      ctx.decidedBy = null;
      ctx.rejectWith = null;
      ctx.kernelDrop = null;
    }
    const ct = pkt.ct;
    const after = copy.ct;
    return (
      copy.mark !== pkt.mark ||
      copy.tos !== pkt.tos ||
      copy.ttl !== pkt.ttl ||
      copy.ctInfo !== pkt.ctInfo ||
      copy.zone !== pkt.zone ||
      copy.socket !== pkt.socket ||
      copy.src !== pkt.src ||
      copy.dst !== pkt.dst ||
      (ct !== null &&
        after !== null &&
        (ct.mark !== after.mark ||
          ct.srcNatDone !== after.srcNatDone ||
          ct.dstNatDone !== after.dstNatDone ||
          ct.helper !== after.helper))
    );
  }

  addConnection(ns: Ns, ct: Connection): void {
    const added: Tracked = { ns, ct, next: null };
    if (this.newest === null) this.tracked = added;
    else this.newest.next = added;
    this.newest = added;
  }

  dropConnection(ns: Ns, ct: Connection): void {
    let before: Tracked | null = null;
    for (let t = this.tracked; t !== null; before = t, t = t.next) {
      if (t.ns !== ns || t.ct !== ct) continue;
      if (before === null) this.tracked = t.next;
      else before.next = t.next;
      if (this.newest === t) this.newest = before;
      return;
    }
  }

  /** Neighbours that devices have learned from requests in this run: who asks is known to whoever answers. */
  private learned: Map<Device, Map<number | string, string>> | null = null;

  learn(dev: Device, ip: Ip, mac: string): void {
    const learned = (this.learned ??= new Map());
    let known = learned.get(dev);
    if (known === undefined) learned.set(dev, (known = new Map()));
    known.set(ip.key, mac);
  }

  learnedMac(dev: Device, ip: Ip): string | null {
    return this.learned?.get(dev)?.get(ip.key) ?? null;
  }

  /** Neighbours that did not answer a packet of this run: what is sent on that account waits for the same answer, and is thrown away with it (neigh_invalidate). */
  private unanswered: Map<Device, Set<number | string>> | null = null;

  giveUpOn(dev: Device, ip: Ip): void {
    const unanswered = (this.unanswered ??= new Map());
    const known = unanswered.get(dev);
    if (known === undefined) unanswered.set(dev, new Set([ip.key]));
    else known.add(ip.key);
  }

  gaveUpOn(dev: Device, ip: Ip): boolean {
    return this.unanswered?.get(dev)?.has(ip.key) ?? false;
  }

  /** Where MACs are behind VXLAN devices, as these learned it from frames of this run. */
  private vteps: Map<Device, Map<string, Ip>> | null = null;

  learnVtep(dev: Device, mac: string, remote: Ip): void {
    const vteps = (this.vteps ??= new Map());
    let known = vteps.get(dev);
    if (known === undefined) vteps.set(dev, (known = new Map()));
    known.set(mac, remote);
  }

  learnedVtep(dev: Device, mac: string): Ip | null {
    return this.vteps?.get(dev)?.get(mac) ?? null;
  }

  /** Namespaces where a program has one end of the conversation. */
  private ends: Set<Ns> | null = null;

  addEnd(ns: Ns): void {
    (this.ends ??= new Set()).add(ns);
  }

  hasEnd(ns: Ns): boolean {
    return this.ends?.has(ns) ?? false;
  }

  /** Connections that IPVS has scheduled in this run. */
  private ipvs: Map<Ns, IpvsConnection[]> | null = null;

  ipvsConnections(ns: Ns): IpvsConnection[] {
    this.ipvs ??= new Map();
    let list = this.ipvs.get(ns);
    if (list === undefined) this.ipvs.set(ns, (list = []));
    return list;
  }

  /** Entries of the snapshot that this run has closed. */
  private gone: Set<Source> | null = null;

  markGone(entry: Source): void {
    (this.gone ??= new Set()).add(entry);
  }

  isGone(entry: { source: Source }): boolean {
    return this.gone?.has(entry.source) ?? false;
  }

  /** A choice by hash: asked of the oracle once per `key`. */
  chooseHashed(key: string, weights: readonly number[]): number {
    const hashed = (this.hashed ??= new Map());
    let i = hashed.get(key);
    if (i === undefined) {
      i = this.oracle.choose(weights);
      hashed.set(key, i);
    }
    return i;
  }

  /** An unknown that has one answer throughout a run, however often it is met. */
  unknownOnce(key: string, why: string, source: Source | null): boolean {
    const hashed = (this.hashed ??= new Map());
    let i = hashed.get(key);
    if (i === undefined) {
      i = this.oracle.unknown(why, source) ? 1 : 0;
      hashed.set(key, i);
    }
    return i === 1;
  }

  /** Runs something of which no step is to be told. */
  quietly<T>(what: () => T): T {
    const { recording } = this;
    this.recording = false;
    try {
      return what();
    } finally {
      this.recording = recording;
    }
  }

  /** Records a step; does nothing when steps are not wanted. */
  step(ns: Ns, pkt: Packet, kind: StepKind, text: string, source: Source | null, more?: Partial<Step>): void {
    if (!this.recording || this.steps === null) return;
    const step: Step = { direction: this.direction, at: ns.place, kind, layer: pkt.layer, text };
    if (source !== null) step.source = source;
    if (more !== undefined) Object.assign(step, more);
    this.steps.push(step);
  }
}

/** What differs between a packet before and after, in a step's words; null when nothing does. */
export function changes(
  before: { src: Packet["src"]; dst: Packet["dst"]; sport: number; dport: number },
  after: Packet,
): Changed | null {
  const c: Changed = {};
  if (before.src !== after.src && before.src.key !== after.src.key) c.src = formatIp(after.src);
  if (before.dst !== after.dst && before.dst.key !== after.dst.key) c.dst = formatIp(after.dst);
  if (before.sport !== after.sport && !after.randomSport) c.sport = after.sport;
  if (before.dport !== after.dport && !after.randomDport) c.dport = after.dport;
  return Object.keys(c).length > 0 ? c : null;
}

const ASKED = Symbol("asked");
const REFUSING: Oracle = {
  choose() {
    throw ASKED;
  },
  unknown() {
    throw ASKED;
  },
};
const SILENT: RuleTrace = { wantsMisses: false, rule() {}, policy() {}, miss() {} };

/** Turns what rules report into steps. */
class StepTrace implements RuleTrace {
  private readonly run: Run;
  constructor(run: Run) {
    this.run = run;
  }
  get wantsMisses(): boolean {
    return this.run.allRules && this.run.recording;
  }
  rule(ctx: RuleContext, rule: RuleRef, verdict: string, changed: Changed | null): void {
    if (!this.run.recording) return;
    const more: Partial<Step> = { family: rule.family, table: rule.table, chain: rule.chain, verdict };
    if (changed !== null && Object.keys(changed).length > 0) more.changed = changed;
    this.run.step((ctx as HookContext).ns, ctx.pkt, "rule", rule.text(), rule.source, more);
  }
  policy(ctx: RuleContext, chain: PolicyRef, verdict: "accept" | "drop"): void {
    if (!this.run.recording) return;
    this.run.step((ctx as HookContext).ns, ctx.pkt, "policy", `policy ${verdict}`, chain.source, {
      family: chain.family,
      table: chain.table,
      chain: chain.chain,
      verdict,
    });
  }
  miss(ctx: RuleContext, rule: RuleRef): void {
    this.run.step((ctx as HookContext).ns, ctx.pkt, "rule", rule.text(), rule.source, {
      family: rule.family,
      table: rule.table,
      chain: rule.chain,
      verdict: "no match",
    });
  }
}
