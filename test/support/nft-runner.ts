/** For tests: runs a chain for a packet with an oracle and services that say what the test wants, and tells what was met. */
import { parseIp } from "../../src/core/model/address.ts";
import type { Ip } from "../../src/core/model/address.ts";
import { parseNftJson } from "../../src/core/parse/nft-json.ts";
import type { Connection } from "../../src/core/engine/connection.ts";
import { Packet } from "../../src/core/engine/packet.ts";
import type {
  FibAnswer,
  NatRequest,
  RuleContext,
  RuleDevice,
  RuleServices,
} from "../../src/core/engine/netfilter/context.ts";
import type { EvalState } from "../../src/core/engine/netfilter/program.ts";
import { runBaseChain } from "../../src/core/engine/netfilter/run.ts";
import { compileNftTable } from "../../src/core/engine/netfilter/nft/table.ts";
import type { CompiledNftTable } from "../../src/core/engine/netfilter/nft/table.ts";

export const device = (name: string, over: Partial<RuleDevice> = {}): RuleDevice => ({
  index: 2,
  name,
  kindName: "veth",
  mac: "02:00:00:00:00:01",
  masterName: null,
  group: 0,
  ...over,
});

export function ip(text: string): Ip {
  const found = parseIp(text);
  if (found === null) throw new Error(`${text} is no address`);
  return found;
}

/** A packet from address and port to address and port. */
export function packet(proto: number, src: string, sport: number, dst: string, dport: number): Packet {
  const from = ip(src);
  const p = new Packet(from.v, from, ip(dst), proto);
  p.ttl = 64;
  p.sport = sport;
  p.dport = dport;
  return p;
}

/** A new connection of a packet, both tuples untranslated. */
export function connection(p: Packet): Connection {
  const half = (src: Ip, dst: Ip, sport: number, dport: number): Connection["orig"] => ({
    src,
    dst,
    sport,
    dport,
    icmpType: p.icmpType,
    icmpCode: p.icmpCode,
    icmpId: p.icmpId,
  });
  return {
    v: p.v,
    proto: p.proto,
    orig: half(p.src, p.dst, p.sport, p.dport),
    reply: half(p.dst, p.src, p.dport, p.sport),
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
  };
}

/** What a run came to. */
export interface Met {
  verdict: string;
  /** Handles of the rules that matched, in order. */
  rules: number[];
  words: string[];
  /** Reasons of questions that nobody could answer, in order. */
  unknowns: string[];
  /** Weights of the choices asked for, in order. */
  choices: number[][];
  nat: NatRequest[];
  rejectWith: string | null;
  pkt: Packet;
}

export interface Setting {
  hook?: RuleContext["hook"];
  iif?: RuleDevice | null;
  oif?: RuleDevice | null;
  /** Answers to choices in order (0 when there are no more), and to unknowns. */
  choose?: number[];
  unknown?: boolean[];
  local?: (ip: Ip) => boolean;
  fib?: FibAnswer | "unknown";
  socket?: boolean | "unknown";
  tproxy?: boolean | "unknown";
}

/** The only table of `nft -j` text that is asked for, compiled; `handles` finds a rule's handle by its line. */
export interface Loaded {
  compiled: CompiledNftTable;
  handleOf: Map<string, number>;
}

/** Compiles a table of a ruleset: the first, or the one named. Rules are told apart by line, so each gets its own. */
export function load(json: string, table?: string): Loaded {
  const ruleset = parseNftJson(json, "nft.json", null);
  const found = ruleset.tables.find((each) => table === undefined || each.name === table);
  if (found === undefined) throw new Error("no such table");
  const handleOf = new Map<string, number>();
  let line = 0;
  for (const chain of found.chains) {
    for (const rule of chain.rules) {
      rule.source = { file: "nft.txt", line: ++line };
      handleOf.set(`nft.txt:${line}`, rule.handle);
    }
  }
  return { compiled: compileNftTable(found, { textOf: (s) => `line ${s.line} # handle ${s.line}` }), handleOf };
}

/** Runs a chain as a base chain of policy accept. */
export function run({ compiled, handleOf }: Loaded, chain: string, pkt: Packet, setting: Setting = {}): Met {
  const program = compiled.chains.get(chain);
  if (program === undefined) throw new Error(`no chain ${chain}`);
  const met: Met = { verdict: "", rules: [], words: [], unknowns: [], choices: [], nat: [], rejectWith: null, pkt };
  const choose = [...(setting.choose ?? [])];
  const answers = [...(setting.unknown ?? [])];
  const isLocal = setting.local ?? ((): boolean => false);
  const services: RuleServices = {
    addrType: (_, address) => (isLocal(address) ? "local" : "unicast"),
    rpfilter: () => true,
    fib: () => setting.fib ?? { type: "unicast", oif: null },
    socket: () => setting.socket ?? false,
    nat: (_, request) => {
      met.nat.push(request);
      return { dst: "rewritten" };
    },
    masquerade: () => ({ src: "own" }),
    redirect: () => ({ dst: "own" }),
    notrack: (ctx) => {
      ctx.pkt.ctInfo = "untracked";
    },
    setZone: (ctx, zone) => {
      ctx.pkt.zone = zone;
      ctx.pkt.template = true;
    },
    tproxy: () => setting.tproxy ?? true,
  };
  const ctx: RuleContext = {
    pkt,
    hook: setting.hook ?? "prerouting",
    iif: setting.iif ?? null,
    oif: setting.oif ?? null,
    physIn: null,
    physOut: null,
    bridged: false,
    services,
    oracle: {
      choose: (weights) => {
        met.choices.push([...weights]);
        return choose.shift() ?? 0;
      },
      unknown: (why) => {
        met.unknowns.push(why);
        return answers.shift() ?? false;
      },
    },
    trace: {
      wantsMisses: false,
      rule: (_, rule, word) => {
        met.rules.push(handleOf.get(`${rule.source.file}:${rule.source.line}`) ?? -1);
        met.words.push(word);
      },
      policy: () => undefined,
      miss: () => undefined,
    },
    rejectWith: null,
    decidedBy: null,
  };
  const source = program.source;
  met.verdict = runBaseChain(program, { family: "inet", table: "t", chain, source }, "accept", ctx);
  // A statement that is not modelled ends the run with its reason.
  if (met.verdict === "unknown") met.unknowns.push((ctx as EvalState).why);
  met.rejectWith = ctx.rejectWith;
  return met;
}

/** A ruleset of one table `t` as `nft -j` prints it: rules as lists of statements, by chain; sets as they stand. */
export function ruleset(
  family: string,
  chains: Record<string, unknown[][]>,
  sets: Record<string, unknown>[] = [],
): string {
  const inTable = { family, table: "t" };
  const items: unknown[] = [{ table: { family, name: "t", handle: 1 } }];
  for (const set of sets) items.push({ [set["map"] === undefined ? "set" : "map"]: { ...inTable, handle: 9, ...set } });
  for (const name of Object.keys(chains)) items.push({ chain: { ...inTable, name, handle: 2 } });
  let handle = 10;
  for (const [chain, rules] of Object.entries(chains))
    for (const expr of rules) items.push({ rule: { ...inTable, chain, handle: handle++, expr } });
  return JSON.stringify({ nftables: items });
}
