/** What rules ask of the rest of the engine: address types, reverse paths, sockets, and the rewriting of connections. */
import { ip4, ip6, type Ip } from "../model/address.ts";
import type { Changed } from "../model/walk.ts";
import type { Device } from "./device.ts";
import { inetSelectAddr, ipv6SelectAddr } from "./source-address.ts";
import { setupNat, type Manip } from "./nat.ts";
import type {
  AddrType,
  FibAnswer,
  Hook,
  NatRequest,
  RuleContext,
  RuleDevice,
  RuleRef,
  RuleServices,
  RuleTrace,
} from "./netfilter/context.ts";
import type { ChainProgram, EvalState } from "./netfilter/program.ts";
import type { Ns } from "./ns.ts";
import type { Oracle } from "./oracle.ts";
import { TCP, UDP, type Packet } from "./packet.ts";
import { addrType } from "./address-type.ts";
import type { Run } from "./run.ts";
import { findSocket } from "./sockets.ts";
import { formatIp } from "../model/address.ts";

/** The state of one hook's run; one object for a whole walk, filled anew for each hook. */
export class HookContext implements EvalState {
  run: Run;
  ns!: Ns;
  pkt!: Packet;
  hook: Hook = "prerouting";
  iif: Device | null = null;
  oif: Device | null = null;
  physIn: Device | null = null;
  physOut: Device | null = null;
  bridged = false;
  services: RuleServices = SERVICES;
  oracle: Oracle;
  trace: RuleTrace;
  rejectWith: string | null = null;
  decidedBy: RuleRef | null = null;
  why = "";
  target: ChainProgram | null = null;
  changed: Changed | null = null;
  quiet = false;
  /** Set when the kernel itself drops although the rule would let pass (no address to masquerade with …). */
  kernelDrop: string | null = null;

  constructor(run: Run, oracle: Oracle, trace: RuleTrace) {
    this.run = run;
    this.oracle = oracle;
    this.trace = trace;
  }

  /** nf_nat_alloc_null_binding. */
  nullBinding(manip: Manip): void {
    setupNat(this.run, this.ns, this.pkt.ct!, manip === "src" ? NULL_BINDING : NULL_BINDING_DST);
  }
}

const NULL_BINDING: NatRequest = {
  manip: "src",
  min: null,
  max: null,
  minPort: null,
  maxPort: null,
  basePort: null,
  random: false,
  randomFully: false,
  persistent: false,
  netmap: null,
};

const NULL_BINDING_DST: NatRequest = { ...NULL_BINDING, manip: "dst" };

const LOOPBACK_4 = ip4(0x7f000001);
const LOOPBACK_6 = ip6(0, 0, 0, 1);

function own(ctx: RuleContext): HookContext {
  return ctx as HookContext;
}

/** Stands for what changes where nobody looks. */
const UNSEEN: Changed = {};

/** Applies a request and tells what the packet will look like. */
function request(c: HookContext, req: NatRequest): Changed | null {
  const ct = c.pkt.ct;
  if (ct === null) {
    c.kernelDrop = "address translation without a tracked connection";
    return null;
  }
  // nf_nat_setup_info: "already established" rewriting is not set up again.
  if (req.manip === "src" ? ct.srcNatDone : ct.dstNatDone) return {};
  if (!setupNat(c.run, c.ns, ct, req)) return null;
  if (!c.run.recording) return UNSEEN;
  const changed: Changed = {};
  if (req.manip === "src") {
    if (ct.reply.dst.key !== c.pkt.src.key) changed.src = formatIp(ct.reply.dst);
    if (ct.reply.dport !== c.pkt.sport && !ct.randomReply) changed.sport = ct.reply.dport;
  } else {
    if (ct.reply.src.key !== c.pkt.dst.key) changed.dst = formatIp(ct.reply.src);
    if (ct.reply.sport !== c.pkt.dport) changed.dport = ct.reply.sport;
  }
  return changed;
}

const SERVICES: RuleServices = {
  addrType(ctx: RuleContext, ip: Ip, dev: RuleDevice | null): AddrType | "unknown" {
    return addrType(own(ctx).ns, ip, dev as Device | null);
  },

  rpfilter(ctx, opts): boolean | "unknown" {
    const c = own(ctx);
    const { pkt, ns } = c;
    // rpfilter_mt: what comes over the loopback device has no reverse path to check.
    if (c.iif === null || c.iif.isLoopback) return true;
    // rpfilter_lookup_reverse: unspecified sources pass for multicast destinations and the limited broadcast.
    if (pkt.src.key === 0) return pkt.dst.a >>> 28 === 0xe || pkt.dst.a === -1;
    const r = ns.fib(pkt.v).lookup({
      dst: pkt.src,
      src: pkt.dst,
      iif: null,
      oif: pkt.v === 6 && !opts.loose ? c.iif : null,
      mark: opts.validmark ? pkt.mark : 0,
      tos: pkt.tos,
      proto: pkt.proto,
      sport: pkt.dport,
      dport: pkt.sport,
      uid: null,
    });
    if (r.unknown !== null) return "unknown";
    if (r.error !== null || r.route === null) return false;
    if (r.route.type !== "unicast" && !(r.route.type === "local" && opts.acceptLocal)) return false;
    if (opts.loose) return true;
    return (
      r.route.nexthops.some((nh) => nh.dev === c.iif!.name) ||
      r.route.nexthops.some((nh) => nh.dev !== null && c.iif!.masterName === nh.dev)
    );
  },

  fib(ctx, opts): FibAnswer | "unknown" {
    const c = own(ctx);
    const { pkt, ns } = c;
    const ip = opts.addr === "saddr" ? pkt.src : pkt.dst;
    const dev = opts.iif ? c.iif : opts.oif ? c.oif : null;
    const type = addrType(ns, ip, dev);
    if (type === "unknown") return "unknown";
    // nft_fib_can_skip: what comes by the loopback device leads back there, without a lookup.
    if (c.iif?.isLoopback === true && (c.hook === "prerouting" || c.hook === "input")) return { type, oif: c.iif };
    const r = ns.fib(pkt.v).lookup({
      dst: ip,
      src: opts.addr === "saddr" ? pkt.dst : pkt.src,
      iif: null,
      oif: null,
      mark: opts.mark ? pkt.mark : 0,
      tos: pkt.tos,
      proto: 0,
      sport: 0,
      dport: 0,
      uid: null,
    });
    if (r.unknown !== null) return "unknown";
    let oif: Device | null = null;
    if (r.error === null && r.route !== null && r.route.type === "unicast") {
      const names = r.route.nexthops.map((nh) => nh.dev);
      // nft_fib4_eval: with iif or oif only a route through that very device counts.
      const name = dev === null ? names[0] : names.find((n) => n === dev.name);
      oif = name === undefined || name === null ? null : (ns.byName.get(name) ?? null);
    } else if (r.route?.type === "local")
      oif = dev ?? (r.route.nexthops[0]?.dev ? (ns.byName.get(r.route.nexthops[0].dev) ?? null) : ns.loopback);
    return { type, oif };
  },

  socket(ctx, opts): boolean | "unknown" {
    const c = own(ctx);
    // nft_socket_eval: on its way out a packet has its sender's.
    if (c.hook === "output" && c.pkt.socket !== null) return opts.transparent ? "unknown" : true;
    // xt_socket: TCP, UDP, and ICMP errors about them. What goes to whoever asked, or on in a connection, has a socket of just that flow.
    const flow = c.pkt.about ?? c.pkt;
    if (flow.proto !== TCP && flow.proto !== UDP) return false;
    if (c.pkt.answer) return opts.transparent ? "unknown" : c.run.hasEnd(c.ns);
    const s = findSocket(c.ns, c.pkt, c.iif);
    if (s === "unknown") return "unknown";
    if (s === null) return false;
    if (!opts.nowildcard && s.ip === null) return false;
    return opts.transparent ? "unknown" : true;
  },

  nat(ctx, req): Changed | null {
    return request(own(ctx), req);
  },

  masquerade(ctx, opts): Changed | null {
    const c = own(ctx);
    const { pkt } = c;
    const out = c.oif;
    if (out === null) return null;
    // nf_nat_masquerade_ipv4: inet_select_addr(out, rt_nexthop(rt, daddr), RT_SCOPE_UNIVERSE); IPv6: ipv6_dev_get_saddr(out, daddr).
    const ip = pkt.v === 4 ? inetSelectAddr(c.ns, out, pkt.nextHop ?? pkt.dst, 0) : ipv6SelectAddr(c.ns, out, pkt.dst);
    if (ip === null) {
      c.kernelDrop = `${out.name} has no address to masquerade with`;
      return null;
    }
    return request(c, { ...NULL_BINDING, manip: "src", min: ip, max: ip, ...opts });
  },

  redirect(ctx, opts): Changed | null {
    const c = own(ctx);
    const { pkt } = c;
    let ip: Ip | null = null;
    if (c.hook === "output") ip = pkt.v === 4 ? LOOPBACK_4 : LOOPBACK_6;
    else {
      // nf_nat_redirect_ipv4: the first address of the incoming device that is not secondary; IPv6 skips tentative and deprecated-by-flag ones.
      for (const a of c.iif?.addresses ?? []) {
        if (a.ip.v !== pkt.v || (pkt.v === 4 ? a.secondary : a.tentative && !a.dadFailed)) continue;
        if (pkt.v === 6 && (a.scope === "link") !== (pkt.dst.a >>> 22 === 0x3fa)) continue;
        ip = a.ip;
        break;
      }
    }
    if (ip === null) {
      c.kernelDrop = `${c.iif?.name ?? "the device"} has no address to redirect to`;
      return null;
    }
    return request(c, { ...NULL_BINDING, manip: "dst", min: ip, max: ip, ...opts });
  },

  notrack(ctx): void {
    const { pkt } = own(ctx);
    if (pkt.ct !== null || pkt.ctInfo !== "none" || pkt.template) return;
    pkt.ctInfo = "untracked";
  },

  setZone(ctx, zone, dir): void {
    const { pkt } = own(ctx);
    if (pkt.ct !== null || pkt.ctInfo !== "none" || pkt.template) return;
    pkt.template = true;
    pkt.zone = zone;
    pkt.zoneDir = dir;
  },

  tproxy(ctx, ip, port): boolean | "unknown" {
    const c = own(ctx);
    const probe = c.pkt.clone();
    if (ip !== null) probe.dst = ip;
    if (port !== 0) probe.dport = port;
    const s = findSocket(c.ns, probe, c.iif);
    // Only a transparent one takes it (inet_sk_transparent), and ss does not print IP_TRANSPARENT.
    return s === null ? false : "unknown";
  },
};
