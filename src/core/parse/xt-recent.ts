/** /proc/net/xt_recent: the lists of iptables' `recent` match, each after a `== NAME` line. */
import { parseIp } from "../model/address.ts";
import type { RecentList } from "../model/namespace.ts";
import { ParseError } from "../model/source.ts";
import { decimal, forEachLine } from "./lines.ts";

/** net/netfilter/xt_recent.c, recent_seq_show: `oldest_pkt` is the index in the ring of stamps that follows. */
const ENTRY = /^src=([0-9a-f.:]+) ttl: (\d+) last_seen: (\d+) oldest_pkt: (\d+)(?: (\d+(?:, \d+)*))?$/;

/** Jiffies are unsigned 64-bit numbers; those of a machine that runs for less than 200,000 years are exact. */
const jiffies = (text: string): number => Number(text);

/**
 * Reads the lists; `file` is the path in the snapshot. A list without entries is a list.
 * Throws ParseError when a line is neither a header nor an entry.
 */
export function parseXtRecent(text: string, file: string): RecentList[] {
  const lists: RecentList[] = [];
  forEachLine(text, file, (line, number) => {
    const fail = (message: string): ParseError => new ParseError({ file, line: number }, message);
    if (line.startsWith("== ") && line.length > 3) {
      lists.push({ name: line.slice(3), entries: [] });
      return;
    }
    const list = lists.at(-1);
    if (list === undefined) throw fail('expected "== NAME"');
    const found = ENTRY.exec(line);
    const ip = found === null ? null : parseIp(found[1]!);
    const ttl = found === null ? null : decimal(found[2]!, 255);
    if (found === null || ip === null || ttl === null) throw fail("expected an entry of /proc/net/xt_recent");
    const stamps = found[5] === undefined ? [] : found[5].split(", ").map(jiffies);
    list.entries.push({ ip, ttl, lastSeen: jiffies(found[3]!), stamps, line: number });
  });
  return lists;
}
