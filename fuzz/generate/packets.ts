/** Packets to send: mostly to addresses that somebody has, some to none, all protocols, some with mark, TTL or size. */
import type { Probe } from "../world.ts";
import { type Plan, allAddresses, vacant, wants } from "./plan.ts";

/** Destination ports that servers, rules and packets share. */
export const PORTS = [80, 8080, 53, 443];

/** `n` probes with source ports that differ, so that no two share a connection. */
export function packets(plan: Plan, n: number): Probe[] {
  const { rng } = plan;
  const used = new Set<string>();
  const sized = new Set<string>();
  const out: Probe[] = [];
  while (out.length < n) {
    const family = rng.chance(0.68) ? 4 : 6;
    const ns = rng.int(0, plan.namespaces.length - 1);
    const to = destination(plan, family);
    const proto = rng.weighted([
      [5, "tcp"],
      [4, "udp"],
      [2, "icmp"],
    ] as const);
    const sport = rng.chance(0.05) ? rng.int(600, 1023) : rng.int(20000, 59999);
    const key = `${proto}/${sport}`;
    if (used.has(key)) continue;
    used.add(key);
    const p: Probe = { ns, proto, family, to, sport };
    if (proto !== "icmp")
      p.port = rng.weighted([
        [5, rng.pick(PORTS)],
        [1, rng.pick([81, 7777, 22])],
      ]);
    if (wants(plan, "p-mark") && rng.chance(0.12)) p.mark = rng.pick(plan.marks);
    if (wants(plan, "p-ttl") && rng.chance(0.06)) p.ttl = rng.int(1, 4);
    // A packet too big leaves a route exception behind that changes the fate of the next: one per destination.
    if (wants(plan, "p-size") && proto !== "tcp" && rng.chance(0.12) && !sized.has(`${ns} ${to}`)) {
      sized.add(`${ns} ${to}`);
      p.size = rng.pick([100, 500, 1281, 1400, 1450, 1451, 1492, 1500, 1501, 2000]);
    }
    out.push(p);
  }
  return out;
}

function destination(plan: Plan, family: 4 | 6): string {
  const { rng } = plan;
  const all = allAddresses(plan, family);
  const loop = family === 4 ? "127.0.0.1" : "::1";
  const free = rng.maybe(plan.segments.map((s) => vacant(s, family)).filter((a) => a !== null));
  const broadcast =
    family === 4
      ? rng.maybe(plan.segments.flatMap((s) => (s.v4 ? [`${s.v4.base}.${s.v4.len === 24 ? 255 : 0}`] : [])))
      : undefined;
  return rng.weighted([
    [14, rng.maybe(all) ?? loop],
    [1, free ?? loop],
    [0.5, loop],
    [1, family === 4 ? "198.51.100.7" : "2001:db8:9::7"],
    [0.5, family === 4 ? "203.0.113.9" : "2001:db8::9"],
    [wants(plan, "p-odd") ? 0.2 : 0, broadcast ?? loop],
    [
      wants(plan, "p-odd") ? 0.2 : 0,
      family === 4 ? rng.pick(["127.0.0.5", "0.0.0.0", "240.0.0.1", "255.255.255.255"]) : "::",
    ],
  ]);
}
