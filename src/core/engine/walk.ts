/** Answers questions: every way that a packet can go, put together into outcomes with exact shares. */
import { formatIp, parseIp } from "../model/address.ts";
import { toShare } from "../model/fraction.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Answer, Outcome, Question, Step } from "../model/walk.ts";
import { attempt, type Attempt, type Result } from "./exchange.ts";
import { explore, FixedOracle, type Happening, type Way } from "./explore.ts";
import { textOf } from "./fate.ts";
import type { Ns } from "./ns.ts";
import { ACK, FIN, ICMP, IPV6_ICMP, PSH, RST, SCTP, SYN, TCP, UDP, URG } from "./packet.ts";
import { Run } from "./run.ts";
import { World } from "./world.ts";

/** A question that can't be asked of this snapshot; the message says why. */
export class QuestionError extends Error {
  override readonly name = "QuestionError";
}

/** `from` a place as design.md writes it, `to` an address as text. */
export type ResolvedQuestion = Question;

export interface AskOptions {
  /** Adds the steps of each outcome's likeliest path. */
  steps?: boolean;
  /** Adds every path of each outcome with its own share, at most MAX_PATHS of them. */
  paths?: boolean;
  /** Adds rules that did not match. */
  allRules?: boolean;
  /** Tries at most so many ways, where MAX_WAYS of them take too long. */
  maxWays?: number;
}

/** Joins a snapshot's namespaces into a world that questions can be asked of. Cheap: what a question needs is built when first met. */
export function createWorld(snapshot: Snapshot): World {
  return new World(snapshot);
}

const FLAGS: Record<string, number> = { fin: FIN, syn: SYN, rst: RST, psh: PSH, ack: ACK, urg: URG };

function tcpFlags(text: string | undefined): number {
  if (text === undefined) return SYN;
  let flags = 0;
  for (const name of text
    .toLowerCase()
    .split(/[\s,|+]+/)
    .filter((n) => n !== "")) {
    const bit = FLAGS[name];
    if (bit === undefined) throw new QuestionError(`unknown TCP flag "${name}": use ${Object.keys(FLAGS).join(", ")}`);
    flags |= bit;
  }
  return flags;
}

/** A port of the namespace's own range that no entry of any conntrack table uses, so that nothing recorded is met by accident. */
function freePort(ns: Ns): number {
  const range = (ns.model.sysctls.values.get("net.ipv4.ip_local_port_range")?.value ?? "32768 60999")
    .trim()
    .split(/\s+/)
    .map(Number);
  const [lo = 32768, hi = 60999] = range;
  const used = ns.world.usedPorts();
  for (let p = lo + Math.floor((hi - lo) / 2); p <= hi; p++) if (!used.has(p)) return p;
  return hi;
}

/** Reads a question. Throws QuestionError for a place or address that makes no sense. */
export function toAttempt(world: World, q: ResolvedQuestion): Attempt {
  const from = world.byPlace.get(q.from);
  if (from === undefined) throw new QuestionError(`there is no place "${q.from}" in this snapshot`);
  const to = parseIp(q.to);
  if (to === null) throw new QuestionError(`"${q.to}" is no address`);
  const needsPort = q.proto !== "icmp";
  if (needsPort && (q.port === undefined || !Number.isInteger(q.port) || q.port < 1 || q.port > 65535))
    throw new QuestionError(`${q.proto} needs a port from 1 to 65535`);
  const proto =
    q.proto === "tcp" ? TCP : q.proto === "udp" ? UDP : q.proto === "sctp" ? SCTP : to.v === 4 ? ICMP : IPV6_ICMP;
  return {
    from,
    proto,
    to,
    port: q.port ?? 0,
    sourcePort: q.sourcePort ?? freePort(from),
    exactPort: q.sourcePort !== undefined,
    mark: q.mark ?? 0,
    ttl: q.ttl ?? null,
    size: q.size ?? null,
    tcpFlags: tcpFlags(q.tcpFlags),
  };
}

function coarse(r: Result): string {
  const s = r.server;
  return `${r.client}|${r.disposition}|${s === null ? "" : `${s.at} ${s.address.key} ${s.port} ${s.clientAddress.key}`}`;
}

function fine(r: Result): string {
  const b = r.because;
  return `${coarse(r)}|${b.source === null ? "" : `${b.source.file}:${b.source.line}`} ${textOf(b)}`;
}

/** The steps of one way, by walking it again. */
function stepsOf(world: World, a: Attempt, way: Way, allRules: boolean): Step[] {
  const run = new Run(world, new FixedOracle(way), true, allRules);
  attempt(run, a);
  return run.steps ?? [];
}

function outcomeOf(world: World, a: Attempt, h: Happening<Result>, opts: AskOptions): Outcome {
  const r = h.value;
  const text = textOf(r.because);
  const because: Outcome["because"] =
    h.share === null && h.because !== null ? { text: `${text} (only if so: ${h.because.why})` } : { text };
  if (r.because.source !== null) because.source = r.because.source;
  const out: Outcome = {
    share: h.share === null ? null : toShare(h.share),
    client: r.client,
    disposition: r.disposition,
    because,
  };
  if (r.server !== null) {
    out.server = {
      at: r.server.at,
      address: formatIp(r.server.address),
      port: r.server.port,
      clientAddress: formatIp(r.server.clientAddress),
    };
  }
  if (opts.paths === true) {
    out.paths = h.ways.slice(0, MAX_PATHS).map((w) => ({
      share: w.share === null ? null : toShare(w.share),
      steps: stepsOf(world, a, w.way, opts.allRules === true),
    }));
  }
  if (opts.steps === true) out.steps = stepsOf(world, a, h.way, opts.allRules === true);
  return out;
}

/** Paths that are shown of one outcome. */
const MAX_PATHS = 64;

function verdictOf(outcomes: readonly Outcome[]): Answer["verdict"] {
  if (outcomes.some((o) => o.client === "inconclusive")) return "inconclusive";
  const good = outcomes.some((o) => o.client === "answered");
  const bad = outcomes.some((o) => o.client !== "answered");
  if (!good || !bad) return good ? "answered" : "failed";
  return outcomes.some((o) => o.share === null) ? "inconclusive" : "mixed";
}

/** Everything that can become of the question's packet. Throws QuestionError; never hangs. */
export function ask(world: World, q: ResolvedQuestion, opts: AskOptions = {}): Answer {
  const a = toAttempt(world, q);
  const { happenings, complete } = explore(
    (oracle) => attempt(new Run(world, oracle, false, false), a),
    { fine, coarse, everyWay: opts.paths === true },
    opts.maxWays,
  );
  const outcomes = happenings.map((h) => outcomeOf(world, a, h, opts));
  if (!complete) {
    for (const o of outcomes) o.share = null;
    outcomes.push({
      share: null,
      client: "inconclusive",
      disposition: "inconclusive",
      because: { text: "there are more ways than can be tried; the others stand beside this one" },
    });
  }
  const order = happenings.map((h) => h.peak);
  const sorted = outcomes
    .map((o, i) => ({ o, peak: order[i] ?? 0 }))
    .toSorted((x, y) => y.peak - x.peak)
    .map((x) => x.o);
  const answer: Answer = {
    format: "kubewalk.walk/v1",
    from: q.from,
    proto: q.proto,
    to: q.to,
    verdict: verdictOf(sorted),
    outcomes: sorted,
  };
  if (q.port !== undefined) answer.port = q.port;
  return answer;
}
