/** Policy rules (`ip rule`) and the tables that they lead to. */
import { type Plan, addressesOf, allAddresses, devicesOf, ip, prefixesOf, segmentPrefix, wants } from "./plan.ts";

export const MARKS = [0x1, 0x2, 0x10, 0x4000, 0x8000, 0x10001];

/** Adds rules to some namespaces. */
export function policy(plan: Plan): void {
  const { rng } = plan;
  plan.marks.push(...MARKS);
  if (!wants(plan, "policy")) return;
  plan.namespaces.forEach((_, ns) => {
    for (const f of [4, 6] as const) {
      if (!rng.chance(0.25)) continue;
      for (let i = rng.int(1, 3); i > 0; i--) rule(plan, ns, f);
    }
  });
}

function rule(plan: Plan, ns: number, f: 4 | 6): void {
  const { rng } = plan;
  const words: string[] = rng.chance(0.12) ? ["not"] : [];
  const all = allAddresses(plan, f);
  const own = addressesOf(plan, ns, f);
  const dev = rng.maybe(devicesOf(plan, ns))?.dev;
  const prefix = (): string | undefined => (rng.chance(0.4) ? rng.maybe(prefixesOf(plan, f)) : rng.maybe(all));
  const selectors: [number, () => string | undefined][] = [
    [4, () => (rng.chance(0.3) && own.length > 0 ? `from ${rng.pick(own)}` : opt("from", prefix()))],
    [4, () => opt("to", prefix())],
    [2, () => opt("iif", rng.chance(0.15) ? "lo" : dev)],
    [0.7, () => opt("oif", dev)],
    [
      3,
      () =>
        `fwmark ${rng.pick(plan.marks)}${rng.chance(0.5) ? `/${rng.pick(["0x1", "0xff", "0xc000", "0xffff"])}` : ""}`,
    ],
    [0.7, () => `tos ${rng.pick(["0x10", "0x08"])}`],
    [1.5, () => `ipproto ${rng.pick(["tcp", "udp", f === 4 ? "icmp" : "ipv6-icmp"])}`],
    [0.8, () => `ipproto ${rng.pick(["tcp", "udp"])} dport ${rng.pick(["80", "8080", "53", "1-1024", "8000-9000"])}`],
    [0.6, () => `ipproto ${rng.pick(["tcp", "udp"])} sport ${rng.pick(["80", "8080", "20000-40000", "1024-65535"])}`],
    [0.3, () => "uidrange 0-0"],
  ];
  const chosen = new Set<string>();
  for (let i = rng.int(1, 2); i > 0; i--) {
    const s = rng.weighted(selectors)();
    const key = s?.split(" ")[0];
    if (s && key && !chosen.has(key)) {
      chosen.add(key);
      words.push(s);
    }
  }
  if (chosen.size === 0) return;
  const pref = rng.int(1, 300) * 100;
  const action = rng.weighted([
    [6, "table"],
    [1.2, "main"],
    [0.6, "suppress"],
    [0.5, "goto"],
    [0.5, "blackhole"],
    [0.5, "unreachable"],
    [0.5, "prohibit"],
  ] as const);
  const base = `rule add pref ${pref} ${words.join(" ")}`;
  const table = rng.int(100, 103);
  if (action === "table") {
    ip(plan, ns, "route", `${base} table ${table}`, "policy");
    for (let i = rng.int(0, 2); i >= 0; i--) tableRoute(plan, ns, f, table);
  } else if (action === "main")
    ip(plan, ns, "route", `${base} table ${rng.pick(["main", "main", "local", "default"])}`, "policy");
  else if (action === "suppress")
    ip(plan, ns, "route", `${base} table main suppress_prefixlength ${rng.pick([0, 0, 8, 16, 24, 64])}`, "policy");
  else if (action === "goto") {
    const to = pref + rng.int(1, 50);
    ip(plan, ns, "route", `rule add pref ${to} table ${table}`, "policy");
    ip(plan, ns, "route", `${base} goto ${rng.pick([to, 32766])}`, "policy");
    tableRoute(plan, ns, f, table);
  } else ip(plan, ns, "route", `${base} ${action}`, "policy");
}

const opt = (word: string, value: string | undefined): string | undefined =>
  value === undefined ? undefined : `${word} ${value}`;

function tableRoute(plan: Plan, ns: number, f: 4 | 6, table: number): void {
  const { rng } = plan;
  const reach = plan.segments.flatMap((s) => {
    const own = s.members.find((m) => m.ns === ns);
    if (!own || segmentPrefix(s, f) === null) return [];
    return s.members
      .filter((m) => m.ns !== ns)
      .flatMap((m) => ((f === 4 ? m.v4 : m.v6) === null ? [] : [{ via: f === 4 ? m.v4 : m.v6, dev: own.dev }]));
  });
  const h = rng.maybe(reach);
  const where = rng.pick([
    "default",
    "default",
    rng.maybe(prefixesOf(plan, f)) ?? "default",
    rng.maybe(allAddresses(plan, f)) ?? "default",
  ]);
  const kinds = [`${rng.pick(["blackhole", "unreachable", "prohibit", "throw"])} ${where}`];
  if (h)
    kinds.push(
      `${where} via ${h.via} dev ${h.dev}`,
      `${where} via ${h.via} dev ${h.dev}`,
      `${where} via ${h.via} dev ${h.dev}`,
      `${where} dev ${h.dev}`,
    );
  ip(plan, ns, "route", `route replace ${rng.pick(kinds)} table ${table}`, "policy");
}
