/** Chains against the kernel: what `nft monitor trace` printed while real packets went through the recorded rulesets. */
import { describe, expect, it } from "vitest";
import type { Namespace } from "../../model/namespace.ts";
import { sameIp } from "../../model/address.ts";
import type { Connection } from "../connection.ts";
import type { CtInfo } from "../packet.ts";
import { buildNetfilter } from "./build.ts";
import type { AddrType, BaseChain, Netfilter, RuleServices } from "./context.ts";
import { load, passages, recordings } from "./testing/recordings.ts";
import type { Passage } from "./testing/recordings.ts";
import { connection, device, RecordedTrace, services, state } from "./testing/stub.ts";

/** What a trace does not show: where the packet stands in its connection, and its mark. */
interface Guess {
  info: CtInfo;
  ct: Partial<Connection> | null;
  reply: boolean;
  mark: number;
}

const CONNECTIONS: Omit<Guess, "mark">[] = [
  { info: "new", ct: {}, reply: false },
  { info: "new", ct: { dstNat: true, dstNatDone: true }, reply: false },
  { info: "established", ct: {}, reply: false },
  { info: "established", ct: { dstNat: true, seenReply: true }, reply: false },
  { info: "none", ct: null, reply: false },
  { info: "untracked", ct: null, reply: false },
  { info: "invalid", ct: null, reply: false },
  { info: "related", ct: { dstNat: true }, reply: true },
];
const MARKS = [0, 0x4000, 0x10000, 0x80000, 0x14000, 0x90000, 0x84000, 0x20000];

/** Takes the ways in turn: 0 first, then as told. */
class EveryWay {
  private readonly path: number[];
  readonly widths: number[] = [];
  unknowns = 0;

  constructor(path: readonly number[]) {
    this.path = [...path];
  }

  choose(weights: readonly number[]): number {
    const way = this.path[this.widths.length] ?? 0;
    this.widths.push(weights.length);
    return way;
  }

  unknown(): boolean {
    this.unknowns++;
    return this.choose([1, 1]) === 0;
  }

  /** The next path after `path`; null when all have been taken. */
  next(path: readonly number[]): number[] | null {
    const full = this.widths.map((_, i) => path[i] ?? 0);
    for (let i = full.length - 1; i >= 0; i--)
      if (full[i]! + 1 < this.widths[i]!) return [...full.slice(0, i), full[i]! + 1];
    return null;
  }
}

function host(ns: Namespace): RuleServices {
  const own = ns.links.flatMap((l) => l.addresses.map((a) => a.ip));
  const typeOf = (ip: (typeof own)[number]): AddrType =>
    own.some((a) => sameIp(a, ip)) || (ip.v === 4 && ip.a >>> 24 === 127)
      ? "local"
      : ip.v === 4 && ip.a >>> 28 === 14
        ? "multicast"
        : "unicast";
  return services({
    addrType: (_ctx, ip) => typeOf(ip),
    fib: (_ctx, opts) => ({ type: typeOf(opts.addr === "saddr" ? _ctx.pkt.src : _ctx.pkt.dst), oif: device("x") }),
  });
}

function follows(chain: BaseChain, p: Passage, guess: Guess, ruleServices: RuleServices): boolean {
  for (let path: number[] | null = []; path !== null;) {
    const pkt = p.packet.clone();
    pkt.mark = guess.mark;
    pkt.ctInfo = guess.info;
    pkt.ctReply = guess.reply;
    pkt.ct = guess.ct === null ? null : connection(pkt, guess.ct);
    const oracle = new EveryWay(path);
    const trace = new RecordedTrace();
    const s = state(pkt, {
      hook: chain.hook,
      iif: p.iif === null ? null : device(p.iif),
      oif: p.oif === null ? null : device(p.oif),
      oracle: oracle as never,
      trace,
      services: ruleServices,
    });
    chain.run(s);
    const steps = trace.lines.map((l) => l.replace(/ \{.*$/, "").replace(/ reject$/, " drop"));
    if (oracle.unknowns === 0 && steps.join("\n") === p.steps.join("\n")) return true;
    path = oracle.next(path);
  }
  return false;
}

function chainOf(netfilter: Netfilter, p: Passage): BaseChain | undefined {
  const v = p.family === "ip6" ? 6 : 4;
  const all = (["prerouting", "input", "forward", "output", "postrouting"] as const).flatMap((h) =>
    netfilter.chains(v, h),
  );
  return all.find(
    (c) => c.table === p.table && c.chain === p.chain && c.family === p.family && c.backend !== "iptables-legacy",
  );
}

const names = recordings().filter((name) => passages(name).length > 0);

describe.skipIf(names.length === 0)(
  "passages through recorded chains (skipped when no recordings are beside the checkout)",
  () => {
    it.each(names)(
      "%s",
      (name) => {
        const snapshot = load(name);
        const netfilters = new Map<string, { ns: Namespace; netfilter: Netfilter }>();
        for (const ns of snapshot.namespaces)
          netfilters.set(ns.place, { ns, netfilter: buildNetfilter(ns, (source) => snapshot.line(source)) });
        const wrong: string[] = [];
        let right = 0;
        const seen = new Set<string>();
        for (const p of passages(name)) {
          const found = netfilters.get(p.place);
          const chain = found === undefined ? undefined : chainOf(found.netfilter, p);
          const key = JSON.stringify([
            p.place,
            p.table,
            p.chain,
            p.iif,
            p.oif,
            p.packet.src.key,
            p.packet.dst.key,
            p.packet.dport,
            p.packet.tcpFlags,
            p.steps,
          ]);
          if (seen.has(key)) continue;
          seen.add(key);
          if (chain === undefined || found === undefined) {
            wrong.push(`${p.place}: no chain ${p.family} ${p.table} ${p.chain}`);
            continue;
          }
          const ruleServices = host(found.ns);
          const conns = p.table === "raw" ? CONNECTIONS.filter((c) => c.ct === null) : CONNECTIONS;
          if (conns.some((c) => MARKS.some((mark) => follows(chain, p, { ...c, mark }, ruleServices)))) right++;
          else wrong.push(`${p.place} ${p.id} ${p.family} ${p.table} ${p.chain}:\n  ${p.steps.join("\n  ")}`);
        }
        expect({ wrong, some: right > 100 }).toEqual({ wrong: [], some: true });
      },
      60_000,
    );
  },
);
