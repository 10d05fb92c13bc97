/** The kernel's account of one probe's packets (nft's packet trace), and the same of a walk's steps. */
import type { MetRule } from "../../core/model/lab.ts";
import type { Proto, Step } from "../../core/model/walk.ts";

/** An event of nft's packet trace (include/uapi/linux/netfilter/nf_tables.h, nft_trace_attributes), as agent/trace.py reads it. */
export interface TraceEvent {
  id: string;
  family: string;
  type?: string;
  table?: string;
  chain?: string;
  handle?: number;
  verdict?: string;
  /** Chain that a jump or goto leads to. */
  to?: string;
  policy?: string;
  /** Headers in hexadecimal, with the first event of every base chain. */
  net?: string;
  transport?: string;
  lost?: string;
}

/** The table that turns tracing on; it is none of the lab's rules. */
export const TRACE_TABLE = "kwtrace";
export const TRACE_ON = `add table inet ${TRACE_TABLE}
add chain inet ${TRACE_TABLE} p { type filter hook prerouting priority -400; }
add chain inet ${TRACE_TABLE} o { type filter hook output priority -400; }
add rule inet ${TRACE_TABLE} p meta nftrace set 1
add rule inet ${TRACE_TABLE} o meta nftrace set 1
`;

export interface Traced {
  proto: Proto;
  sourcePort: number;
  port: number | null;
  /** In the datagram, of UDP behind the question's own four bytes. */
  token: string;
}

/** What one rule is: its number in its chain from 0, and its text. */
interface Numbered {
  index: number;
  text: string;
}

/** Rules by `FAMILY TABLE CHAIN HANDLE`, of `nft -a list ruleset`. */
export function rulesByHandle(nftText: string): Map<string, Numbered> {
  const found = new Map<string, Numbered>();
  let table = "";
  let chain: string | null = null;
  let index = 0;
  for (const line of nftText.split("\n")) {
    const inTable = /^table (\S+) (\S+) \{/.exec(line);
    if (inTable !== null) table = `${inTable[1]} ${inTable[2]}`;
    const inChain = /^\tchain (\S+) \{/.exec(line);
    if (inChain !== null) {
      chain = inChain[1] ?? "";
      index = 0;
    } else if (line.startsWith("\t}")) chain = null;
    else if (chain !== null && line.startsWith("\t\t") && !line.startsWith("\t\ttype ")) {
      const [, text = "", handle] = /^\t\t(.*) # handle (\d+)$/.exec(line) ?? [];
      if (handle !== undefined) found.set(`${table} ${chain} ${handle}`, { index: index++, text });
    }
  }
  return found;
}

interface Headers {
  proto: number;
  l4: Buffer;
}

function headersOf(event: TraceEvent): Headers | null {
  if (event.net === undefined || event.transport === undefined) return null;
  const net = Buffer.from(event.net, "hex");
  const l4 = Buffer.from(event.transport, "hex");
  if (net.length < 10 || l4.length < 8) return null;
  return { proto: ((net[0] ?? 0) >> 4 === 4 ? net[9] : net[6]) ?? 0, l4 };
}

const SYN = 0x02;
const ACK = 0x10;

/** The sequence number of the probe's SYN, which no rewriting changes; null when the trace has none. */
function sequenceOf(events: readonly TraceEvent[], traced: Traced): number | null {
  for (const event of events) {
    const headers = headersOf(event);
    if (headers === null || headers.proto !== 6 || headers.l4.length < 14) continue;
    const isFirst = ((headers.l4[13] ?? 0) & (SYN | ACK)) === SYN;
    if (isFirst && headers.l4.readUInt16BE(0) === traced.sourcePort) return headers.l4.readUInt32BE(4);
  }
  return null;
}

/** Whose packet an event is about: the probe's first, its first answer, or another's. */
export type Whose = (event: TraceEvent) => "forward" | "reply" | null;

/** How the probe's packets are known again in all namespaces, whatever rules made of their addresses and ports. */
export function recognizer(all: readonly TraceEvent[], traced: Traced): Whose {
  if (traced.proto === "tcp") {
    const sequence = sequenceOf(all, traced);
    return (event) => {
      const headers = headersOf(event);
      if (sequence === null || headers === null || headers.proto !== 6 || headers.l4.length < 14) return null;
      const flags = (headers.l4[13] ?? 0) & (SYN | ACK);
      if (flags === SYN) return headers.l4.readUInt32BE(4) === sequence ? "forward" : null;
      return flags === (SYN | ACK) && headers.l4.readUInt32BE(8) === (sequence + 1) >>> 0 ? "reply" : null;
    };
  }
  if (traced.proto === "icmp")
    return (event) => {
      const headers = headersOf(event);
      if (headers === null || !headers.l4.subarray(8).toString("latin1").startsWith(traced.token)) return null;
      const type = headers.l4[0];
      const [ask, answer] = headers.proto === 1 ? [8, 0] : [128, 129];
      return type === ask ? "forward" : type === answer ? "reply" : null;
    };
  // A datagram's answer carries nothing of the question: it goes to a port that the question came from on its way.
  const ports = new Set([traced.sourcePort]);
  const isQuestion = ({ proto, l4 }: Headers): boolean =>
    proto === 17 && l4.subarray(12).toString("latin1").startsWith(traced.token);
  for (const event of all) {
    const headers = headersOf(event);
    if (headers !== null && isQuestion(headers)) ports.add(headers.l4.readUInt16BE(0));
  }
  return (event) => {
    const headers = headersOf(event);
    if (headers === null || headers.proto !== 17) return null;
    if (isQuestion(headers)) return "forward";
    return headers.l4.subarray(8, 9).toString("latin1") === "{" && ports.has(headers.l4.readUInt16BE(2))
      ? "reply"
      : null;
  };
}

const word = (met: { family: string; table: string; chain: string; rule: number; verdict: string }): string =>
  `${met.family} ${met.table} ${met.chain} ${met.rule < 0 ? "policy" : `rule ${met.rule}`}: ${met.verdict}`;

/** What the probe's packets met in one namespace, those of one direction together. */
export function metInTrace(events: readonly TraceEvent[], whose: Whose, nftText: string): MetRule[] {
  const rules = rulesByHandle(nftText);
  const current = new Map<string, "forward" | "reply" | null>();
  const met: MetRule[] = [];
  for (const event of events) {
    if (event.net !== undefined) current.set(event.id, whose(event));
    const direction = current.get(event.id) ?? null;
    if (direction === null || event.table === TRACE_TABLE) continue;
    const at = { family: event.family, table: event.table ?? "", chain: event.chain ?? "" };
    if (event.type === "policy")
      met.push({ direction, text: word({ ...at, rule: -1, verdict: event.policy ?? event.verdict ?? "" }), rule: "" });
    else if (event.handle !== undefined) {
      const rule = rules.get(`${at.family} ${at.table} ${at.chain} ${event.handle}`);
      const isJump = event.verdict === "jump" || event.verdict === "goto";
      const verdict = isJump ? `${event.verdict} ${event.to}` : (event.verdict ?? "");
      if (rule !== undefined)
        met.push({ direction, text: word({ ...at, rule: rule.index, verdict }), rule: rule.text });
    }
  }
  return inDirections(met);
}

const inDirections = (met: readonly MetRule[]): MetRule[] => [
  ...met.filter((each) => each.direction === "forward"),
  ...met.filter((each) => each.direction === "reply"),
];

/** Numbers of rules in their chains by line, of iptables-save and `nft -a list ruleset`. */
function rulesByLine(text: string): Map<number, number> {
  const found = new Map<number, number>();
  const counts = new Map<string, number>();
  let table = "";
  let chain = "";
  for (const [i, line] of text.split("\n").entries()) {
    const inTable = /^\*(\S+)/.exec(line) ?? /^table (\S+ \S+) \{/.exec(line);
    if (inTable !== null) table = inTable[1] ?? "";
    const appended = /^(?:\[\d+:\d+\] )?-A (\S+)/.exec(line);
    const inChain = /^\tchain (\S+) \{/.exec(line);
    if (inChain !== null) chain = inChain[1] ?? "";
    const isNft = /^\t\t.*# handle \d+$/.test(line) && !line.startsWith("\t\ttype ");
    if (appended === null && !isNft) continue;
    const key = `${table} ${appended === null ? chain : appended[1]}`;
    const n = counts.get(key) ?? 0;
    counts.set(key, n + 1);
    found.set(i + 1, n);
  }
  return found;
}

/** Rules of a walk's steps in one namespace; those of iptables' legacy backend are in no trace of nft's and are left out. */
export function metInWalk(steps: readonly Step[], at: string, textOf: (file: string) => string): MetRule[] {
  const lines = new Map<string, Map<number, number>>();
  const met = steps.flatMap((step): MetRule[] => {
    const isRule = step.kind === "rule" || step.kind === "policy";
    const file = step.source?.file ?? "";
    if (step.at !== at || step.layer !== 0 || !isRule || file.includes("legacy")) return [];
    let known = lines.get(file);
    if (known === undefined) lines.set(file, (known = rulesByLine(textOf(file))));
    const rule = step.kind === "policy" ? -1 : (known.get(step.source?.line ?? 0) ?? -2);
    const { family = "", table = "", chain = "" } = step;
    const verdict = step.verdict === "reject" ? "drop" : (step.verdict ?? "");
    return [
      {
        direction: step.direction,
        text: word({ family, table, chain, rule, verdict }),
        rule: step.kind === "policy" ? "" : step.text,
      },
    ];
  });
  return inDirections(met);
}

/** Runs of one table's chains over a packet, one after the other. */
function visits(met: readonly MetRule[]): string[] {
  const found: string[][] = [];
  let key = "";
  for (const { direction, text } of met) {
    const own = `${direction} ${text.split(" ", 2).join(" ")}`;
    if (own !== key) found.push([]);
    found.at(-1)?.push(`${direction} ${text}`);
    // A policy ends a base chain.
    key = text.includes(" policy: ") ? "" : own;
  }
  return found.map((each) => each.join("\n"));
}

/**
 * Whether two lists tell the same. Chains of one hook and of equal priority run in the order in which they were made, which nobody can see
 * afterwards: they may stand in any order, and one that no rule of it decided anything in may be missing, since what an earlier one
 * decided (a DNAT) spares the packet the later one.
 */
export function sameRules(a: readonly MetRule[], b: readonly MetRule[]): boolean {
  const told = (met: readonly MetRule[]): string[] => met.map(({ direction, text }) => `${direction} ${text}`);
  if (told(a).join("\n") === told(b).join("\n")) return true;
  const deciding = (met: readonly MetRule[]): string =>
    visits(met)
      .filter((visit) => !/^\S+ \S+ \S+ \S+ policy: accept$/.test(visit))
      .toSorted()
      .join("\n\n");
  return deciding(a) === deciding(b);
}
