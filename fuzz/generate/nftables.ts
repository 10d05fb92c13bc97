/** nft rulesets: tables of three families, base chains at several priorities, sets, maps, verdict maps. */
import type { Rng } from "../rng.ts";
import type { RuleItem } from "../world.ts";
import { PORTS } from "./packets.ts";
import { type Plan, addressesOf, allAddresses, devicesOf, prefixesOf, wants } from "./plan.ts";

type Hook = "prerouting" | "input" | "forward" | "output" | "postrouting";
type Family = "ip" | "ip6" | "inet";

interface Place {
  plan: Plan;
  ns: number;
  family: Family;
  table: string;
  type: "filter" | "nat" | "route";
  hook: Hook;
  priority: number;
  /** Address family that its address matches speak of: one of the table's. */
  f: 4 | 6;
  sets: NamedSet[];
}

interface NamedSet {
  name: string;
  key: "addr" | "port" | "addr-port" | "mark" | "ifname";
  f: 4 | 6;
  value: null | "verdict" | "mark" | "addr";
}

/** Adds one nft table to a ruleset. */
export function nftables(plan: Plan, items: RuleItem[], ns: number, name: string): void {
  const { rng } = plan;
  const family = rng.weighted([
    [4, "inet"],
    [3, "ip"],
    [2, "ip6"],
  ] as const);
  const add = (text: string, feature: string): void => void items.push({ kind: "nft", ns, text, feature });
  add(`add table ${family} ${name}`, "nft");
  const base: Omit<Place, "type" | "hook" | "priority"> = {
    plan,
    ns,
    family,
    table: name,
    f: family === "ip6" ? 6 : family === "ip" ? 4 : rng.pick([4, 4, 6] as const),
    sets: [],
  };
  const users = wants(plan, "nft-chain") ? rng.int(0, 2) : 0;
  const userNames = Array.from({ length: users }, (_, i) => `u${i}`);
  const chains: Place[] = [];
  for (let i = rng.int(1, 3); i > 0; i--) chains.push({ ...base, ...kind(rng) });
  // Users' chains serve filter chains only: they hold no nat statements.
  const user: Place = { ...base, type: "filter", hook: "input", priority: 0 };
  for (const u of userNames) add(`add chain ${family} ${name} ${u}`, "nft-chain");
  if (wants(plan, "nft-set")) for (let i = rng.int(0, 3); i > 0; i--) namedSet(base, add, userNames);
  chains.forEach((c, i) => {
    const policy = c.type === "filter" && rng.chance(0.06) ? "drop" : "accept";
    add(
      `add chain ${family} ${name} c${i} { type ${c.type} hook ${c.hook} priority ${c.priority}; policy ${policy}; }`,
      "nft",
    );
  });
  userNames.forEach((u, i) => {
    for (let k = rng.int(1, 3); k > 0; k--) rule(user, add, u, userNames.slice(i + 1));
  });
  chains.forEach((c, i) => {
    for (let k = rng.int(1, 5); k > 0; k--) rule(c, add, `c${i}`, userNames);
  });
}

function kind(r: Rng): Pick<Place, "type" | "hook" | "priority"> {
  const type = r.weighted([
    [6, "filter"],
    [4, "nat"],
    [1, "route"],
  ] as const);
  if (type === "route") return { type, hook: "output", priority: r.pick([-150, -10, 5]) };
  if (type === "nat") {
    const hook = r.pick(["prerouting", "output", "postrouting", "prerouting", "postrouting", "input"] as const);
    return {
      type,
      hook,
      priority: hook === "prerouting" || hook === "output" ? r.pick([-100, -110, -50]) : r.pick([100, 90, 110]),
    };
  }
  return {
    type,
    hook: r.pick(["prerouting", "input", "forward", "output", "postrouting"] as const),
    priority: r.pick([-310, -290, -250, -160, -120, -20, 1, 10, 20, 120]),
  };
}

const addrType = (f: 4 | 6): string => (f === 4 ? "ipv4_addr" : "ipv6_addr");

function namedSet(
  base: Omit<Place, "type" | "hook" | "priority">,
  add: (t: string, f: string) => void,
  users: readonly string[],
): void {
  const { rng } = base.plan;
  const key = rng.weighted([
    [4, "addr"],
    [3, "port"],
    [3, "addr-port"],
    [1, "mark"],
    [1, "ifname"],
  ] as const);
  const value = rng.weighted([
    [4, null],
    [3, "verdict"],
    [1, "mark"],
    [1, "addr"],
  ] as const);
  const name = `n${base.sets.length}`;
  const interval = (key === "addr" || key === "port") && rng.chance(0.5);
  const keyType = {
    addr: addrType(base.f),
    port: "inet_service",
    "addr-port": `${addrType(base.f)} . inet_proto . inet_service`,
    mark: "mark",
    ifname: "ifname",
  }[key];
  const valueType = value === null ? "" : ` : ${value === "addr" ? addrType(base.f) : value}`;
  const elements = new Map<string, string>();
  for (let i = rng.int(1, 4); i > 0; i--) {
    const k = element(base, key, interval);
    if (k !== null) elements.set(k, value === null ? k : `${k} : ${mapValue(base, value, users)}`);
  }
  const flags = interval ? " flags interval; auto-merge;" : "";
  const autoMerge = value === null ? flags : flags.replace(" auto-merge;", "");
  if (elements.size === 0) return;
  if (interval && value !== null && elements.size > 1)
    for (const k of [...elements.keys()].slice(1)) elements.delete(k);
  add(
    `add ${value === null ? "set" : "map"} ${base.family} ${base.table} ${name} { type ${keyType}${valueType};${autoMerge} elements = { ${[...elements.values()].join(", ")} } }`,
    "nft-set",
  );
  base.sets.push({ name, key, f: base.f, value });
}

function element(p: Omit<Place, "type" | "hook" | "priority">, key: NamedSet["key"], interval: boolean): string | null {
  const { rng } = p.plan;
  const ip = rng.maybe(allAddresses(p.plan, p.f));
  switch (key) {
    case "addr":
      if (interval) return rng.maybe([...prefixesOf(p.plan, p.f), ...(ip ? [`${ip}-${last(ip)}`] : [])]) ?? null;
      return ip ?? null;
    case "port":
      return interval ? rng.pick(["1-100", "8000-8999", "53", "443-500"]) : String(rng.pick(PORTS));
    case "addr-port":
      return ip ? `${ip} . ${rng.pick(["tcp", "udp"])} . ${rng.pick(PORTS)}` : null;
    case "mark":
      return String(rng.pick(p.plan.marks));
    case "ifname":
      return `"${rng.maybe(devicesOf(p.plan, p.ns))?.dev ?? "lo"}"`;
  }
}

const last = (ip: string): string => (ip.includes(":") ? ip.replace(/[0-9a-f]*$/, "ffff") : ip.replace(/\d+$/, "255"));

function mapValue(
  p: Omit<Place, "type" | "hook" | "priority">,
  value: "verdict" | "mark" | "addr",
  users: readonly string[],
): string {
  const { rng } = p.plan;
  if (value === "mark") return String(rng.pick(p.plan.marks));
  if (value === "addr") return rng.maybe(allAddresses(p.plan, p.f)) ?? (p.f === 4 ? "10.1.0.1" : "fd00:1::1");
  return rng.pick([
    "accept",
    "drop",
    "continue",
    ...(users.length > 0 ? [`jump ${rng.pick(users)}`, `goto ${rng.pick(users)}`] : []),
  ]);
}

function rule(p: Place, add: (t: string, f: string) => void, chain: string, users: readonly string[]): void {
  const r = p.plan.rng;
  const words: string[] = [];
  for (
    let n = r.weighted([
      [2, 0],
      [5, 1],
      [3, 2],
      [1, 3],
    ] as const);
    n > 0;
    n--
  ) {
    const allowed = MATCHES.filter(([, f]) => wants(p.plan, `nm-${f}`));
    if (allowed.length === 0) break;
    const text = r.weighted(allowed.map(([w, , m]) => [w, m] as const))(p, r);
    if (text) words.push(text);
  }
  if (r.chance(0.2)) words.push("counter");
  const allowed = STATEMENTS.filter(([, f]) => wants(p.plan, `n-${f}`));
  for (let i = 0; i < 6 && allowed.length > 0; i++) {
    const [f, make] = r.weighted(allowed.map(([w, g, m]) => [w, [g, m] as const] as const));
    const text = make(p, r, users, words);
    if (text === null) continue;
    add(`add rule ${p.family} ${p.table} ${chain} ${[...words, text].filter((w) => w !== "").join(" ")}`, `n-${f}`);
    return;
  }
}

type Match = (p: Place, r: Rng) => string | null;

const not = (r: Rng): string => (r.chance(0.15) ? "!= " : "");
const word = (p: Place): string => (p.f === 4 ? "ip" : "ip6");

function addr(p: Place, r: Rng): string {
  const wide = p.f === 4 ? "10.0.0.0/8" : "fd00::/16";
  const ip = r.maybe(allAddresses(p.plan, p.f)) ?? wide;
  const s = r.maybe(p.sets.filter((x) => x.key === "addr" && x.value === null && x.f === p.f));
  return r.weighted([
    [5, `${not(r)}${ip}`],
    [3, `${not(r)}${r.maybe(prefixesOf(p.plan, p.f)) ?? wide}`],
    [1, `${not(r)}${wide}`],
    [1.5, ip.includes("/") ? ip : `{ ${[...new Set([ip, r.maybe(allAddresses(p.plan, p.f)) ?? ip])].join(", ")} }`],
    [1, ip.includes("/") ? ip : `${ip}-${last(ip)}`],
    [s ? 3 : 0, s ? `${not(r)}@${s.name}` : ip],
  ]);
}

function port(p: Place, r: Rng): string {
  const s = r.maybe(p.sets.filter((x) => x.key === "port" && x.value === null));
  return r.weighted([
    [4, `${not(r)}${r.pick(PORTS)}`],
    [2, "{ 53, 80, 8080 }"],
    [2, `${not(r)}1-1023`],
    [1, "{ 1-100, 8000-8999 }"],
    [0.5, "> 100"],
    [s ? 3 : 0, s ? `${not(r)}@${s.name}` : "80"],
  ]);
}

const inside = (p: Place): boolean => p.hook !== "output" && p.hook !== "postrouting";
const outside = (p: Place): boolean => p.hook !== "prerouting" && p.hook !== "input";
const dev = (p: Place, r: Rng): string =>
  r.weighted([
    [6, `"${r.maybe(devicesOf(p.plan, p.ns))?.dev ?? "lo"}"`],
    [1, `"lo"`],
    [1, `"eth*"`],
    [0.5, `{ "eth0", "eth1", "br0" }`],
  ]);

const MATCHES: readonly (readonly [number, string, Match])[] = [
  [5, "saddr", (p, r) => `${word(p)} saddr ${addr(p, r)}`],
  [5, "daddr", (p, r) => `${word(p)} daddr ${addr(p, r)}`],
  [4, "dport", (p, r) => `${r.pick(["tcp", "udp", "th"])} dport ${port(p, r)}`],
  [1, "sport", (_, r) => `${r.pick(["tcp", "udp"])} sport ${not(r)}${r.pick(["1024-65535", "30000-40000", "80"])}`],
  [2, "l4proto", (_, r) => `meta l4proto ${not(r)}${r.pick(["tcp", "udp", "icmp", "ipv6-icmp", "{ tcp, udp }"])}`],
  [1, "nfproto", (p, r) => (p.family === "inet" ? `meta nfproto ${r.pick(["ipv4", "ipv6"])}` : null)],
  [
    2,
    "iifname",
    (p, r) => (inside(p) || p.hook === "forward" ? `iifname ${not(r)}${dev(p, r)}`.replace("!= {", "{") : null),
  ],
  [2, "oifname", (p, r) => (outside(p) ? `oifname ${not(r)}${dev(p, r)}`.replace("!= {", "{") : null)],
  [
    2,
    "mark",
    (p, r) =>
      r.pick([
        `meta mark ${not(r)}${r.pick(p.plan.marks)}`,
        `meta mark & 0xff == ${r.pick(["0x1", "0x10", "0x0"])}`,
        `meta mark and 0x4000 == 0x4000`,
      ]),
  ],
  [1, "ct-mark", (p, r) => `ct mark ${not(r)}${r.pick(p.plan.marks)}`],
  [
    4,
    "ct-state",
    (_, r) =>
      `ct state ${r.pick(["new", "established", "invalid", "untracked", "established,related", "!= new", "{ new, untracked }"])}`,
  ],
  [1, "ct-status", (_, r) => `ct status ${r.pick(["dnat", "snat", "seen-reply", "confirmed"])}`],
  [1, "ct-direction", (_, r) => `ct direction ${r.pick(["original", "reply"])}`],
  [
    0.8,
    "ct-tuple",
    (p, r) =>
      `ct ${r.pick(["original", "reply"])} ${word(p)} ${r.pick(["saddr", "daddr"])} ${r.maybe(allAddresses(p.plan, p.f)) ?? (p.f === 4 ? "10.0.0.0/8" : "fd00::/16")}`,
  ],
  [0.6, "ct-port", (_, r) => `meta l4proto ${r.pick(["tcp", "udp"])} ct original proto-dst ${r.pick(PORTS)}`],
  [
    2,
    "fib-type",
    (p, r) =>
      p.type === "nat" || p.hook === "prerouting" || p.hook === "input" || p.hook === "forward" || p.hook === "output"
        ? fibType(p, r)
        : null,
  ],
  [
    1,
    "fib-oif",
    (p, r) =>
      p.hook === "prerouting" || p.hook === "input" || p.hook === "forward"
        ? `fib saddr${r.pick(["", " . iif", " . mark . iif"])} oif ${r.pick(["missing", "exists"])}`
        : null,
  ],
  [
    1,
    "icmp",
    (p, r) =>
      p.f === 4
        ? `icmp type ${r.pick(["echo-request", "echo-reply", "destination-unreachable"])}`
        : `icmpv6 type ${r.pick(["echo-request", "echo-reply", "nd-neighbor-solicit", "destination-unreachable"])}`,
  ],
  [
    0.7,
    "tcp-flags",
    (_, r) => r.pick(["tcp flags syn", "tcp flags & (syn|ack) == syn", "tcp flags & (fin|syn|rst|ack) == (syn|ack)"]),
  ],
  [
    0.6,
    "ttl",
    (p, r) =>
      p.f === 4 ? `ip ttl ${r.pick(["64", "63", "< 64", "> 5"])}` : `ip6 hoplimit ${r.pick(["64", "63", "< 64"])}`,
  ],
  [0.5, "length", (_, r) => `meta length ${r.pick(["< 100", "> 200", "60", "1000-65535"])}`],
  [0.5, "dscp", (p, r) => `${word(p)} dscp ${r.pick(["cs0", "cs1", "!= ef"])}`],
  [0.5, "skuid", (p) => (p.hook === "output" || p.hook === "postrouting" ? "meta skuid 0" : null)],
  [
    0.5,
    "pkttype",
    (p, r) => (p.hook === "output" ? null : `meta pkttype ${r.pick(["unicast", "host", "broadcast", "other"])}`),
  ],
  [1.5, "concat", (p, r) => concat(p, r)],
  [1, "numgen", (_, r) => `numgen random mod ${r.int(2, 4)} ${r.pick(["0", "1", "< 1"])}`],
  [0.5, "jhash", (p, r) => `jhash ${word(p)} saddr . th sport mod 2 ${r.int(0, 1)}`],
  [
    0.4,
    "rt",
    (p, r) =>
      outside(p) && p.family !== "inet" ? `rt ${word(p)} nexthop ${r.maybe(allAddresses(p.plan, p.f)) ?? "0"}` : null,
  ],
  [0.4, "socket", (p) => (p.hook === "prerouting" || p.hook === "input" ? "socket wildcard 1" : null)],
  [0.3, "ether", (p, r) => (inside(p) ? `ether saddr 02:00:00:00:0${r.int(1, 5)}:0${r.int(1, 8)}` : null)],
];

function fibType(p: Place, r: Rng): string {
  const dir = r.chance(0.8) ? "daddr" : "saddr";
  const iif = (p.hook === "prerouting" || p.hook === "input" || p.hook === "forward") && r.chance(0.2) ? " . iif" : "";
  return `fib ${dir}${iif} type ${not(r)}${r.pick(["local", "local", "unicast", "broadcast", "multicast"])}`;
}

function concat(p: Place, r: Rng): string | null {
  const ip = r.maybe(allAddresses(p.plan, p.f));
  const s = r.maybe(p.sets.filter((x) => x.key === "addr-port" && x.value === null && x.f === p.f));
  if (s && r.chance(0.7)) return `${word(p)} daddr . meta l4proto . th dport ${not(r)}@${s.name}`;
  if (!ip) return null;
  return `${word(p)} daddr . ${r.pick(["tcp", "udp"])} dport { ${ip} . ${r.pick(PORTS)}, ${ip} . 8000-9000 }`;
}

type Statement = (p: Place, r: Rng, users: readonly string[], words: string[]) => string | null;

const STATEMENTS: readonly (readonly [number, string, Statement])[] = [
  [4, "accept", () => "accept"],
  [2.5, "drop", (p) => (p.type === "nat" ? null : "drop")],
  [1, "none", (_, _r, _u, words) => (words.length > 0 ? "" : null)],
  [
    4,
    "jump",
    (p, r, users) =>
      users.length > 0 && p.type !== "nat" ? `${r.chance(0.75) ? "jump" : "goto"} ${r.pick(users)}` : null,
  ],
  [0.7, "return", () => "return"],
  [2, "reject", (p, r) => reject(p, r)],
  [
    3,
    "mark",
    (p, r) =>
      r.pick([
        `meta mark set ${r.pick(p.plan.marks)}`,
        `meta mark set meta mark or ${r.pick(p.plan.marks)}`,
        `meta mark set meta mark and 0xff`,
        `meta mark set ct mark`,
        `meta mark set numgen random mod 3`,
      ]),
  ],
  [
    1.5,
    "ct-mark",
    (p, r) => (p.priority > -200 ? r.pick([`ct mark set ${r.pick(p.plan.marks)}`, "ct mark set meta mark"]) : null),
  ],
  [6, "dnat", (p, r) => dnat(p, r)],
  [3, "snat", (p, r) => snat(p, r)],
  [
    3,
    "masquerade",
    (p, r) =>
      p.type === "nat" && p.hook === "postrouting"
        ? `masquerade${r.pick(["", "", " random", " fully-random", " persistent"])}`
        : null,
  ],
  [
    2,
    "redirect",
    (p, r) =>
      p.type === "nat" && (p.hook === "prerouting" || p.hook === "output")
        ? r.chance(0.3)
          ? "redirect"
          : `${r.pick(["tcp", "udp"])} dport ${r.pick(["80", "8080", "53", "443", "1-65535"])} redirect to :${r.pick(PORTS)}`
        : null,
  ],
  [
    1.5,
    "notrack",
    (p) =>
      p.type === "filter" && (p.hook === "prerouting" || p.hook === "output") && p.priority < -200 ? "notrack" : null,
  ],
  [
    0.6,
    "ct-zone",
    (p, r) =>
      p.type === "filter" && (p.hook === "prerouting" || p.hook === "output") && p.priority < -200
        ? `ct ${r.pick(["", "", "original ", "reply "])}zone set ${r.int(1, 3)}`
        : null,
  ],
  [
    0.8,
    "ttl",
    (p, r) =>
      p.type === "nat"
        ? null
        : p.f === 4
          ? `ip ttl set ${r.pick([64, 2, 1])}`
          : `ip6 hoplimit set ${r.pick([64, 2, 1])}`,
  ],
  [0.5, "dscp", (p, r) => (p.type === "nat" ? null : `${word(p)} dscp set ${r.pick(["cs1", "ef"])}`)],
  [
    1,
    "payload",
    (p, r) =>
      p.type === "filter" && p.hook === "output" && r.chance(0.3)
        ? `${word(p)} daddr set ${r.maybe(allAddresses(p.plan, p.f)) ?? "10.1.0.1"}`.replace(
            "10.1.0.1",
            p.f === 4 ? "10.1.0.1" : "fd00:1::1",
          )
        : null,
  ],
  [2.5, "vmap", (p, r, users) => vmap(p, r, users)],
  [1, "map", (p, r) => map(p, r)],
];

function reject(p: Place, r: Rng): string | null {
  if (
    p.type !== "filter" ||
    !(p.hook === "input" || p.hook === "forward" || p.hook === "output" || p.hook === "prerouting")
  )
    return null;
  if (r.chance(0.25)) return "meta l4proto tcp reject with tcp reset";
  if (p.family === "inet" && r.chance(0.5))
    return `reject with icmpx type ${r.pick(["no-route", "port-unreachable", "host-unreachable", "admin-prohibited"])}`;
  if (p.f === 4)
    return `reject with icmp type ${r.pick(["net-unreachable", "host-unreachable", "prot-unreachable", "port-unreachable", "net-prohibited", "host-prohibited", "admin-prohibited"])}`;
  return `reject with icmpv6 type ${r.pick(["no-route", "admin-prohibited", "addr-unreachable", "port-unreachable"])}`;
}

function natTo(p: Place, a: string, rest: string): string {
  return `${p.family === "inet" ? `${word(p)} ` : ""}to ${rest !== "" && p.f === 6 ? `[${a}]` : a}${rest}`;
}

function dnat(p: Place, r: Rng): string | null {
  if (p.type !== "nat" || (p.hook !== "prerouting" && p.hook !== "output")) return null;
  const all = allAddresses(p.plan, p.f);
  const a = r.maybe(all);
  if (!a) return null;
  if (r.chance(0.2)) {
    const b = r.pick(all);
    return `dnat ${natTo(p, `${r.pick(["numgen random", "numgen inc"])} mod 2 map { 0 : ${a}, 1 : ${b} }`, "")}`;
  }
  if (r.chance(0.5))
    return `${r.pick(["tcp", "udp"])} dport ${r.pick(["80", "8080", "53", "443", "1-65535"])} dnat ${natTo(p, a, `:${r.pick(PORTS)}`)}`;
  return `dnat ${natTo(p, a, "")}`;
}

function snat(p: Place, r: Rng): string | null {
  if (p.type !== "nat" || (p.hook !== "postrouting" && p.hook !== "input")) return null;
  const a = r.maybe(r.chance(0.8) ? addressesOf(p.plan, p.ns, p.f) : allAddresses(p.plan, p.f));
  return a ? `snat ${natTo(p, a, "")}${r.pick(["", "", "", " random", " persistent"])}` : null;
}

function vmap(p: Place, r: Rng, users: readonly string[]): string | null {
  if (p.type === "nat") return null;
  const verdict = (): string =>
    r.pick([
      "accept",
      "drop",
      "continue",
      "return",
      ...(users.length > 0 ? [`jump ${r.pick(users)}`, `goto ${r.pick(users)}`] : []),
    ]);
  const named = r.maybe(p.sets.filter((s) => s.value === "verdict" && s.f === p.f));
  if (named && r.chance(0.7)) {
    switch (named.key) {
      case "addr":
        return `${word(p)} ${r.pick(["saddr", "daddr"])} vmap @${named.name}`;
      case "port":
        return `${r.pick(["tcp", "udp", "th"])} dport vmap @${named.name}`;
      case "addr-port":
        return `${word(p)} daddr . meta l4proto . th dport vmap @${named.name}`;
      case "mark":
        return `meta mark vmap @${named.name}`;
      case "ifname":
        return inside(p) ? `iifname vmap @${named.name}` : null;
    }
  }
  return r.pick([
    `${r.pick(["tcp", "udp"])} dport vmap { 80 : ${verdict()}, 53 : ${verdict()}, 8000-9000 : ${verdict()} }`,
    `ct state vmap { new : ${verdict()}, established : ${verdict()} }`,
    `meta l4proto vmap { tcp : ${verdict()}, udp : ${verdict()} }`,
    `numgen random mod 2 vmap { 0 : ${verdict()}, 1 : ${verdict()} }`,
  ]);
}

function map(p: Place, r: Rng): string | null {
  const named = r.maybe(
    p.sets.filter((s) => s.value === "mark" && s.f === p.f && (s.key === "addr" || s.key === "port")),
  );
  if (named) return `meta mark set ${named.key === "addr" ? `${word(p)} daddr` : "tcp dport"} map @${named.name}`;
  return r.pick([
    `meta mark set tcp dport map { 80 : 0x1, 8080 : 0x2 }`,
    `meta mark set ${word(p)} daddr map { ${r.maybe(allAddresses(p.plan, p.f)) ?? (p.f === 4 ? "10.0.0.1" : "fd00::1")} : 0x10 }`,
  ]);
}
