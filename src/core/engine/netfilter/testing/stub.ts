/** Stand-ins for the rest of the engine in tests of rules. */
import { parseIp } from "../../../model/address.ts";
import type { Ip } from "../../../model/address.ts";
import type { Changed } from "../../../model/walk.ts";
import type { Connection } from "../../connection.ts";
import type { Oracle } from "../../oracle.ts";
import { Packet } from "../../packet.ts";
import type { RuleDevice, RuleRef, RuleServices, RuleTrace } from "../context.ts";
import type { EvalState } from "../program.ts";

/** An address that is known to be one. */
export function ip(text: string): Ip {
  const found = parseIp(text);
  if (found === null) throw new Error(`no address: ${text}`);
  return found;
}

/** A packet with the fields given; addresses as text. */
export function packet(
  fields: Partial<Omit<Packet, "src" | "dst" | "clone">> & { src?: string; dst?: string } = {},
): Packet {
  const { src = "10.0.0.1", dst = "10.0.0.2", ...rest } = fields;
  const from = ip(src);
  return Object.assign(new Packet(from.v, from, ip(dst), 6), { tcpFlags: 2, ttl: 64, ...rest });
}

export function device(name: string, fields: Partial<RuleDevice> = {}): RuleDevice {
  return { index: 1, name, kindName: "", mac: null, masterName: null, group: 0, ...fields };
}

/** A new connection of the packet, as conntrack would make it. */
export function connection(pkt: Packet, fields: Partial<Connection> = {}): Connection {
  const { src, dst, sport, dport, icmpType, icmpCode, icmpId } = pkt;
  return {
    v: pkt.v,
    proto: pkt.proto,
    orig: { src, dst, sport, dport, icmpType, icmpCode, icmpId },
    reply: { src: dst, dst: src, sport: dport, dport: sport, icmpType: 0, icmpCode, icmpId },
    zone: 0,
    zoneDir: "both",
    mark: 0,
    seenReply: false,
    assured: false,
    confirmed: false,
    srcNat: false,
    dstNat: false,
    srcNatDone: false,
    dstNatDone: false,
    expected: false,
    helper: null,
    state: null,
    source: null,
    randomOrig: false,
    randomReply: false,
    ...fields,
  };
}

/** Answers from the lists given, then the first way and `true`; keeps what was asked. */
export class ScriptedOracle implements Oracle {
  readonly asked: string[] = [];
  readonly weights: (readonly number[])[] = [];
  private readonly choices: number[];
  private readonly answers: boolean[];

  constructor(choices: readonly number[] = [], answers: readonly boolean[] = []) {
    this.choices = [...choices];
    this.answers = [...answers];
  }

  choose(weights: readonly number[]): number {
    this.weights.push(weights);
    return this.choices.shift() ?? weights.findIndex((w) => w > 0);
  }

  unknown(why: string): boolean {
    this.asked.push(why);
    return this.answers.shift() ?? true;
  }
}

/** One line a step: `TABLE CHAIN VERDICT {changed} < text`. */
export class RecordedTrace implements RuleTrace {
  readonly lines: string[] = [];
  readonly wantsMisses: boolean;

  constructor(wantsMisses = false) {
    this.wantsMisses = wantsMisses;
  }

  rule(_ctx: unknown, rule: RuleRef, verdict: string, changed: Changed | null): void {
    this.lines.push(`${rule.table} ${rule.chain} ${verdict}${changed === null ? "" : ` ${JSON.stringify(changed)}`}`);
  }

  policy(_ctx: unknown, chain: { table: string; chain: string }, verdict: "accept" | "drop"): void {
    this.lines.push(`${chain.table} ${chain.chain} policy ${verdict}`);
  }

  miss(_ctx: unknown, rule: RuleRef): void {
    this.lines.push(`${rule.table} ${rule.chain} miss`);
  }
}

/** Services that know nothing of a host but what is given, and record nothing. */
export function services(over: Partial<RuleServices> = {}): RuleServices {
  return {
    addrType: () => "unicast",
    rpfilter: () => true,
    fib: () => "unknown",
    socket: () => false,
    nat: (_ctx, r) =>
      r.min === null ? {} : r.manip === "dst" ? { dst: String(r.min.key) } : { src: String(r.min.key) },
    masquerade: () => ({ src: "masqueraded" }),
    redirect: () => ({ dst: "redirected" }),
    notrack: () => undefined,
    setZone: () => undefined,
    tproxy: () => true,
    ...over,
  };
}

export interface TestState extends EvalState {
  oracle: ScriptedOracle;
  trace: RecordedTrace;
}

/** The state of a packet at a hook. */
export function state(pkt: Packet, fields: Partial<TestState> = {}): TestState {
  return {
    pkt,
    hook: "forward",
    iif: device("eth0"),
    oif: device("eth1"),
    physIn: null,
    physOut: null,
    bridged: false,
    services: services(),
    oracle: new ScriptedOracle(),
    trace: new RecordedTrace(),
    rejectWith: null,
    decidedBy: null,
    why: "",
    target: null,
    changed: null,
    ...fields,
  };
}
