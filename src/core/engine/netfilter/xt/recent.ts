/** Lists of the `recent` match as /proc/net/xt_recent showed them (xt_recent.c). */
import { ip4, ip6 } from "../../../model/address.ts";
import type { Ip } from "../../../model/address.ts";
import type { RecentList } from "../../../model/namespace.ts";
import type { XtMatch } from "../../../model/xtables.ts";
import { MAYBE, NO, NEXT, YES } from "../program.ts";
import type { Effect, EvalState, Test } from "../program.ts";

type RecentMatch = Extract<XtMatch, { m: "recent" }>;
type Entry = RecentList["entries"][number];

/** The most ticks that a second has (CONFIG_HZ). */
const HZ_MAX = 1000;

export class RecentLists {
  private readonly byName = new Map<string, Map<Ip["key"], Entry>>();
  /** The clock, in jiffies, stood here or later when the lists were read. */
  readonly nowAtLeast: number;
  private readonly dir: string;

  /** `dir` is the namespace's folder, which keeps its lists apart from those of the same name elsewhere. */
  constructor(lists: readonly RecentList[], dir: string) {
    this.dir = dir;
    let latest = 0;
    for (const list of lists) {
      const entries = new Map<Ip["key"], Entry>();
      for (const e of list.entries) {
        entries.set(e.ip.key, e);
        latest = Math.max(latest, e.lastSeen);
      }
      this.byName.set(list.name, entries);
    }
    this.nowAtLeast = latest;
  }

  /** What Packet.touched has once a rule changed the list. */
  tag(name: string): string {
    return `recent ${this.dir} ${name}`;
  }

  /** The list's entries by address; undefined when it was not recorded. */
  get(name: string): ReadonlyMap<Ip["key"], Entry> | undefined {
    return this.byName.get(name);
  }
}

function addressOf(s: EvalState, m: RecentMatch): Ip {
  const ip = m.side === "src" ? s.pkt.src : s.pkt.dst;
  const mask = m.mask;
  if (mask === null) return ip;
  return ip.v === 4 ? ip4(ip.a & mask.a) : ip6(ip.a & mask.a, ip.b & mask.b, ip.c & mask.c, ip.d & mask.d);
}

/** recent_mt. Which jiffies it is now the snapshot does not say: an entry whose age matters may still count or not. */
export function recent(m: RecentMatch, lists: RecentLists): Test {
  const yes = m.not ? NO : YES;
  const no = m.not ? YES : NO;
  // `--set` makes the entry when there is none: it matches always.
  if (m.op === "set") return () => yes;
  const tag = lists.tag(m.name);
  return (s) => {
    const touched = s.pkt.touched;
    const list = lists.get(m.name);
    if (list === undefined || (touched !== null && touched.includes(tag))) {
      s.why =
        list === undefined
          ? `the recent list ${m.name} was not recorded`
          : `an earlier rule changed the recent list ${m.name} for this packet`;
      return MAYBE;
    }
    const entry = list.get(addressOf(s, m).key);
    if (entry === undefined || !ttlFits(s, m, entry)) return no;
    if (m.op === "remove") return yes;
    const needed = m.hitcount ?? 0;
    if (entry.stamps.length < needed) return no;
    // Without stamps the loop over them never finds a hit.
    if (entry.stamps.length === 0) return no;
    if (m.seconds === null || m.seconds === 0) return yes;
    const oldest = lists.nowAtLeast - m.seconds * HZ_MAX;
    let possible = 0;
    for (const stamp of entry.stamps) if (stamp >= oldest) possible++;
    if (possible < Math.max(1, needed)) return no;
    s.why = `whether ${m.name} saw the address within ${m.seconds} seconds can't be told`;
    return MAYBE;
  };
}

/** recent_entry_lookup with --rttl: the TTL as it was before this host forwarded the packet; 0 on either side fits all. */
function ttlFits(s: EvalState, m: RecentMatch, entry: Entry): boolean {
  if (!m.rttl) return true;
  const ttl = s.oif !== null && !s.pkt.locallyMade ? s.pkt.ttl + 1 : s.pkt.ttl;
  return entry.ttl === ttl || ttl === 0 || entry.ttl === 0;
}

/** What a rule that matched has done to its list: from here on the recording does not speak for this packet. */
export function touch(tag: string): Effect {
  return (s) => {
    const before = s.pkt.touched;
    if (before === null) s.pkt.touched = [tag];
    else if (!before.includes(tag)) s.pkt.touched = [...before, tag];
    return NEXT;
  };
}
