/** Static routes: first those that make the world work, then some that do not. */
import {
  type Member,
  type Plan,
  type Segment,
  allAddresses,
  ip,
  prefixesOf,
  segmentPrefix,
  sysctl,
  vacant,
  wants,
} from "./plan.ts";

type Family = 4 | 6;

interface Hop {
  via: string;
  dev: string;
  ns: number;
}

const address = (m: Member, f: Family): string | null => (f === 4 ? m.v4 : m.v6);

/** Neighbours of a namespace: who is on a segment with it, by which addresses. */
function hops(plan: Plan, ns: number, f: Family): Hop[] {
  return plan.segments.flatMap((s) => {
    const own = s.members.find((m) => m.ns === ns && address(m, f) !== null);
    if (!own) return [];
    return s.members
      .filter((m) => m.ns !== ns && address(m, f) !== null)
      .map((m) => ({ via: address(m, f)!, dev: own.dev, ns: m.ns }));
  });
}

/** Next hops of shortest paths from every namespace to those in `goal`. */
function distances(plan: Plan, f: Family, goal: ReadonlySet<number>): Map<number, number> {
  const far = new Map<number, number>([...goal].map((n) => [n, 0]));
  for (let round = 1; round <= plan.namespaces.length; round++) {
    plan.namespaces.forEach((_, ns) => {
      if (!far.has(ns) && hops(plan, ns, f).some((h) => far.get(h.ns) === round - 1)) far.set(ns, round);
    });
  }
  return far;
}

/** Routes towards one prefix in every namespace that needs one. */
function towards(plan: Plan, f: Family, prefix: string, goal: ReadonlySet<number>): void {
  const { rng } = plan;
  const far = distances(plan, f, goal);
  plan.namespaces.forEach((_, ns) => {
    const d = far.get(ns);
    if (d === undefined || d === 0) return;
    const next = hops(plan, ns, f).filter((h) => far.get(h.ns) === d - 1);
    if (next.length === 0) return;
    if (wants(plan, "missing-route") && rng.chance(0.05)) return;
    const all = hops(plan, ns, f);
    const options = wants(plan, "route-option") && rng.chance(0.1) ? routeOption(plan, ns, f) : "";
    const wide = next.length > 1 ? next : wants(plan, "ecmp-any") && rng.chance(0.1) ? all : next;
    if (wide.length > 1 && wants(plan, "ecmp") && rng.chance(0.6)) {
      const legs = wide
        .slice(0, 3)
        .map((h) => `nexthop via ${h.via} dev ${h.dev}${rng.chance(0.4) ? ` weight ${rng.int(1, 3)}` : ""}`);
      ip(plan, ns, "route", `route add ${prefix}${options} ${legs.join(" ")}`, "ecmp");
    } else {
      const h = rng.pick(next);
      ip(plan, ns, "route", `route add ${prefix} via ${h.via} dev ${h.dev}${options}`, "route");
    }
  });
}

function routeOption(plan: Plan, ns: number, f: Family): string {
  const { rng } = plan;
  const own = plan.segments
    .flatMap((s) => s.members.filter((m) => m.ns === ns).map((m) => address(m, f)))
    .filter((a) => a !== null);
  const src = rng.maybe(own);
  return rng.pick([
    ` metric ${rng.int(1, 2000)}`,
    ` mtu ${rng.int(1280, 1480)}`,
    ...(src ? [` src ${src}`, ` src ${src}`] : []),
  ]);
}

/** All of it. */
export function routes(plan: Plan): void {
  const { rng } = plan;
  for (const f of [4, 6] as const) {
    for (const s of plan.segments) {
      const prefix = segmentPrefix(s, f);
      if (prefix === null || s.kind === "vxlan") continue;
      towards(plan, f, prefix, new Set(s.members.filter((m) => address(m, f) !== null).map((m) => m.ns)));
    }
    for (const e of plan.extras)
      if (e.family === f) towards(plan, f, f === 4 ? `${e.address}/32` : `${e.address}/128`, new Set([e.ns]));
  }
  plan.namespaces.forEach((_, ns) => {
    const forward = !(wants(plan, "forwarding-off") && rng.chance(0.08));
    sysctl(plan, ns, "net/ipv4/ip_forward", forward ? 1 : 0, "forwarding");
    sysctl(plan, ns, "net/ipv6/conf/all/forwarding", forward ? 1 : 0, "forwarding");
    for (const f of [4, 6] as const) {
      if (wants(plan, "default-route") && rng.chance(0.25)) {
        const h = rng.maybe(hops(plan, ns, f));
        if (h) ip(plan, ns, "route", `route add default via ${h.via} dev ${h.dev}`, "default-route");
      }
      if (wants(plan, "odd-route")) for (let i = 0; i < 2; i++) if (rng.chance(0.2)) oddRoute(plan, ns, f);
    }
    if (wants(plan, "ecmp") && rng.chance(0.3))
      sysctl(plan, ns, "net/ipv4/fib_multipath_hash_policy", rng.int(0, 1), "ecmp");
  });
}

/** One that disturbs: another type, more specific, another table, a wrong next hop. */
function oddRoute(plan: Plan, ns: number, f: Family): void {
  const { rng } = plan;
  const target = rng.maybe(allAddresses(plan, f));
  const prefix = rng.maybe(prefixesOf(plan, f));
  if (!target || !prefix) return;
  const host = f === 4 ? `${target}/32` : `${target}/128`;
  const type = rng.pick(["blackhole", "unreachable", "prohibit", "throw"]);
  const where = rng.pick([host, host, prefix, f === 4 ? "203.0.113.0/24" : "2001:db8::/32"]);
  const h = rng.maybe(hops(plan, ns, f));
  const seg = rng.maybe(
    plan.segments.filter((s: Segment) => s.members.some((m) => m.ns === ns) && vacant(s, f) !== null),
  );
  const choices = [`${type} ${where}`, `${type} ${where} metric ${rng.int(1, 5000)}`];
  if (h) {
    choices.push(`${host} via ${h.via} dev ${h.dev}`, `${where} via ${h.via} dev ${h.dev} metric ${rng.int(1, 5000)}`);
    if (f === 4)
      choices.push(
        `${host} dev ${h.dev} scope link`,
        `${host} via ${h.via} dev ${h.dev} onlink`,
        `${where} tos ${rng.pick(["0x10", "0x08"])} via ${h.via} dev ${h.dev}`,
        `local ${host} dev lo`,
        `local 198.51.100.0/24 dev lo`,
      );
    else choices.push(`${host} dev ${h.dev}`, `local ${host} dev lo`, `local 2001:db8:9::/48 dev lo`);
  }
  if (seg) choices.push(`${host} via ${vacant(seg, f)}`);
  ip(plan, ns, "route", `route replace ${rng.pick(choices)}`, "odd-route");
}
