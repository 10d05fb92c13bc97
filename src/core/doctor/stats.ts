/** Counters of nstat (`stats.txt`) and `conntrack -S` (`conntrack-stats.txt`) of one namespace. */
import type { Namespace } from "../model/namespace.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Source } from "../model/source.ts";

export interface Counter {
  value: number;
  source: Source;
}

/** A counter of nstat by its name, `UdpRcvbufErrors`; null when it was not recorded. */
export function nstat(snapshot: Snapshot, ns: Namespace, name: string): Counter | null {
  const file = `${ns.dir}/stats.txt`;
  const text = snapshot.text(file);
  const at = text === undefined ? -1 : `\n${text}`.indexOf(`\n${name} `);
  if (text === undefined || at < 0) return null;
  const value = Number(/^\S+\s+(\d+)/.exec(text.slice(at))?.[1]);
  return Number.isFinite(value) ? { value, source: { file, line: text.slice(0, at).split("\n").length } } : null;
}

/** A counter of `conntrack -S` summed over processors, with the line where it is largest; null when it was not recorded. */
export function conntrackStat(snapshot: Snapshot, ns: Namespace, name: string): Counter | null {
  const file = `${ns.dir}/conntrack-stats.txt`;
  const text = snapshot.text(file);
  if (text === undefined) return null;
  let sum: number | null = null;
  let most = -1;
  let line = 1;
  text.split("\n").forEach((row, i) => {
    const found = new RegExp(`\\b${name}=(\\d+)`).exec(row);
    if (found === null) return;
    const value = Number(found[1]);
    sum = (sum ?? 0) + value;
    if (value > most) [most, line] = [value, i + 1];
  });
  return sum === null ? null : { value: sum, source: { file, line } };
}
