/** What a chain's evaluation reads, asks and decides: the meeting point of rules (this folder) and the rest of the engine. */
import type { Ip, Prefix } from "../../model/address.ts";
import type { Source } from "../../model/source.ts";
import type { Changed } from "../../model/walk.ts";
import type { Oracle } from "../oracle.ts";
import type { Packet } from "../packet.ts";

export type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting" | "ingress" | "egress";

/** A device as rules see it. */
export interface RuleDevice {
  readonly index: number;
  readonly name: string;
  readonly kindName: string;
  readonly mac: string | null;
  /** Master's name when enslaved (meta iifname of a bridge port's bridge, VRF), else null. */
  readonly masterName: string | null;
  readonly group: number;
}

/** Kernel address types of fib_addr_type / inet_addr_type (RTN_*), lower case. */
export type AddrType =
  | "unspec"
  | "unicast"
  | "local"
  | "broadcast"
  | "anycast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw"
  | "nat"
  | "xresolve";

/** What a fib lookup for nft's `fib` expression or rpfilter finds. */
export interface FibAnswer {
  type: AddrType;
  /** Output device of the route; null when there is none. */
  oif: RuleDevice | null;
}

/** nf_nat_range2: what DNAT, SNAT, MASQUERADE, REDIRECT and NETMAP ask for. */
export interface NatRequest {
  manip: "src" | "dst";
  /** Null: keep the address. */
  min: Ip | null;
  max: Ip | null;
  minPort: number | null;
  maxPort: number | null;
  /** Port that the range starts from with shifted mapping (NF_NAT_RANGE_PROTO_OFFSET). */
  basePort: number | null;
  random: boolean;
  randomFully: boolean;
  persistent: boolean;
  /** NETMAP: keep the host bits of the packet's address. */
  netmap: Prefix | null;
}

/** Services that rules need from the rest of the engine. Implemented in engine/hooks.ts. */
export interface RuleServices {
  /** inet_addr_type / ipv6 equivalent; with `dev` as inet_dev_addr_type. `"unknown"` where routes or addresses were not recorded. */
  addrType(ctx: RuleContext, ip: Ip, dev: RuleDevice | null): AddrType | "unknown";
  /** The route back to `ip` for rpfilter (fib_lookup with the packet's own tos and, if asked, mark); true when it passes. */
  rpfilter(ctx: RuleContext, opts: { loose: boolean; validmark: boolean; acceptLocal: boolean }): boolean | "unknown";
  /** nft `fib`: flags choose saddr/daddr, mark, iif, oif. */
  fib(
    ctx: RuleContext,
    opts: { addr: "saddr" | "daddr"; mark: boolean; iif: boolean; oif: boolean },
  ): FibAnswer | "unknown";
  /** `-m socket` / nft `socket`: is there a local socket for this packet? */
  socket(ctx: RuleContext, opts: { transparent: boolean; nowildcard: boolean }): boolean | "unknown";
  /**
   * nf_nat_setup_info: fixes the connection's rewriting now; the packet itself changes at the end of the nat hook.
   * Returns what will change, for the step; null when the packet may not pass (no free tuple: the kernel drops it).
   */
  nat(ctx: RuleContext, request: NatRequest): Changed | null;
  /** MASQUERADE: inet_select_addr of the output device towards the next hop, then as `nat`. Null: no address, the kernel drops. */
  masquerade(
    ctx: RuleContext,
    opts: { minPort: number | null; maxPort: number | null; random: boolean; randomFully: boolean },
  ): Changed | null;
  /** REDIRECT: to the incoming device's own address (127.0.0.1 or ::1 for locally made packets), then as `nat`. */
  redirect(
    ctx: RuleContext,
    opts: { minPort: number | null; maxPort: number | null; random: boolean; randomFully: boolean },
  ): Changed | null;
  /** CT/NOTRACK targets and nft notrack, `ct zone set`: only before conntrack has seen the packet. */
  notrack(ctx: RuleContext): void;
  setZone(ctx: RuleContext, zone: number, dir: "both" | "orig" | "reply"): void;
  /** TPROXY: hand the packet to a local socket. False when no such socket is there (the kernel drops). */
  tproxy(ctx: RuleContext, ip: Ip | null, port: number): boolean | "unknown";
}

/** A rule as a step shows it. */
export interface RuleRef {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly source: Source;
  /** The rule as its file prints it, without counters and handle; made on demand. */
  text(): string;
}

/** A base chain as its policy step shows it. */
export interface PolicyRef {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly source: Source;
}

/** Receives what evaluation meets. `verdict` in contract.md's words. */
export interface RuleTrace {
  /** A rule that matched, in the kernel's order. */
  rule(ctx: RuleContext, rule: RuleRef, verdict: string, changed: Changed | null): void;
  /** A base chain that ended without a verdict: its policy. */
  policy(ctx: RuleContext, chain: PolicyRef, verdict: "accept" | "drop"): void;
  /** True when rules that do not match are wanted too (--all-rules). */
  readonly wantsMisses: boolean;
  miss(ctx: RuleContext, rule: RuleRef): void;
}

/** Everything about one packet at one hook. */
export interface RuleContext {
  pkt: Packet;
  hook: Hook;
  /** Priority of the chain that runs (nat or not, before or after conntrack). */
  iif: RuleDevice | null;
  oif: RuleDevice | null;
  /** Bridge ports while br_netfilter shows a bridged packet to IP chains. */
  physIn: RuleDevice | null;
  physOut: RuleDevice | null;
  /** The packet is being bridged, not routed (physdev --physdev-is-bridged). */
  bridged: boolean;
  services: RuleServices;
  oracle: Oracle;
  trace: RuleTrace;
  /** Set by reject: icmp-port-unreachable, tcp-reset, icmp6-adm-prohibited …, in iptables' words. */
  rejectWith: string | null;
  /** The rule that gave the final verdict; null when the policy did. */
  decidedBy: RuleRef | null;
}

/** How a base chain ends. */
export type ChainVerdict = "accept" | "drop" | "reject" | "stolen" | "queue" | "unknown";

/** A base chain, ready to run. */
export interface BaseChain extends PolicyRef {
  readonly type: "filter" | "nat" | "route";
  readonly hook: Hook;
  readonly priority: number;
  /** Order of registration as far as it can be told: higher means later. Only compared at equal priority. */
  readonly registered: number;
  /** `iptables` for tables of either xtables backend, else `nft`. */
  readonly backend: "iptables-nft" | "iptables-legacy" | "nft";
  /** Rules are in it, or in what it jumps to; an empty one can only apply its policy. */
  readonly hasRules: boolean;
  /** Devices of netdev-family chains; empty otherwise. */
  readonly devices: readonly string[];
  /** Evaluates; records steps in ctx.trace; leaves ctx.decidedBy and ctx.rejectWith set. */
  run(ctx: RuleContext): ChainVerdict;
}

/** All chains of one namespace. */
export interface Netfilter {
  /** Base chains of a hook in the order of priority; those of equal priority by `registered`, latest first. `4`/`6` include the inet family's. */
  chains(family: 4 | 6 | "bridge" | "netdev" | "arp", hook: Hook): readonly BaseChain[];
  /** Some rule needs connection tracking, or a nat chain exists: the namespace tracks connections (nf_ct_netns_get). */
  readonly tracks: { readonly 4: boolean; readonly 6: boolean };
  /** A nat-type chain is there: nat hooks run for the family (nf_nat_register_fn registers all four). */
  readonly nats: { readonly 4: boolean; readonly 6: boolean };
  /** What could not be read: then every hook of the family must ask `oracle.unknown` with the reason. Null when all is there. */
  readonly unknown: { readonly 4: string | null; readonly 6: string | null };
}
