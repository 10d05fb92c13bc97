/** Netfilter's hooks: chains by priority, with conntrack, nat and confirmation in their places among them. */
import { sameIp } from "../model/address.ts";
import { confirm, trackIn } from "./conntrack.ts";
import type { Device } from "./device.ts";
import type { Because, Fate } from "./fate.ts";
import type { HookGroup, HookPlan } from "./hook-plan.ts";
import { IPVS_AT, ipvsIn, ipvsOut, ipvsUnknown } from "./ipvs.ts";
import { manipOf, natIcmpError, natPacket } from "./nat.ts";
import type { BaseChain, ChainVerdict } from "./netfilter/context.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";
import { HookContext } from "./rule-services.ts";
import { changes, type Run } from "./run.ts";
import { isIcmpError } from "./tuple.ts";

export type IpHook = "prerouting" | "input" | "forward" | "output" | "postrouting";

export interface HookDevices {
  iif: Device | null;
  oif: Device | null;
  physIn?: Device | null;
  physOut?: Device | null;
  bridged?: boolean;
}

/** Priorities of nf_ip_hook_priorities. */
const CONNTRACK = -200;
const NAT_DST = -100;
const NAT_SRC = 100;

/** Where a hook lets the packet through: `null`; `reroute` after output when something that routing looks at has changed. */
export type HookResult = Fate | null;

/**
 * Runs all of a hook for an IP packet (nf_hook_slow). `reroute` is called where ip_route_me_harder would be:
 * after a route-type chain or nat in OUTPUT has changed what routing looks at. It returns a fate when no route is left.
 */
export function runHook(
  run: Run,
  ns: Ns,
  hook: IpHook,
  pkt: Packet,
  devices: HookDevices,
  reroute?: (why: "mangle" | "nat") => Fate | null,
): HookResult {
  const plan = ns.hooks(pkt.v).of(hook);
  const { unknown, tracks, nats, chains, groups } = plan;
  if (
    unknown !== null &&
    !run.unknownOnce(`nf ${ns.place} ${pkt.v}`, `the rules of ${ns.place} are not known: ${unknown}`, null)
  ) {
    return { t: "inconclusive", because: { text: `the rules of ${ns.place} are not known: ${unknown}`, source: null } };
  }
  const ipvs = ns.model.ipvs.length > 0 || ns.missing("ipvs") !== null ? new IpvsTurn(run, ns, hook, pkt) : null;
  if (chains.length === 0 && !tracks && ipvs === null) return null;
  const ctx = run.context(ns, hook, pkt, devices);
  const natAt = hook === "prerouting" || hook === "output" ? NAT_DST : NAT_SRC;
  let tracked = !tracks || (hook !== "prerouting" && hook !== "output");
  let natted = !nats || hook === "forward";
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]!;
    const prio = group.priority;
    if (!tracked && prio > CONNTRACK) {
      trackIn(run, ns, pkt);
      tracked = true;
    }
    // Chains of type nat run inside the nat hook, wherever their own priority would put them.
    if (!natted && prio >= natAt) {
      const virtual = ipvs?.before(natAt) ?? null;
      if (virtual !== null) return virtual;
      const fate = runNat(run, ns, hook, pkt, ctx, plan, reroute);
      if (fate !== null) return fate;
      natted = true;
    }
    const virtual = ipvs?.before(prio) ?? null;
    if (virtual !== null) return virtual;
    if (group.filters === 0) continue;
    const fate = runGroup(run, ns, pkt, ctx, chains, group, reroute);
    if (fate !== null) return fate;
  }
  if (!tracked) trackIn(run, ns, pkt);
  if (!natted) {
    const virtual = ipvs?.before(natAt) ?? null;
    if (virtual !== null) return virtual;
    const fate = runNat(run, ns, hook, pkt, ctx, plan, reroute);
    if (fate !== null) return fate;
  }
  const virtual = ipvs?.before(Number.POSITIVE_INFINITY) ?? null;
  if (virtual !== null) return virtual;
  if (tracks && (hook === "postrouting" || hook === "input")) return confirm(run, ns, pkt);
  return null;
}

/** IPVS's two places in a hook, taken in turn as the priorities go by. */
class IpvsTurn {
  private readonly run: Run;
  private readonly ns: Ns;
  private readonly hook: IpHook;
  private readonly pkt: Packet;
  private answered = false;
  private asked = false;

  constructor(run: Run, ns: Ns, hook: IpHook, pkt: Packet) {
    this.run = run;
    this.ns = ns;
    this.hook = hook;
    this.pkt = pkt;
  }

  /** Does what IPVS does before a hook of this priority; a fate when the packet's way ends there. */
  before(priority: number): Fate | null {
    const at = IPVS_AT[this.hook];
    if (!this.answered && at.out !== null && priority > at.out) {
      this.answered = true;
      ipvsOut(this.run, this.ns, this.pkt);
    }
    if (this.asked || at.in === null || priority <= at.in) return null;
    this.asked = true;
    const unknown = ipvsUnknown(this.ns);
    if (unknown !== null) return { t: "inconclusive", because: { text: unknown, source: null } };
    return ipvsIn(this.run, this.ns, this.hook, this.pkt);
  }
}

/** Filter and route chains of one priority. */
function runGroup(
  run: Run,
  ns: Ns,
  pkt: Packet,
  ctx: HookContext,
  chains: readonly BaseChain[],
  { from, to, busyFilters }: HookGroup,
  reroute: ((why: "mangle" | "nat") => Fate | null) | undefined,
): HookResult {
  const order = busyFilters > 1 ? orderOf(run, pkt, ctx, chains, from, to) : null;
  for (let k = 0; k < to - from; k++) {
    const chain = chains[from + (order === null ? k : order[k]!)]!;
    if (chain.type === "nat") continue;
    const fate = runChain(run, ns, pkt, ctx, chain, reroute);
    if (fate !== null) return fate;
  }
  return null;
}

function runChain(
  run: Run,
  ns: Ns,
  pkt: Packet,
  ctx: HookContext,
  chain: BaseChain,
  reroute: ((why: "mangle" | "nat") => Fate | null) | undefined,
): HookResult {
  if (chain.type !== "route" || reroute === undefined) {
    const verdict = chain.run(ctx);
    return verdict === "accept" ? null : fateOf(run, ns, pkt, ctx, chain, verdict);
  }
  // ipt_mangle_out and nf_route_table_hook4/6: route again when something that routing looks at has changed.
  const { src, dst, mark, tos, ttl } = pkt;
  const verdict = chain.run(ctx);
  if (verdict !== "accept") return fateOf(run, ns, pkt, ctx, chain, verdict);
  const changed =
    !sameIp(src, pkt.src) ||
    !sameIp(dst, pkt.dst) ||
    mark !== pkt.mark ||
    tos !== pkt.tos ||
    (pkt.v === 6 && ttl !== pkt.ttl);
  return changed ? reroute("mangle") : null;
}

/**
 * Chains of equal priority run in the order of their registration, which a snapshot does not hold.
 * `registered` gives the likely order; where another order would end differently the oracle is asked.
 * Null: the likely order will do.
 */
function orderOf(
  run: Run,
  pkt: Packet,
  ctx: HookContext,
  chains: readonly BaseChain[],
  from: number,
  to: number,
): number[] | null {
  // Each chain alone on the packet as it is: when at most one has any effect, the order cannot matter.
  let effects = 0;
  for (let i = from; i < to && effects < 2; i++) {
    const chain = chains[i]!;
    if (chain.type !== "nat" && chain.hasRules && run.hasEffect(ctx, pkt, chain)) effects++;
  }
  if (effects < 2) return null;
  const n = to - from;
  const names = chains.slice(from, to).map((c) => `${c.table} ${c.chain}`);
  const key = `order ${ctx.ns.place} ${ctx.hook} ${names.join()}`;
  const why = `${names.join(" and ")} have one priority, and which was registered first is not recorded`;
  if (!run.unknownOnce(key, why, chains[from]!.source)) return null;
  return Array.from({ length: n }, (_, k) => n - 1 - k);
}

/** nf_nat_inet_fn with its private list of chains. */
function runNat(
  run: Run,
  ns: Ns,
  hook: IpHook,
  pkt: Packet,
  ctx: HookContext,
  plan: HookPlan,
  reroute: ((why: "mangle" | "nat") => Fate | null) | undefined,
): HookResult {
  const ct = pkt.ct;
  if (ct === null || hook === "forward") return null;
  const manip = manipOf(hook);
  const before = run.recording ? { src: pkt.src, dst: pkt.dst, sport: pkt.sport, dport: pkt.dport } : null;
  const dst = pkt.dst;
  if (isIcmpError(pkt) && pkt.ctInfo === "related") {
    natIcmpError(pkt, manip);
  } else {
    const done = manip === "src" ? ct.srcNatDone : ct.dstNatDone;
    if (!done && (pkt.ctInfo === "new" || pkt.ctInfo === "related")) {
      const fate = natChains(run, ns, pkt, ctx, plan, manip);
      if (fate !== null) return fate;
    }
    natPacket(pkt, manip);
  }
  if (before !== null) {
    const changed = changes(before, pkt);
    if (changed !== null && pkt.ctInfo !== "new") {
      run.step(
        ns,
        pkt,
        "conntrack",
        `conntrack: ${pkt.ctReply ? "reply, rewritten back" : "rewritten as its connection says"}`,
        ct.source,
        { changed },
      );
    }
  }
  if (hook === "output" && reroute !== undefined && !sameIp(dst, pkt.dst)) return reroute("nat");
  return null;
}

function natChains(
  run: Run,
  ns: Ns,
  pkt: Packet,
  ctx: HookContext,
  { chains, groups }: HookPlan,
  manip: "src" | "dst",
): HookResult {
  const ct = pkt.ct!;
  for (let i = 0; i < groups.length; i++) {
    const { from, to, nats, busyNats } = groups[i]!;
    if (nats === 0) continue;
    const turned = busyNats > 1 && natOrder(run, pkt, ctx, chains, from, to);
    for (let k = 0; k < to - from; k++) {
      const chain = chains[turned ? to - 1 - k : from + k]!;
      if (chain.type !== "nat") continue;
      const verdict = chain.run(ctx);
      if (verdict !== "accept") return fateOf(run, ns, pkt, ctx, chain, verdict);
      if (manip === "src" ? ct.srcNatDone : ct.dstNatDone) return null;
    }
  }
  // nf_nat_alloc_null_binding: nothing to rewrite, and that is settled now. A clash of tuples still moves the port.
  ctx.nullBinding(manip);
  return null;
}

/** As orderOf, for nat chains: true when the unlikely order is to be taken. */
function natOrder(
  run: Run,
  pkt: Packet,
  ctx: HookContext,
  chains: readonly BaseChain[],
  from: number,
  to: number,
): boolean {
  let effects = 0;
  for (let i = from; i < to && effects < 2; i++) {
    const chain = chains[i]!;
    if (chain.type === "nat" && chain.hasRules && run.hasEffect(ctx, pkt, chain)) effects++;
  }
  if (effects < 2) return false;
  const names = chains
    .slice(from, to)
    .filter((c) => c.type === "nat")
    .map((c) => `${c.table} ${c.chain}`);
  return run.unknownOnce(
    `order ${ctx.ns.place} ${ctx.hook} ${names.join()}`,
    `${names.join(" and ")} have one priority, and which was registered first is not recorded`,
    chains[from]!.source,
  );
}

/** What a chain's verdict other than accept means for the packet. */
function fateOf(
  run: Run,
  ns: Ns,
  pkt: Packet,
  ctx: HookContext,
  chain: BaseChain,
  verdict: Exclude<ChainVerdict, "accept">,
): Fate {
  const rule = ctx.decidedBy;
  const because: Because =
    rule !== null
      ? { text: () => rule.text(), source: rule.source }
      : { text: `policy of ${chain.table} ${chain.chain} is drop`, source: chain.source };
  // Dropped while its own program is still sending: the program is told (contract.md).
  const local = ctx.hook === "output" || (ctx.hook === "postrouting" && pkt.locallyMade);
  if (ctx.kernelDrop !== null) {
    const why = ctx.kernelDrop;
    ctx.kernelDrop = null;
    return {
      t: "lost",
      disposition: "dropped",
      ns,
      pkt,
      because: { text: why, source: rule?.source ?? chain.source },
      local,
    };
  }
  switch (verdict) {
    case "drop":
      return { t: "lost", disposition: "dropped", ns, pkt, because, local };
    case "reject": {
      const how = ctx.rejectWith ?? "icmp-port-unreachable";
      if (how === "tcp-reset") return { t: "reset", ns, pkt, because, local, port: ctx.physIn };
      return { t: "error", disposition: "rejected", ns, pkt, icmp: rejectCode(how, pkt.v), because, local };
    }
    case "queue":
      return {
        t: "inconclusive",
        because: {
          text: () => `a program outside the kernel decides: ${rule?.text() ?? chain.chain}`,
          source: because.source,
        },
      };
    case "unknown":
      return {
        t: "inconclusive",
        because: { text: () => `${ctx.why}: ${rule?.text() ?? chain.chain}`, source: because.source },
      };
    case "stolen":
      return {
        t: "inconclusive",
        because: { text: () => `taken by ${rule?.text() ?? chain.chain}`, source: because.source },
      };
  }
}

/** ICMP type and code of REJECT's words (ipt_REJECT.h, ip6t_REJECT.h; nft's icmpx by nf_reject's tables). */
function rejectCode(how: string, v: 4 | 6): { type: number; code: number; mtu: null } {
  const code4: Record<string, number> = {
    "icmp-net-unreachable": 0,
    "icmp-host-unreachable": 1,
    "icmp-proto-unreachable": 2,
    "icmp-port-unreachable": 3,
    "icmp-net-prohibited": 9,
    "icmp-host-prohibited": 10,
    "icmp-admin-prohibited": 13,
  };
  const code6: Record<string, number> = {
    "icmp6-no-route": 0,
    "icmp6-adm-prohibited": 1,
    "icmp6-not-neighbour": 2,
    "icmp6-addr-unreachable": 3,
    "icmp6-port-unreachable": 4,
    "icmp6-policy-fail": 5,
    "icmp6-reject-route": 6,
  };
  return v === 4 ? { type: 3, code: code4[how] ?? 3, mtu: null } : { type: 1, code: code6[how] ?? 4, mtu: null };
}
