/** Random rulesets for property tests: every kind of match and target, in the form in which the parser leaves it. */
import * as fc from "fast-check";
import { type Ip, type Prefix, ip4, ip6, prefixOf } from "../../../model/address.ts";
import type { NatRange, Range, SetDir, XtChain, XtMatch, XtRule, XtRuleset, XtTarget } from "../../../model/xtables.ts";
import { probability } from "../probability.ts";

const not = fc.boolean();
const u8 = fc.integer({ min: 0, max: 255 });
const u32 = fc.oneof(fc.integer({ min: 0, max: 0xffffffff }), fc.constantFrom(0, 1, 0x4000, 0x80000000, 0xffffffff));
const word = fc.integer({ min: -0x80000000, max: 0x7fffffff });
const name = fc.stringMatching(/^[a-zA-Z0-9][-a-zA-Z0-9_:.]{0,14}$/);
const freeText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ maxLength: 20, unit: "grapheme" }),
  fc.constantFrom("", "-j", "-j DROP", "!", '"', "\\", "a\nb", "ns/svc:port -> 10.0.0.1:80", "! -s"),
);
const range = (max: number): fc.Arbitrary<Range> =>
  fc.tuple(fc.integer({ min: 0, max }), fc.integer({ min: 0, max })).map(([a, b]) => (a < b ? [a, b] : [b, a]));
const ports = range(65535);
const asked = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value);

function ips(v6: boolean): fc.Arbitrary<Ip> {
  return v6
    ? fc
        .tuple(fc.oneof(word, fc.constant(0)), fc.oneof(word, fc.constant(0)), fc.oneof(word, fc.constant(0)), word)
        .map((w) => ip6(...w))
    : word.map(ip4);
}

const prefixes = (v6: boolean): fc.Arbitrary<Prefix> =>
  fc.tuple(ips(v6), fc.integer({ min: 0, max: v6 ? 128 : 32 })).map(([ip, len]) => prefixOf(ip, len));

const ipRanges = (v6: boolean): fc.Arbitrary<{ from: Ip; to: Ip }> =>
  fc.tuple(ips(v6), fc.integer({ min: 0, max: 255 })).map(([ip, last]) => {
    const at = (low: number): Ip => (v6 ? ip6(ip.a, ip.b, ip.c, (ip.d & ~255) | low) : ip4((ip.a & ~255) | low));
    return { from: at(Math.min(last, 7)), to: at(last) };
  });

const dirs: fc.Arbitrary<SetDir[]> = fc.array(fc.constantFrom<SetDir>("src", "dst"), { minLength: 1, maxLength: 3 });
const some = (...of: string[]): fc.Arbitrary<string[]> => fc.subarray(of, { minLength: 1 });
const valueMask = (max: number): fc.Arbitrary<{ value: number; mask: number }> =>
  fc.record({ value: fc.integer({ min: 0, max }), mask: fc.oneof(fc.constant(max), fc.integer({ min: 0, max })) });
const rawWords = fc
  .array(fc.constantFrom("--option 5", "! --option", '--text "a b"', "--list x,y"), { maxLength: 3 })
  .map((options) => options.flatMap((option) => option.match(/"[^"]*"|[^ ]+/g) ?? []));

function conntracks(v6: boolean): fc.Arbitrary<XtMatch> {
  const address = asked(fc.record({ not, prefix: prefixes(v6) }));
  const port = asked(fc.record({ not, range: ports }));
  return fc.record({
    m: fc.constant("conntrack" as const),
    viaState: fc.constant(false),
    state: asked(
      fc.record({ not, states: some("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT") }),
    ),
    status: asked(fc.record({ not, statuses: some("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED") })),
    proto: asked(fc.record({ not, proto: u8 })),
    origsrc: address,
    origdst: address,
    replsrc: address,
    repldst: address,
    origsrcport: port,
    origdstport: port,
    replsrcport: port,
    repldstport: port,
    expire: asked(fc.record({ not, range: range(0xffffffff) })),
    dir: fc.constantFrom("ORIGINAL", "REPLY", null),
  });
}

const transport: fc.Arbitrary<XtMatch> = fc.oneof(
  fc.record({
    m: fc.constantFrom("sport" as const, "dport" as const),
    ext: fc.constantFrom("tcp", "udp", "sctp", "dccp", "udplite"),
    not,
    range: ports.filter(([a, b]) => a !== 0 || b !== 65535),
  }),
  fc.constant<XtMatch>({ m: "sport", ext: "tcp", not: false, range: [0, 65535] }),
  fc.record({ m: fc.constant("tcp-flags" as const), not, mask: fc.nat(0x3f), comp: fc.nat(0x3f) }),
  fc.record({ m: fc.constant("tcp-option" as const), not, option: u8 }),
  fc.record({
    m: fc.constant("multiport" as const),
    not,
    side: fc.constantFrom("src" as const, "dst" as const, "both" as const),
    ports: fc.array(ports, { minLength: 1, maxLength: 7 }),
  }),
  fc.record({ m: fc.constant("tcpmss" as const), not, range: ports }),
);

const simple: fc.Arbitrary<XtMatch> = fc.oneof(
  fc.record({ m: fc.constantFrom("in" as const, "out" as const), not, name }),
  fc.record({ m: fc.constant("proto" as const), not, proto: u8 }),
  fc.record({ m: fc.constantFrom("mark" as const, "connmark" as const), not, value: u32, mask: u32 }),
  fc.nat(2 ** 31).chain((n) => {
    const p = (n / 2 ** 31).toFixed(11);
    return fc
      .record({ m: fc.constant("random" as const), not, p: fc.constant(p) })
      .map((match) => ({ ...match, ...probability(p) }));
  }),
  fc
    .integer({ min: 1, max: 100 })
    .chain((every) =>
      fc.record({ m: fc.constant("nth" as const), not, every: fc.constant(every), packet: fc.nat(every - 1) }),
    ),
  fc.record({
    m: fc.constant("set" as const),
    not,
    name,
    dirs,
    options: fc.constantFrom([], ["--return-nomatch"], ["!", "--update-counters", "--packets-gt", "5"]),
  }),
  fc.record({ m: fc.constant("rpfilter" as const), loose: not, validmark: not, acceptLocal: not, invert: not }),
  fc.record({
    m: fc.constant("physdev" as const),
    in: asked(fc.record({ not, name })),
    out: asked(fc.record({ not, name })),
    isIn: asked(not),
    isOut: asked(not),
    isBridged: asked(not),
  }),
  fc.record({ m: fc.constant("mac" as const), not, mac: fc.stringMatching(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/) }),
  fc.record({ m: fc.constant("socket" as const), transparent: not, nowildcard: not, restoreSkmark: not }),
  fc.record({
    m: fc.constantFrom("ttl" as const, "hl" as const),
    op: fc.constantFrom("eq" as const, "ne" as const, "lt" as const, "gt" as const),
    value: u8,
  }),
  fc.record({ m: fc.constant("length" as const), not, range: ports }),
  fc.record({
    m: fc.constant("limit" as const),
    rate: fc.constantFrom("5/sec", "3/hour", "10/min", "1/day"),
    burst: asked(u32),
  }),
  fc.record({ m: fc.constant("comment" as const), text: freeText }),
  fc.record({ m: fc.constant("dscp" as const), not, value: fc.nat(63) }),
  valueMask(0xff).chain((vm) =>
    fc.record({ m: fc.constant("tos" as const), not }).map((match) => ({ ...match, ...vm })),
  ),
  valueMask(0xffffffff).chain((vm) =>
    fc.record({ m: fc.constant("realm" as const), not }).map((match) => ({ ...match, ...vm })),
  ),
  fc.record({
    m: fc.constant("pkttype" as const),
    not,
    type: fc.constantFrom("unicast" as const, "broadcast" as const, "multicast" as const),
  }),
  fc.record({ m: fc.constant("helper" as const), not, name: freeText }),
  fc.record({ m: fc.constant("nfacct" as const), name }),
  fc.record({
    m: fc.constantFrom(
      "hashlimit" as const,
      "connbytes" as const,
      "connlimit" as const,
      "cgroup" as const,
      "ecn" as const,
    ),
    words: rawWords,
  }),
  fc.record({
    m: fc.constant("unmodelled" as const),
    module: fc.constantFrom("string", "u32", "newmodule"),
    words: rawWords,
  }),
  fc.record({
    m: fc.constant("addrtype" as const),
    srcNot: fc.constant(false),
    src: fc.constant(null),
    dstNot: not,
    dst: some("LOCAL", "UNICAST", "BROADCAST"),
    limitIface: fc.constantFrom("in" as const, "out" as const, null),
  }),
  fc.record({
    m: fc.constant("owner" as const),
    not,
    what: fc.constantFrom("uid" as const, "gid" as const),
    range: range(0xffffffff),
    supplGroups: fc.constant(false),
  }),
  fc.record({
    m: fc.constant("devgroup" as const),
    src: valueMask(0xffffffff).map((vm) => ({ not: true, ...vm })),
    dst: fc.constant(null),
  }),
);

/** Any match that a rule of the family may hold. */
export function matches(v6: boolean): fc.Arbitrary<XtMatch> {
  return fc.oneof(
    simple,
    transport,
    conntracks(v6),
    fc.record({ m: fc.constantFrom("src" as const, "dst" as const), not, prefix: prefixes(v6) }),
    fc.record({
      m: fc.constant("icmp" as const),
      v6: fc.constant(v6),
      not,
      type: fc.nat(254),
      code: fc.oneof(
        fc.constant<Range>([0, 255]),
        u8.map<Range>((code) => [code, code]),
      ),
    }),
    fc.record({
      m: fc.constant("recent" as const),
      not,
      op: fc.constantFrom("set" as const, "rcheck" as const, "update" as const, "remove" as const),
      seconds: asked(u32),
      reap: not,
      hitcount: asked(u32),
      rttl: not,
      name,
      mask: asked(ips(v6)),
      side: fc.constantFrom("src" as const, "dst" as const),
    }),
    fc.record({
      m: fc.constant("iprange" as const),
      src: ipRanges(v6).map((r) => ({ not: false, ...r })),
      dst: asked(ipRanges(v6).map((r) => ({ not: true, ...r }))),
    }),
  );
}

function natRanges(v6: boolean): fc.Arbitrary<NatRange> {
  return fc
    .tuple(asked(ipRanges(v6)), ports, not, asked(fc.integer({ min: 0, max: 65535 })))
    .map(([ip, range_, withPorts, basePort]) => ({
      min: ip?.from ?? null,
      max: ip?.to ?? null,
      ports: withPorts || ip === null ? range_ : null,
      basePort: withPorts ? basePort : null,
    }));
}

/** Any target; jumps and gotos go to one of `chains`. */
export function targets(v6: boolean, chains: readonly string[]): fc.Arbitrary<XtTarget> {
  return fc.oneof(
    fc.record({ t: fc.constantFrom("none" as const) }),
    fc.record({ t: fc.constantFrom("accept" as const, "drop" as const, "return" as const, "notrack" as const) }),
    fc.record({ t: fc.constantFrom("jump" as const, "goto" as const), chain: fc.constantFrom(...chains) }),
    fc.record({ t: fc.constant("queue" as const), words: fc.constantFrom([], ["--queue-num", "5"]) }),
    fc.record({
      t: fc.constant("reject" as const),
      with: fc.constantFrom("tcp-reset", v6 ? "icmp6-no-route" : "icmp-port-unreachable"),
    }),
    fc.record({ t: fc.constantFrom("mark" as const, "connmark-set" as const), value: u32, mask: u32 }),
    fc.record({ t: fc.constantFrom("connmark-save" as const, "connmark-restore" as const), nfmask: u32, ctmask: u32 }),
    fc.record({
      t: fc.constantFrom("dnat" as const, "snat" as const),
      range: natRanges(v6),
      random: not,
      randomFully: not,
      persistent: not,
    }),
    fc.record({ t: fc.constant("masquerade" as const), ports: asked(ports), random: not, randomFully: not }),
    fc.record({ t: fc.constant("redirect" as const), ports: asked(ports), random: not }),
    fc.record({ t: fc.constant("netmap" as const), to: prefixes(v6) }),
    fc.record({
      t: fc.constant("ct" as const),
      notrack: not,
      zone: u8,
      zoneDir: fc.constantFrom("orig" as const, "reply" as const, null),
      zoneFromMark: fc.constant(false),
      helper: asked(name),
      words: fc.constantFrom([], ["--ctevents", "new,destroy"]),
    }),
    fc
      .record({
        t: fc.constant("tproxy" as const),
        ip: asked(ips(v6).filter((ip) => (ip.a | ip.b | ip.c | ip.d) !== 0)),
        port: u8,
        value: u32,
        mask: u32,
      })
      .map((target) => (v6 ? { ...target, v6 } : target)),
    fc.record({
      t: fc.constant("set" as const),
      op: fc.constantFrom("add" as const, "del" as const, "map" as const),
      set: name,
      dirs,
      words: fc.constantFrom([], ["--exist"]),
    }),
    fc.option(u8).map<XtTarget>((mss) => ({ t: "tcpmss", clamp: mss === null, mss })),
    fc.record({ t: fc.constant("tee" as const), gateway: ips(v6), oif: asked(name) }),
    fc.record({ t: fc.constant("classify" as const), class: fc.constant("0001:ffff") }),
    fc.record({ t: fc.constant("dscp" as const), value: fc.nat(63) }),
    valueMask(0xff).map<XtTarget>((vm) => ({ t: "tos", ...vm })),
    fc
      .record({
        t: fc.constant("ttl" as const),
        op: fc.constantFrom("set" as const, "inc" as const, "dec" as const),
        value: u8,
      })
      .map((target) => (v6 ? { ...target, v6 } : target)),
    fc.record({
      t: fc.constant("side-effect" as const),
      name: fc.constantFrom("LOG", "NFLOG", "TRACE"),
      words: rawWords,
    }),
    fc.record({
      t: fc.constant("unmodelled" as const),
      name: fc.constantFrom("SYNPROXY", "NEWTARGET"),
      words: rawWords,
    }),
  );
}

/** A ruleset with two tables, some chains and rules; lines are 0. */
export const rulesets: fc.Arbitrary<XtRuleset> = fc
  .tuple(
    fc.boolean(),
    fc.uniqueArray(fc.stringMatching(/^[a-z][-a-zA-Z0-9_/.]{0,25}$/), { minLength: 1, maxLength: 4 }),
    fc.boolean(),
  )
  .chain(([v6, names, counted]) => {
    const count = fc.oneof(fc.nat(1000), fc.maxSafeNat());
    const rule: fc.Arbitrary<XtRule> = fc.record({
      line: fc.constant(0),
      packets: counted ? count : fc.constant(null),
      bytes: counted ? count : fc.constant(null),
      matches: fc.array(matches(v6), { maxLength: 4 }),
      target: targets(v6, names),
    });
    const chain = (of: string): fc.Arbitrary<XtChain> =>
      fc.record({
        name: fc.constant(of),
        line: fc.constant(0),
        policy: fc.constantFrom("ACCEPT", "DROP", null),
        packets: count,
        bytes: count,
        rules: fc.array(rule, { maxLength: 4 }),
      });
    const table = (of: string) =>
      fc.record({
        name: fc.constant(of),
        line: fc.constant(0),
        chains: fc.tuple(...names.map(chain)).map((list) => [...list]),
      });
    return fc.record({
      file: fc.constant("save.txt"),
      family: fc.constant(v6 ? ("ip6" as const) : ("ip" as const)),
      backend: fc.constantFrom("nft" as const, "legacy" as const),
      tables: fc.tuple(table("nat"), table("filter")).map((list) => [...list]),
    });
  });
