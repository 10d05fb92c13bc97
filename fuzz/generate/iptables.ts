/** iptables rules: both families, both backends, four tables, users' chains. */
import type { Rng } from "../rng.ts";
import type { RuleItem, XtBackend, XtTableName } from "../world.ts";
import { MATCHES, type MatchText, type Place, type XtHook } from "./iptables-matches.ts";
import { PORTS } from "./packets.ts";
import { type Plan, addressesOf, allAddresses, wants } from "./plan.ts";

const HOOKS: Record<XtTableName, readonly XtHook[]> = {
  raw: ["PREROUTING", "OUTPUT"],
  mangle: ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
  nat: ["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
  filter: ["INPUT", "FORWARD", "OUTPUT"],
};

/** Adds iptables rules to a ruleset, in one namespace and family. */
export function iptables(plan: Plan, items: RuleItem[], ns: number, family: 4 | 6, sets: Place["sets"]): void {
  const { rng } = plan;
  const backends: XtBackend[] = rng
    .weighted([
      [6, ["nft"]],
      [3, ["legacy"]],
      [1.5, ["nft", "legacy"]],
    ] as const)
    .filter((b): b is XtBackend => wants(plan, `xt-${b}`));
  for (const backend of backends) {
    const tables = rng.some(["raw", "mangle", "nat", "filter", "filter", "nat"] as XtTableName[], rng.int(1, 4));
    for (const table of new Set(tables))
      oneTable(plan, items, { plan, ns, family, table, hook: "INPUT", sets }, backend);
  }
}

function oneTable(plan: Plan, items: RuleItem[], base: Place, backend: XtBackend): void {
  const { rng } = plan;
  const { ns, family, table } = base;
  const at = { ns, backend, family, table };
  for (const hook of HOOKS[table]) {
    const policy = table === "filter" && rng.chance(0.08) ? "DROP" : "ACCEPT";
    items.push({ kind: "xt-chain", ...at, chain: hook, policy, feature: "xt" });
  }
  for (const hook of HOOKS[table]) {
    if (rng.chance(0.35)) continue;
    const place = { ...base, hook };
    const users = wants(plan, "user-chain") && rng.chance(0.4) ? rng.int(1, 3) : 0;
    const names = Array.from({ length: users }, (_, i) => `${table}-${hook}-${i}`.slice(0, 28));
    for (const chain of names) items.push({ kind: "xt-chain", ...at, chain, policy: null, feature: "user-chain" });
    names.forEach((chain, i) => {
      for (let k = rng.int(1, 4); k > 0; k--) rule(place, items, backend, chain, names.slice(i + 1));
    });
    for (let k = rng.int(1, 5); k > 0; k--) rule(place, items, backend, hook, names);
  }
}

function rule(p: Place, items: RuleItem[], backend: XtBackend, chain: string, jumps: readonly string[]): void {
  const r = p.plan.rng;
  const matches: MatchText[] = [];
  const features: string[] = [];
  const target = pickTarget(p, r, jumps, chain !== p.hook);
  if (target === null) return;
  let proto: MatchText["proto"] = target.proto;
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
    const allowed = MATCHES.filter(([, f]) => wants(p.plan, `m-${f}`) && !features.includes(f));
    if (allowed.length === 0) break;
    const [feature, make] = r.weighted(allowed.map(([w, f, m]) => [w, [f, m] as const] as const));
    const m = make(p, r);
    if (
      !m ||
      (m.proto !== undefined && proto !== undefined) ||
      (feature === "proto" && (proto !== undefined || target.proto !== undefined))
    )
      continue;
    if (matches.some((x) => x.text.includes("-p ")) && m.text.includes("-p ")) continue;
    proto ??= m.proto;
    features.push(feature);
    matches.push(m);
  }
  const needs =
    target.proto !== undefined && !matches.some((m) => m.text.includes("-p ")) ? [`-p ${target.proto}`] : [];
  if (
    target.proto !== undefined &&
    matches.some(
      (m) => m.text.startsWith("! -p") || (m.text.includes("-p ") && !m.text.startsWith(`-p ${target.proto}`)),
    )
  )
    return;
  // -s and its like before modules: the order in which iptables prints them does not matter to the kernel.
  const text = [...needs, ...matches.map((m) => m.text), target.text].filter((t) => t !== "").join(" ");
  const add = (words: string): void => {
    items.push({
      kind: "xt-rule",
      ns: p.ns,
      backend,
      family: p.family,
      table: p.table,
      chain,
      text: words,
      feature: `t-${target.feature}`,
    });
  };
  // What is restored is seldom anything, but where it has just been put there; and seldom noticed, but where it is saved again.
  const restores = target.text.includes("--restore-mark") && r.chance(0.6);
  if (restores) add(`-j CONNMARK --set-mark ${r.pick([1, 2, 16])}`);
  add(text);
  if (restores && r.chance(0.5)) add("-j CONNMARK --save-mark");
}

interface TargetText {
  text: string;
  feature: string;
  proto?: "tcp" | "udp";
}

type Maker = (p: Place, r: Rng) => TargetText | null;

const inTable = (p: Place, ...t: XtTableName[]): boolean => t.includes(p.table);

const REJECTS = {
  4: [
    "icmp-port-unreachable",
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
  ],
  6: ["icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable"],
};

const TARGETS: readonly (readonly [number, string, Maker])[] = [
  [
    4,
    "accept",
    (p) => (p.table === "nat" ? { text: "-j ACCEPT", feature: "accept" } : { text: "-j ACCEPT", feature: "accept" }),
  ],
  [2.5, "drop", (p) => (inTable(p, "nat") ? null : { text: "-j DROP", feature: "drop" })],
  [1.5, "none", () => ({ text: "", feature: "none" })],
  [
    2.5,
    "reject",
    (p, r) =>
      !inTable(p, "filter")
        ? null
        : r.chance(0.25)
          ? { text: "-j REJECT --reject-with tcp-reset", feature: "reject", proto: "tcp" }
          : { text: `-j REJECT --reject-with ${r.pick(REJECTS[p.family])}`, feature: "reject" },
  ],
  [
    4,
    "mark",
    (p, r) =>
      inTable(p, "mangle") || r.chance(0.05)
        ? inTable(p, "mangle")
          ? { text: `-j MARK ${mark(p, r)}`, feature: "mark" }
          : null
        : null,
  ],
  [
    2.5,
    "connmark",
    (p, r) => (inTable(p, "raw") ? null : { text: `-j CONNMARK ${connmark(p, r)}`, feature: "connmark" }),
  ],
  [6, "dnat", (p, r) => dnat(p, r)],
  [3, "snat", (p, r) => snat(p, r)],
  [3, "masquerade", (p, r) => (p.table === "nat" && p.hook === "POSTROUTING" ? masquerade(r) : null)],
  [
    2,
    "redirect",
    (p, r) => (p.table === "nat" && (p.hook === "PREROUTING" || p.hook === "OUTPUT") ? redirect(r) : null),
  ],
  [1, "netmap", (p, r) => netmap(p, r)],
  [
    2,
    "notrack",
    (p, r) =>
      p.table === "raw" ? { text: r.chance(0.5) ? "-j NOTRACK" : "-j CT --notrack", feature: "notrack" } : null,
  ],
  [
    1.5,
    "zone",
    (p, r) =>
      p.table === "raw"
        ? {
            text: `-j CT ${r.pick(["--zone", "--zone", "--zone-orig", "--zone-reply"])} ${r.int(1, 3)}`,
            feature: "zone",
          }
        : null,
  ],
  [
    0.5,
    "ttl",
    (p, r) =>
      p.table !== "mangle"
        ? null
        : {
            text:
              p.family === 4
                ? `-j TTL ${r.pick(["--ttl-set 64", "--ttl-set 1", "--ttl-dec 1", "--ttl-inc 2"])}`
                : `-j HL ${r.pick(["--hl-set 64", "--hl-set 1", "--hl-dec 1", "--hl-inc 2"])}`,
            feature: "ttl",
          },
  ],
  [
    0.4,
    "dscp",
    (p, r) =>
      p.table === "mangle" ? { text: `-j DSCP --set-dscp ${r.pick(["0x08", "0x2e"])}`, feature: "dscp" } : null,
  ],
  [
    0.4,
    "tos",
    (p, r) =>
      p.table === "mangle" ? { text: `-j TOS --set-tos ${r.pick(["0x10/0xff", "0x08/0x3f"])}`, feature: "tos" } : null,
  ],
  [
    0.4,
    "tcpmss",
    (p, r) =>
      p.table === "mangle" && p.hook !== "PREROUTING" && p.hook !== "INPUT"
        ? {
            text: `-m tcp --tcp-flags SYN,RST SYN -j TCPMSS ${r.pick(["--set-mss 1300", "--clamp-mss-to-pmtu"])}`,
            feature: "tcpmss",
            proto: "tcp",
          }
        : null,
  ],
  [
    0.4,
    "classify",
    (p) =>
      p.table === "mangle" && (p.hook === "POSTROUTING" || p.hook === "OUTPUT" || p.hook === "FORWARD")
        ? { text: "-j CLASSIFY --set-class 1:2", feature: "classify" }
        : null,
  ],
  [0.3, "nflog", () => ({ text: "-j NFLOG --nflog-group 5", feature: "nflog" })],
  [0.8, "tproxy", (p, r) => tproxy(p, r)],
];

function pickTarget(p: Place, r: Rng, jumps: readonly string[], user: boolean): TargetText | null {
  if (jumps.length > 0 && r.chance(0.4))
    return { text: `${r.chance(0.8) ? "-j" : "-g"} ${r.pick(jumps)}`, feature: "jump" };
  if (r.chance(user ? 0.15 : 0.03)) return { text: "-j RETURN", feature: "return" };
  const allowed = TARGETS.filter(([, f]) => wants(p.plan, `t-${f}`));
  for (let i = 0; i < 6 && allowed.length > 0; i++) {
    const t = r.weighted(allowed.map(([w, , m]) => [w, m] as const))(p, r);
    if (t) return t;
  }
  return null;
}

function mark(p: Place, r: Rng): string {
  const v = r.pick(p.plan.marks);
  return r.pick([
    `--set-mark ${v}`,
    `--set-xmark ${v}/0xffff`,
    `--or-mark ${v}`,
    `--and-mark 0xff`,
    `--xor-mark ${v}`,
    `--set-mark ${v}/0xff`,
  ]);
}

function connmark(p: Place, r: Rng): string {
  const v = r.pick(p.plan.marks);
  return r.pick([
    `--set-mark ${v}`,
    `--save-mark`,
    `--restore-mark`,
    `--save-mark --nfmask 0xff --ctmask 0xff`,
    `--restore-mark --nfmask 0xffff --ctmask 0xff`,
    `--set-xmark ${v & 0xff}/0xff`,
    `--or-mark ${v}`,
  ]);
}

const wrap = (a: string): string => (a.includes(":") ? `[${a}]` : a);

function dnat(p: Place, r: Rng): TargetText | null {
  if (p.table !== "nat" || (p.hook !== "PREROUTING" && p.hook !== "OUTPUT")) return null;
  const a = r.maybe(allAddresses(p.plan, p.family));
  if (!a) return null;
  const extra = r.chance(0.1) ? ` ${r.pick(["--random", "--persistent"])}` : "";
  if (r.chance(0.55)) {
    const port = r.pick(PORTS);
    const to = r.chance(0.15) ? `:${port}` : `${wrap(a)}:${port}${r.chance(0.1) ? `-${port + 1}` : ""}`;
    return { text: `-j DNAT --to-destination ${to}${extra}`, feature: "dnat", proto: r.pick(["tcp", "udp"] as const) };
  }
  return { text: `-j DNAT --to-destination ${a}${extra}`, feature: "dnat" };
}

function snat(p: Place, r: Rng): TargetText | null {
  if (p.table !== "nat" || (p.hook !== "POSTROUTING" && p.hook !== "INPUT")) return null;
  const own = addressesOf(p.plan, p.ns, p.family);
  const a = r.chance(0.8) ? r.maybe(own) : r.maybe(allAddresses(p.plan, p.family));
  if (!a) return null;
  if (r.chance(0.2))
    return {
      text: `-j SNAT --to-source ${wrap(a)}:${r.pick(["20000-29999", "1024-65535"])}`,
      feature: "snat",
      proto: r.pick(["tcp", "udp"] as const),
    };
  return {
    text: `-j SNAT --to-source ${a}${r.chance(0.1) ? ` ${r.pick(["--random", "--random-fully", "--persistent"])}` : ""}`,
    feature: "snat",
  };
}

function masquerade(r: Rng): TargetText {
  if (r.chance(0.15))
    return {
      text: "-j MASQUERADE --to-ports 20000-29999",
      feature: "masquerade",
      proto: r.pick(["tcp", "udp"] as const),
    };
  return {
    text: `-j MASQUERADE${r.chance(0.2) ? ` ${r.pick(["--random", "--random-fully"])}` : ""}`,
    feature: "masquerade",
  };
}

function redirect(r: Rng): TargetText {
  if (r.chance(0.7))
    return {
      text: `-j REDIRECT --to-ports ${r.pick(PORTS)}`,
      feature: "redirect",
      proto: r.pick(["tcp", "udp"] as const),
    };
  return { text: "-j REDIRECT", feature: "redirect" };
}

function netmap(p: Place, r: Rng): TargetText | null {
  if (p.table !== "nat") return null;
  const a = r.maybe(allAddresses(p.plan, p.family));
  if (!a) return null;
  const to =
    p.family === 4 ? r.pick([`${a.replace(/\d+$/, "0")}/24`, `${a}/32`]) : `${a.replace(/[0-9a-f]+$/, "0")}/64`;
  return { text: `-j NETMAP --to ${to}`, feature: "netmap" };
}

function tproxy(p: Place, r: Rng): TargetText | null {
  if (p.table !== "mangle" || p.hook !== "PREROUTING") return null;
  const own = r.maybe(addressesOf(p.plan, p.ns, p.family));
  return {
    text: `-j TPROXY --on-port ${r.pick(PORTS)}${own && r.chance(0.3) ? ` --on-ip ${own}` : ""} --tproxy-mark ${r.pick(["0x1/0x1", "0x0/0x0"])}`,
    feature: "tproxy",
    proto: r.pick(["tcp", "udp"] as const),
  };
}
