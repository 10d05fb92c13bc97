/** Priorities of base chains by name, as nft prints them. */
import type { NftFamily } from "../../model/nftables.ts";

type Named = readonly [name: string, priority: number, hooks: readonly string[] | null];

/** Names with the hooks that they are known at; null for every hook (src/rule.c: std_prios, std_prio_family_hook_compat). */
const IP: readonly Named[] = [
  ["raw", -300, null],
  ["mangle", -150, null],
  ["dstnat", -100, ["prerouting"]],
  ["filter", 0, null],
  ["security", 50, null],
  ["srcnat", 100, ["postrouting"]],
];
const BRIDGE: readonly Named[] = [
  ["dstnat", -300, ["prerouting"]],
  ["filter", -200, null],
  ["out", 100, ["output"]],
  ["srcnat", 300, ["postrouting"]],
];
const OTHERS: readonly Named[] = [["filter", 0, null]];

/** How far from a name a priority may be to be written by it. */
const REACH = 10;

/** `filter`, `dstnat - 10`, or the number: names stand for priorities up to 10 away, at hooks where nft knows them. */
export function priorityText(priority: number, family: NftFamily, hook: string): string {
  const names = family === "bridge" ? BRIDGE : family === "arp" || family === "netdev" ? OTHERS : IP;
  const near = names.find(([, value]) => Math.abs(priority - value) <= REACH);
  if (near === undefined) return String(priority);
  const [name, value, hooks] = near;
  if (hooks !== null && !hooks.includes(hook)) return String(priority);
  const offset = priority - value;
  if (offset === 0) return name;
  return `${name} ${offset > 0 ? "+" : "-"} ${Math.abs(offset)}`;
}
