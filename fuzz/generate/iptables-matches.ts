/** iptables matches as text, drawn from what the world's packets look like, so that a fair share of them match. */
import type { Rng } from "../rng.ts";
import { type Plan, addressesOf, allAddresses, devicesOf, prefixesOf } from "./plan.ts";
import { PORTS } from "./packets.ts";

export type XtHook = "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";

/** Where a rule will stand. */
export interface Place {
  plan: Plan;
  ns: number;
  family: 4 | 6;
  table: "raw" | "mangle" | "nat" | "filter";
  hook: XtHook;
  /** Sets of this namespace that rules may name: [name, dimensions]. */
  sets: { name: string; family: 4 | 6; dims: number; iface: boolean }[];
}

/** A match's words, and what it needs; `proto` when it comes with `-p` of its own. */
export interface MatchText {
  text: string;
  proto?: "tcp" | "udp" | "icmp";
}

const INSIDE: readonly XtHook[] = ["PREROUTING", "INPUT", "FORWARD"];
const OUTSIDE: readonly XtHook[] = ["FORWARD", "OUTPUT", "POSTROUTING"];

const bang = (r: Rng, p = 0.15): string => (r.chance(p) ? "! " : "");

/** A random prefix or address of the world. */
export function somewhere(p: Place): string {
  const r = p.plan.rng;
  const f = p.family;
  const wide =
    f === 4 ? ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "127.0.0.0/8"] : ["::/0", "fd00::/16", "fd00:1::/32"];
  return r.weighted([
    [5, r.maybe(allAddresses(p.plan, f)) ?? wide[1]!],
    [3, r.maybe(addressesOf(p.plan, p.ns, f)) ?? wide[1]!],
    [3, r.maybe(prefixesOf(p.plan, f)) ?? wide[1]!],
    [1, r.pick(wide)],
  ]);
}

const icmpTypes = {
  4: ["8", "0", "3/3", "3/1", "any", "echo-request", "11", "3"],
  6: ["128", "129", "1/4", "1", "3", "echo-request", "135", "136"],
};

type Maker = (p: Place, r: Rng) => MatchText | null;

/** [weight, feature, maker]; a maker answers null where the match has no place. */
export const MATCHES: readonly (readonly [number, string, Maker])[] = [
  [6, "src", (p, r) => ({ text: `${bang(r)}-s ${somewhere(p)}` })],
  [6, "dst", (p, r) => ({ text: `${bang(r)}-d ${somewhere(p)}` })],
  [
    0.5,
    "mask",
    (p, r) => {
      const ip = r.maybe(allAddresses(p.plan, p.family));
      const mask = p.family === 4 ? r.pick(["255.0.255.0", "0.0.0.255"]) : r.pick(["ffff::ffff", "::ffff:ffff"]);
      return ip === undefined ? null : { text: `${bang(r)}${r.pick(["-s", "-d"])} ${ip}/${mask}` };
    },
  ],
  [3, "in", (p, r) => (INSIDE.includes(p.hook) ? { text: `${bang(r)}-i ${device(p, r)}` } : null)],
  [3, "out", (p, r) => (OUTSIDE.includes(p.hook) ? { text: `${bang(r)}-o ${device(p, r)}` } : null)],
  [
    3,
    "proto",
    (p, r) => ({ text: `${bang(r)}-p ${r.pick(["tcp", "udp", p.family === 4 ? "icmp" : "ipv6-icmp", "sctp", "41"])}` }),
  ],
  [6, "dport", (_, r) => ports(r, "dport")],
  [2, "sport", (_, r) => ports(r, "sport")],
  [
    1,
    "tcp-flags",
    (_, r) => ({
      text: `-p tcp -m tcp ${bang(r)}${r.pick(["--syn", "--tcp-flags SYN,ACK SYN", "--tcp-flags SYN,ACK SYN,ACK", "--tcp-flags ALL SYN", "--tcp-flags RST RST", "--tcp-flags ACK ACK"])}`,
      proto: "tcp",
    }),
  ],
  [
    0.3,
    "tcp-option",
    (_, r) => ({ text: `-p tcp -m tcp ${bang(r)}--tcp-option ${r.pick([2, 3, 8, 30])}`, proto: "tcp" }),
  ],
  [
    2,
    "icmp",
    (p, r) => ({
      text:
        p.family === 4
          ? `-p icmp -m icmp ${r.chance(0.1) ? "! " : ""}--icmp-type ${r.pick(icmpTypes[4])}`
          : `-p ipv6-icmp -m icmp6 ${bang(r, 0.1)}--icmpv6-type ${r.pick(icmpTypes[6])}`,
      proto: "icmp",
    }),
  ],
  [2, "multiport", (_, r) => multiport(r)],
  [2, "addrtype", (p, r) => addrtype(p, r)],
  [4, "conntrack", (p, r) => conntrack(p, r)],
  [
    3,
    "mark",
    (p, r) => ({
      text: `-m mark ${bang(r)}--mark ${r.pick(p.plan.marks)}${r.chance(0.6) ? `/${r.pick(["0x1", "0xff", "0x4000", "0xffff"])}` : ""}`,
    }),
  ],
  [
    1.5,
    "connmark",
    (p, r) => ({
      text: `-m connmark ${bang(r)}--mark ${r.pick(p.plan.marks)}${r.chance(0.6) ? `/${r.pick(["0x1", "0xff", "0x4000"])}` : ""}`,
    }),
  ],
  [
    1.2,
    "random",
    (_, r) => ({
      text: `-m statistic --mode random ${bang(r)}--probability ${r.pick(["0.5", "0.33333333349", "0.25", "0.2", "0.1"])}`,
    }),
  ],
  [
    0.7,
    "nth",
    (_, r) => {
      const n = r.int(2, 3);
      return { text: `-m statistic --mode nth ${bang(r)}--every ${n} --packet ${r.int(0, n - 1)}` };
    },
  ],
  [3, "set", (p, r) => set(p, r)],
  [
    0.7,
    "rpfilter",
    (p, r) =>
      p.hook === "PREROUTING" && (p.table === "raw" || p.table === "mangle")
        ? {
            text: `-m rpfilter${r.chance(0.4) ? " --loose" : ""}${r.chance(0.3) ? " --validmark" : ""}${r.chance(0.3) ? " --accept-local" : ""}${r.chance(0.4) ? " --invert" : ""}`,
          }
        : null,
  ],
  [3, "physdev", (p, r) => physdev(p, r)],
  [
    0.7,
    "mac",
    (p, r) =>
      INSIDE.includes(p.hook)
        ? { text: `-m mac ${bang(r)}--mac-source 02:00:00:00:0${r.int(1, 5)}:0${r.int(1, 8)}` }
        : null,
  ],
  [
    0.6,
    "socket",
    (p, r) =>
      p.hook === "PREROUTING" || p.hook === "INPUT"
        ? { text: `-m socket${r.chance(0.3) ? " --nowildcard" : ""}${r.chance(0.3) ? " --transparent" : ""}` }
        : null,
  ],
  [
    1,
    "ttl",
    (p, r) =>
      p.family === 4
        ? { text: `-m ttl ${r.pick(["--ttl-eq", "--ttl-lt", "--ttl-gt"])} ${r.pick([62, 63, 64, 5])}` }
        : { text: `-m hl ${r.pick(["--hl-eq", "--hl-lt", "--hl-gt"])} ${r.pick([62, 63, 64, 5])}` },
  ],
  [
    1,
    "length",
    (_, r) => ({ text: `-m length ${bang(r)}--length ${r.pick(["0:100", "60", "52:60", "200:65535", "1000:65535"])}` }),
  ],
  [
    0.8,
    "owner",
    (p, r) =>
      p.hook === "OUTPUT" || p.hook === "POSTROUTING"
        ? {
            text: `-m owner ${bang(r)}${r.pick(["--uid-owner 0", "--gid-owner 0", "--socket-exists", "--uid-owner 1-65535"])}`,
          }
        : null,
  ],
  [0.4, "comment", () => ({ text: `-m comment --comment "a \\"quoted\\" comment"` })],
  [
    0.4,
    "tcpmss",
    (_, r) => ({
      text: `-p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss ${bang(r)}--mss ${r.pick(["1460", "1:1440", "1400:65535"])}`,
      proto: "tcp",
    }),
  ],
  [0.4, "dscp", (_, r) => ({ text: `-m dscp ${bang(r)}--dscp ${r.pick(["0x00", "0x08", "0x2e"])}` })],
  [0.4, "tos", (_, r) => ({ text: `-m tos ${bang(r)}--tos ${r.pick(["0x00/0xff", "0x10/0xff", "0x08/0x3f"])}` })],
  [
    0.5,
    "pkttype",
    (p, r) =>
      p.hook === "OUTPUT"
        ? null
        : { text: `-m pkttype ${bang(r)}--pkt-type ${r.pick(["unicast", "broadcast", "multicast"])}` },
  ],
  [1, "iprange", (p, r) => iprange(p, r)],
  [0.3, "helper", (_, r) => ({ text: `-m helper ${bang(r)}--helper ftp` })],
  [
    0.3,
    "devgroup",
    (p, r) =>
      INSIDE.includes(p.hook) ? { text: `-m devgroup ${bang(r)}--src-group ${r.pick(["0x0", "0x1"])}` } : null,
  ],
  [
    0.3,
    "realm",
    (p, r) => (p.family === 4 && p.hook !== "PREROUTING" ? { text: `-m realm ${bang(r)}--realm 0x1` } : null),
  ],
];

function device(p: Place, r: Rng): string {
  const devs = devicesOf(p.plan, p.ns).map((d) => d.dev);
  return r.weighted([
    [6, r.maybe(devs) ?? "eth0"],
    [2, r.pick(["eth+", "br+", "p+", "vx+", "e+"])],
    [1, "lo"],
    [0.3, "+"],
  ]);
}

function ports(r: Rng, side: "sport" | "dport"): MatchText {
  const proto = r.pick(["tcp", "udp"] as const);
  const range =
    side === "dport"
      ? r.pick([...PORTS.map(String), "1:1023", "1024:65535", "53:80", ":80", "8080:"])
      : r.pick(["1024:65535", ":1023", "80", "53", "30000:40000", "20000:"]);
  return { text: `-p ${proto} -m ${proto} ${bang(r)}--${side} ${range}`, proto };
}

function multiport(r: Rng): MatchText {
  const proto = r.pick(["tcp", "udp"] as const);
  const list = r.pick(["80,443", "53,80,8080", "1:100,8080", "8080", "1024:65535,22"]);
  return {
    text: `-p ${proto} -m multiport ${bang(r)}--${r.pick(["dports", "dports", "sports", "ports"])} ${list}`,
    proto,
  };
}

function addrtype(p: Place, r: Rng): MatchText {
  const types = [
    "LOCAL",
    "LOCAL",
    "UNICAST",
    ...(p.family === 4
      ? ["BROADCAST", "MULTICAST", "BLACKHOLE", "UNREACHABLE", "PROHIBIT"]
      : ["UNREACHABLE", "MULTICAST"]),
  ];
  const dst = r.chance(0.75) ? ` ${bang(r, 0.25)}--dst-type ${r.pick(types)}` : "";
  const src = dst === "" || r.chance(0.15) ? ` ${bang(r, 0.25)}--src-type ${r.pick(types)}` : "";
  const limits = [
    ...(["PREROUTING", "INPUT", "FORWARD"].includes(p.hook) ? [" --limit-iface-in"] : []),
    ...(["POSTROUTING", "OUTPUT", "FORWARD"].includes(p.hook) ? [" --limit-iface-out"] : []),
  ];
  return { text: `-m addrtype${src}${dst}${r.chance(0.15) ? r.pick(limits) : ""}` };
}

function conntrack(p: Place, r: Rng): MatchText | null {
  if (r.chance(0.15))
    return {
      text: `-m state ${bang(r)}--state ${r.pick(["NEW", "ESTABLISHED", "NEW,ESTABLISHED", "INVALID", "UNTRACKED", "RELATED,ESTABLISHED"])}`,
    };
  const states = [
    "NEW",
    "ESTABLISHED",
    "RELATED,ESTABLISHED",
    "INVALID",
    "UNTRACKED",
    "DNAT",
    "SNAT",
    "NEW,DNAT",
    "RELATED",
    "NEW,RELATED,ESTABLISHED",
  ];
  const makers: [number, () => string][] = [
    [6, () => `${bang(r)}--ctstate ${r.pick(states)}`],
    [
      1,
      () =>
        `${bang(r)}--ctstatus ${r.pick(["NONE", "SEEN_REPLY", "CONFIRMED", "ASSURED", "EXPECTED", "SEEN_REPLY,CONFIRMED"])}`,
    ],
    [1, () => `--ctdir ${r.pick(["ORIGINAL", "REPLY"])}`],
    [1, () => `${bang(r)}--ctorigdst ${somewhere(p)}`],
    [0.7, () => `${bang(r)}--ctorigsrc ${somewhere(p)}`],
    [0.7, () => `${bang(r)}--ctreplsrc ${somewhere(p)}`],
    [0.5, () => `${bang(r)}--ctrepldst ${somewhere(p)}`],
    [0.7, () => `${bang(r)}--ctorigdstport ${r.pick([...PORTS.map(String), "1:1023"])}`],
    [0.4, () => `${bang(r)}--ctreplsrcport ${r.pick([...PORTS.map(String), "1:1023"])}`],
    [0.5, () => `${bang(r)}--ctproto ${r.pick([6, 17, 1])}`],
  ];
  const words = [r.weighted(makers)()];
  if (r.chance(0.25)) {
    const second = r.weighted(makers)();
    if (option(second) !== option(words[0]!)) words.push(second);
  }
  return { text: `-m conntrack ${words.join(" ")}` };
}

const option = (words: string): string => /--\S+/.exec(words)![0];

function set(p: Place, r: Rng): MatchText | null {
  const s = r.maybe(p.sets.filter((x) => x.family === p.family && (!x.iface || INSIDE.includes(p.hook))));
  if (!s) return null;
  const dirs = Array.from({ length: s.dims }, (_, i) => (s.iface && i === s.dims - 1 ? "src" : r.pick(["src", "dst"])));
  return {
    text: `-m set ${bang(r)}--match-set ${s.name} ${dirs.join(",")}${r.chance(0.07) ? " --return-nomatch" : ""}`,
  };
}

function physdev(p: Place, r: Rng): MatchText | null {
  const ports = p.plan.devices.filter((d) => d.ns === p.ns && d.kind === "port");
  const port = r.maybe(ports)?.dev ?? "p+";
  if (ports.length === 0 && r.chance(0.7)) return null;
  const makers: string[] = [];
  if (INSIDE.includes(p.hook)) makers.push(`--physdev-in ${r.pick([port, "p+"])}`, "--physdev-is-in");
  if (p.hook === "FORWARD")
    makers.push(
      `--physdev-out ${r.pick([port, "p+"])}`,
      "--physdev-is-bridged",
      "--physdev-is-out",
      "--physdev-is-bridged",
    );
  if (p.hook === "POSTROUTING")
    makers.push(
      `--physdev-in ${port}`,
      "--physdev-is-in",
      "--physdev-is-bridged",
      `--physdev-is-bridged --physdev-out ${port}`,
    );
  const words = r.maybe(makers);
  return words ? { text: `-m physdev ${bang(r)}${words}` } : null;
}

function iprange(p: Place, r: Rng): MatchText | null {
  const a = r.maybe(allAddresses(p.plan, p.family));
  if (!a) return null;
  const range =
    p.family === 4
      ? r.pick([`${a}-${a.replace(/\d+$/, "200")}`, "10.0.0.0-10.3.255.255", "10.2.0.0-10.255.255.255"])
      : r.pick([`${a}-${a}`, "fd00::-fd00:2:ffff::"]);
  return { text: `-m iprange ${bang(r)}--${r.pick(["src", "dst"])}-range ${range}` };
}
