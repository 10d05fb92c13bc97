/** Netfilter's hooks: chains by priority, with conntrack, nat and confirmation in their places among them. */
import { sameIp } from "../model/address.ts";
import { confirm, trackIn } from "./conntrack.ts";
import type { Device } from "./device.ts";
import type { Because, Fate } from "./fate.ts";
import { IPVS_IN, IPVS_OUT, NAT, TRACK, type HookGroup, type HookPlan } from "./hook-plan.ts";
import { ipvsIn, ipvsOut, ipvsUnknown } from "./ipvs.ts";
import { manipOf, natIcmpError, natPacket } from "./nat.ts";
import type { BaseChain, ChainVerdict } from "./netfilter/context.ts";
import type { Ns } from "./ns.ts";
import type { Packet } from "./packet.ts";
import { HookContext } from "./rule-services.ts";
import { changes, type Run } from "./run.ts";
import { isIcmpError } from "./tuple.ts";

export type IpHook = "prerouting" | "input" | "forward" | "output" | "postrouting";

/** Ports of the bridge that br_netfilter shows a packet at, while it does (nf_bridge_info). */
export class BridgePorts {
  readonly in: Device | null;
  readonly out: Device | null;

  constructor(from: Device | null, to: Device | null) {
    this.in = from;
    this.out = to;
  }
}

/** Where a hook lets the packet through: `null`; `reroute` after output when something that routing looks at has changed. */
export type HookResult = Fate | null;

/** Finds another route for what a hook has changed; a fate when none is left. */
type Reroute = (run: Run, ns: Ns, pkt: Packet) => Fate | null;

/**
 * Runs all of a hook for an IP packet (nf_hook_slow). `reroute` is called where ip_route_me_harder would be:
 * after a route-type chain or nat in OUTPUT has changed what routing looks at. It returns a fate when no route is left.
 */
export function runHook(
  run: Run,
  ns: Ns,
  hook: IpHook,
  pkt: Packet,
  iif: Device | null,
  oif: Device | null,
  ports: BridgePorts | null = null,
  reroute: Reroute | null = null,
): HookResult {
  const plan = ns.hooks(pkt.v).of(hook);
  if (plan.idle) return null;
  const { unknown, chains, stages } = plan;
  if (
    unknown !== null &&
    !run.unknownOnce(`nf ${ns.place} ${pkt.v}`, `the rules of ${ns.place} are not known: ${unknown}`, null)
  ) {
    return { t: "inconclusive", because: { text: `the rules of ${ns.place} are not known: ${unknown}`, source: null } };
  }
  const ctx = run.context(ns, hook, pkt, iif, oif, ports);
  for (let i = 0; i < stages.length; i++) {
    const stage = stages[i]!;
    let fate: Fate | null = null;
    switch (stage.does) {
      case TRACK:
        trackIn(run, ns, pkt);
        break;
      case NAT:
        fate = runNat(run, ns, hook, pkt, ctx, plan, reroute);
        break;
      case IPVS_OUT:
        ipvsOut(run, ns, pkt);
        break;
      case IPVS_IN:
        fate = ipvsTurn(run, ns, hook, pkt);
        break;
      default:
        fate = runGroup(run, ns, pkt, ctx, chains, stage.group!, reroute);
    }
    if (fate !== null) return fate;
  }
  return plan.confirms ? confirm(run, ns, pkt) : null;
}

/** What IPVS makes of a packet that may be for one of its virtual servers; a fate when the packet's way ends there. */
function ipvsTurn(run: Run, ns: Ns, hook: IpHook, pkt: Packet): Fate | null {
  const unknown = ipvsUnknown(ns);
  if (unknown !== null) return { t: "inconclusive", because: { text: unknown, source: null } };
  return ipvsIn(run, ns, hook, pkt);
}

/** Filter and route chains of one priority. */
function runGroup(
  run: Run,
  ns: Ns,
  pkt: Packet,
  ctx: HookContext,
  chains: readonly BaseChain[],
  { from, to, busyFilters }: HookGroup,
  reroute: Reroute | null,
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
  reroute: Reroute | null,
): HookResult {
  if (chain.type !== "route" || reroute === null) {
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
  return changed ? reroute(run, ns, pkt) : null;
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
  reroute: Reroute | null,
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
  if (hook === "output" && reroute !== null && !sameIp(dst, pkt.dst)) return reroute(run, ns, pkt);
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
