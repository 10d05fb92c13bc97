/** The kernel's own account of the rules that a packet met (nft's packet trace), against the steps of a walk. */
import type { Step } from "../src/core/model/walk.ts";
import type { Agent, TraceEvent } from "./agent.ts";
import type { Files } from "./collect.ts";
import { Follower, type Header, headerDiffers, headerOf } from "./headers.ts";
import type { Probe, Seen, World } from "./world.ts";

const TABLE = "kwtrace";
const ON = `add table inet ${TABLE}
add chain inet ${TABLE} p { type filter hook prerouting priority -400; }
add chain inet ${TABLE} o { type filter hook output priority -400; }
add rule inet ${TABLE} p meta nftrace set 1
add rule inet ${TABLE} o meta nftrace set 1
`;

/** Traces every packet in every namespace from now on. */
export async function startTrace(agent: Agent, world: World): Promise<void> {
  await agent.run(
    world.namespaces.map((ns) => ({ ns, argv: ["nft", "-f", "-"], stdin: ON })),
    8,
  );
  await agent.traceOn();
}

/** Stops; events by namespace. */
export async function stopTrace(agent: Agent, world: World): Promise<Record<string, TraceEvent[]>> {
  const events = await agent.traceOff();
  await agent.run(
    world.namespaces.map((ns) => ({ ns, argv: ["nft", "delete", "table", "inet", TABLE] })),
    8,
  );
  return events;
}

/** One decision, in a form that both sides can be brought to. */
export interface Met {
  family: string;
  table: string;
  chain: string;
  /** Place of the rule in its chain from 0; −1 for the policy. */
  rule: number;
  verdict: string;
  /** The kernel's words for the rule. */
  text?: string;
  /** The packet's mark after it; absent where it is not known. */
  mark?: number;
  /** Its addresses and ports, as the first event of a base chain has them. */
  header?: Header;
}

/** Rule handles to their place in their chain, of one namespace's `nft -a list ruleset`. `texts` gets the rules' words. */
export function handles(nftText: string, texts: Map<string, string> = new Map()): Map<string, number> {
  const out = new Map<string, number>();
  let table = "";
  let chain: string | null = null;
  let n = 0;
  for (const line of nftText.split("\n")) {
    const t = /^table (\S+) (\S+) \{/.exec(line);
    if (t) table = `${t[1]} ${t[2]}`;
    const c = /^\tchain (\S+) \{/.exec(line);
    if (c) {
      chain = c[1]!;
      n = 0;
    } else if (line.startsWith("\t}")) chain = null;
    else if (chain !== null && line.startsWith("\t\t")) {
      const h = /# handle (\d+)$/.exec(line);
      if (!h || line.startsWith("\t\ttype ")) continue;
      texts.set(`${table} ${chain} ${h[1]}`, line);
      out.set(`${table} ${chain} ${h[1]}`, n++);
    }
  }
  return out;
}

/** What the packets of one probe met in one namespace: a list for each packet, forward ones first. */
export function packetsOf(events: TraceEvent[], probe: Probe, nftText: string): { reply: boolean; met: Met[] }[] {
  const texts = new Map<string, string>();
  const places = handles(nftText, texts);
  const current = new Map<string, { met: Met[] } | null>();
  const packets = new Map<string, { reply: boolean; met: Met[] }>();
  for (const e of events) {
    if (e.lost !== undefined) return [];
    if (e.net && e.transport) {
      // Headers come with the first event of every base chain. Identifiers are made of the buffer's address and come back.
      const whose = belongs(e, probe);
      const key = `${e.id} ${whose}`;
      if (whose !== null && !packets.has(key)) packets.set(key, { reply: whose === "reply", met: [] });
      current.set(e.id, packets.get(key) ?? null);
    }
    const p = current.get(e.id);
    if (!p) continue;
    if (e.table === TABLE) continue;
    const looks = {
      mark: e.mark ?? 0,
      ...(e.net && e.transport ? { header: headerOf(e.net, e.transport) } : {}),
    };
    if (e.type === "policy")
      p.met.push({
        family: e.family,
        table: e.table ?? "",
        chain: e.chain ?? "",
        rule: -1,
        verdict: e.policy ?? e.verdict ?? "",
        ...looks,
      });
    else if (e.handle !== undefined) {
      const rule = places.get(`${e.family} ${e.table} ${e.chain} ${e.handle}`);
      if (rule === undefined) continue;
      const words = texts.get(`${e.family} ${e.table} ${e.chain} ${e.handle}`);
      p.met.push({
        family: e.family,
        table: e.table ?? "",
        chain: e.chain ?? "",
        rule,
        verdict: e.verdict === "jump" || e.verdict === "goto" ? `${e.verdict} ${e.to}` : (e.verdict ?? ""),
        ...(words === undefined ? {} : { text: words }),
        ...looks,
      });
    }
  }
  return [...packets.values()].filter((p) => p.met.length > 0);
}

/** Whether an event's packet is the probe's first, or the first answer; by the client's port, which rules seldom change. */
function belongs(e: TraceEvent, p: Probe): "forward" | "reply" | null {
  const net = Buffer.from(e.net!, "hex");
  const l4 = Buffer.from(e.transport!, "hex");
  const proto = net[0]! >> 4 === 4 ? net[9]! : net[6]!;
  if (p.proto === "icmp") {
    if (proto !== 1 && proto !== 58) return null;
    const echo = proto === 1 ? [8, 0] : [128, 129];
    if (l4.readUInt16BE(4) !== p.sport) return null;
    return l4[0] === echo[0] ? "forward" : l4[0] === echo[1] ? "reply" : null;
  }
  if (proto !== (p.proto === "tcp" ? 6 : 17) || l4.length < 8) return null;
  const [sport, dport] = [l4.readUInt16BE(0), l4.readUInt16BE(2)];
  if (sport === p.sport && (proto === 17 || (l4[13]! & 0x12) === 0x02)) return "forward";
  return dport === p.sport && (proto === 17 || (l4[13]! & 0x02) === 0x02) ? "reply" : null;
}

/** The same of a walk's steps, of one namespace and direction; legacy rules are not in nft's trace and are left out. */
export function metBy(
  steps: readonly Step[],
  at: string,
  direction: "forward" | "reply",
  layer: number,
  files: Files,
  looks: ReadonlyMap<Step, Pick<Met, "mark" | "header">> = new Map(),
): Met[] {
  const index = new Map<string, Map<number, number>>();
  const out: Met[] = [];
  for (const s of steps) {
    if (s.at !== at || s.direction !== direction || s.layer !== layer || (s.kind !== "rule" && s.kind !== "policy"))
      continue;
    const file = s.source?.file ?? "";
    if (file.includes("legacy")) continue;
    out.push({
      family: s.family ?? "",
      table: s.table ?? "",
      chain: s.chain ?? "",
      rule: s.kind === "policy" ? -1 : ruleIndex(file, s.source?.line ?? 0, files, index),
      verdict: s.verdict === "reject" ? "drop" : (s.verdict ?? ""),
      ...looks.get(s),
    });
  }
  return out;
}

/** What the packet looked like at each step of a walk without tunnels. */
export function looksOf(
  steps: readonly Step[],
  probe: Probe,
  server: Seen | null,
): Map<Step, Pick<Met, "mark" | "header">> {
  const out = new Map<Step, Pick<Met, "mark" | "header">>();
  if (steps.some((s) => s.layer > 0)) return out;
  const follower = new Follower(probe, server);
  for (const s of steps) {
    const { header, mark } = follower.take(s);
    out.set(s, { header, ...(mark === null ? {} : { mark }) });
  }
  return out;
}

/** Which rule of its chain stands on a line, from 0; of iptables-save.txt and nft.txt. */
function ruleIndex(file: string, line: number, files: Files, cache: Map<string, Map<number, number>>): number {
  let lines = cache.get(file);
  if (!lines) {
    cache.set(file, (lines = new Map()));
    const counts = new Map<string, number>();
    let table = "";
    let chain = "";
    (files[file] ?? "").split("\n").forEach((text, i) => {
      const t = /^\*(\S+)/.exec(text) ?? /^table (\S+ \S+) \{/.exec(text);
      if (t) table = t[1]!;
      const c = /^(?:\[\d+:\d+\] )?-A (\S+)/.exec(text);
      const d = /^\tchain (\S+) \{/.exec(text);
      if (d) chain = d[1]!;
      const key = `${table} ${c ? c[1] : chain}`;
      if (c || (/^\t\t.*# handle \d+$/.test(text) && !text.startsWith("\t\ttype "))) {
        const n = counts.get(key) ?? 0;
        counts.set(key, n + 1);
        lines!.set(i + 1, n);
      }
    });
  }
  return lines.get(line) ?? -2;
}

/** Rules that a walk need not show: they only count, and whether they match nobody can tell from a snapshot. */
const UNTOLD = /sk[ug]id|length|tcp option|maxseg|socket|helper|xt match/;

/** A source port that may have been drawn at random: from then on the packet is not known by it. */
const REDRAWN = /snat|masquerade|netmap|random/i;

/**
 * As firstDifference, but for what cannot be compared: copies that bridges make of a packet that gets lost, rules without effect
 * of which a walk does not know, and what comes after the packet's source port has been rewritten.
 */
export function difference(
  kernel: readonly Met[],
  walk: readonly Met[],
  { lost, redrawn }: { lost: boolean; redrawn: boolean },
): string | null {
  if (lost && walk.length === 0) return null;
  const text = (m: Met): string => `${m.family} ${m.table} ${m.chain} ${m.rule} ${m.verdict}`;
  const there: Met[] = [];
  for (const m of kernel) {
    const next = walk[there.length];
    const untold = m.verdict === "continue" && UNTOLD.test(m.text ?? "");
    if (untold && (next === undefined || text(next) !== text(m))) continue;
    there.push(m);
  }
  return firstDifference(there, redrawn ? walk.slice(0, there.length) : walk);
}

/** Whether some step may have moved the packet to a source port drawn at random. */
export function isRedrawn(steps: readonly Step[]): boolean {
  return steps.some((s) => s.kind === "rule" && s.verdict === "accept" && REDRAWN.test(s.text));
}

/** Null when both met the same; else the first place where they part. */
export function firstDifference(kernel: readonly Met[], walk: readonly Met[]): string | null {
  const text = (m: Met | undefined): string =>
    m ? `${m.family} ${m.table} ${m.chain} ${m.rule < 0 ? "policy" : `rule ${m.rule}`} ${m.verdict}` : "nothing more";
  for (let i = 0; i < Math.max(kernel.length, walk.length); i++) {
    if (text(kernel[i]) !== text(walk[i]))
      return `step ${i}: the kernel met ${text(kernel[i])}, the walk ${text(walk[i])}`;
    const [there, told] = [kernel[i]!, walk[i]!];
    if (there.mark !== undefined && told.mark !== undefined && there.mark !== told.mark)
      return `step ${i}: ${text(there)}: the kernel's mark is ${there.mark}, the walk's ${told.mark}`;
    const other = there.header && told.header ? headerDiffers(there.header, told.header) : null;
    if (other !== null) return `step ${i}: ${text(there)}: the kernel's packet has ${other}`;
  }
  return null;
}
