import { describe, expect, test } from "vitest";
import { ICMP, TCP, UDP } from "../../packet.ts";
import { connection, device, load, packet, ruleset, run } from "../../../../../test/support/nft-runner.ts";
import type { Met, Setting } from "../../../../../test/support/nft-runner.ts";

const tcp = (): ReturnType<typeof packet> => packet(TCP, "10.0.0.1", 1234, "10.96.0.1", 80);
const udp = (): ReturnType<typeof packet> => packet(UDP, "10.0.0.1", 1234, "10.96.0.10", 53);
const ping = (): ReturnType<typeof packet> => {
  const p = packet(ICMP, "10.0.0.1", 0, "10.96.0.1", 0);
  p.icmpType = 8;
  p.icmpId = 77;
  return p;
};

const payload = (protocol: string, field: string): unknown => ({ payload: { protocol, field } });
const meta = (key: string): unknown => ({ meta: { key } });
const match = (left: unknown, right: unknown, op = "=="): unknown => ({ match: { op, left, right } });
const ACCEPT = { accept: null };
const DROP = { drop: null };
const jump = (target: string): unknown => ({ jump: { target } });
const setMark = (value: unknown): unknown => ({ mangle: { key: meta("mark"), value } });
const numgen = (mod: number, offset = 0, mode = "random"): unknown => ({ numgen: { mode, mod, offset } });

/** One chain `c` with these rules, run for a packet. */
const runRules = (
  rules: unknown[][],
  pkt = tcp(),
  setting: Setting = {},
  family = "inet",
  sets: Record<string, unknown>[] = [],
): Met => run(load(ruleset(family, { c: rules, other: [[ACCEPT]], third: [] }, sets)), "c", pkt, setting);

describe("what nft leaves out when it prints", () => {
  test("ip saddr in inet is for IPv4 only, whatever the operator", () => {
    const p = packet(TCP, "fd00::1", 1, "fd00::2", 80);
    expect(runRules([[match(payload("ip", "saddr"), "10.0.0.1", "!="), DROP]], p).verdict).toBe("accept");
    expect(runRules([[match(payload("ip", "saddr"), "10.0.0.9", "!="), DROP]]).verdict).toBe("drop");
  });

  test("tcp dport is for TCP only, also in family ip", () => {
    expect(runRules([[match(payload("tcp", "dport"), 80, "!="), DROP]], udp(), {}, "ip").verdict).toBe("accept");
    expect(runRules([[match(payload("th", "dport"), 80, "!="), DROP]], udp(), {}, "ip").verdict).toBe("drop");
  });

  test("a condition behind a side effect does not keep the effect from happening", () => {
    const met = runRules([[setMark(5), match(payload("tcp", "dport"), 80), DROP]], udp());
    expect(met.verdict).toBe("accept");
    expect(met.pkt.mark).toBe(5);
    expect(met.rules).toEqual([]);
  });

  test("a set's statement depends on its key", () => {
    const p = packet(TCP, "fd00::1", 1, "fd00::2", 80);
    const add = { set: { op: "add", elem: payload("ip", "saddr"), set: "@s" } };
    expect(runRules([[add, DROP]], p, {}, "inet", [{ name: "s", type: "ipv4_addr" }]).verdict).toBe("accept");
  });

  test("reject with tcp reset is for TCP, reject with icmp for IPv4", () => {
    const reset = [[{ reject: { type: "tcp reset" } }]];
    expect(runRules(reset)).toMatchObject({ verdict: "reject", rejectWith: "tcp-reset" });
    expect(runRules(reset, udp()).verdict).toBe("accept");
    const icmp = [[{ reject: { type: "icmp", expr: "host-prohibited" } }]];
    expect(runRules(icmp)).toMatchObject({ verdict: "reject", rejectWith: "icmp-host-prohibited" });
    expect(runRules(icmp, packet(TCP, "fd00::1", 1, "fd00::2", 80)).verdict).toBe("accept");
  });

  test("later fragments have no ports", () => {
    const p = udp();
    p.laterFragment = true;
    p.dport = 0;
    expect(runRules([[match(payload("udp", "dport"), 53, "!="), DROP]], p).verdict).toBe("accept");
    expect(runRules([[match(payload("th", "dport"), 53, "!="), DROP]], p).verdict).toBe("accept");
    expect(runRules([[match(meta("l4proto"), "udp"), DROP]], p).verdict).toBe("drop");
  });
});

describe("reject", () => {
  test.each([
    [null, "icmp-port-unreachable", "icmp6-port-unreachable"],
    [{ type: "icmpx", expr: "admin-prohibited" }, "icmp-admin-prohibited", "icmp6-adm-prohibited"],
    [{ type: "icmpx", expr: "no-route" }, "icmp-net-unreachable", "icmp6-no-route"],
  ])("%j", (body, v4, v6) => {
    expect(runRules([[{ reject: body }]]).rejectWith).toBe(v4);
    expect(runRules([[{ reject: body }]], packet(TCP, "fd00::1", 1, "fd00::2", 80)).rejectWith).toBe(v6);
  });
});

describe("chains", () => {
  test("jump, goto, return, policy", () => {
    const json = ruleset("ip", {
      c: [[jump("a")], [{ goto: { target: "b" } }], [DROP]],
      a: [[{ return: null }], [DROP]],
      b: [[match(payload("tcp", "dport"), 81), DROP]],
    });
    expect(run(load(json), "c", tcp())).toMatchObject({ verdict: "accept", words: ["jump a", "return", "goto b"] });
  });

  test("a chain that is not there may do anything", () => {
    const met = runRules([[jump("gone")]]);
    expect(met.unknowns[0]).toBe("chain gone is not in the snapshot");
  });

  test("base chains with their places; none of a dormant table", () => {
    const json = (flags: string): string =>
      `{"nftables":[{"table":{"family":"ip","name":"t","handle":3${flags}}},{"chain":{"family":"ip","table":"t","name":"c","handle":7,"type":"nat","hook":"prerouting","prio":-100,"policy":"accept"}}]}`;
    expect(load(json("")).compiled.base).toMatchObject([
      { name: "c", type: "nat", hook: "prerouting", priority: -100, policy: "accept", handle: 7, tableHandle: 3 },
    ]);
    expect(load(json(',"flags":["dormant"]')).compiled.base).toEqual([]);
  });

  test("a rule's text is its line without its handle, or its JSON as nft prints it", () => {
    const { compiled } = load(ruleset("ip", { c: [[match(meta("mark"), 1), DROP]] }));
    expect(compiled.chains.get("c")?.rules()[0]?.text()).toBe("line 1");
  });
});

describe("the index's keys", () => {
  const keys = (...expr: unknown[]): unknown =>
    load(ruleset("inet", { c: [expr] }))
      .compiled.chains.get("c")
      ?.rules()[0]?.keys;

  test("exact conditions before the first side effect", () => {
    expect(
      keys(
        match(payload("ip", "daddr"), { prefix: { addr: "10.1.0.0", len: 16 } }),
        match(payload("tcp", "dport"), 80),
        match(meta("iifname"), "eth0"),
        DROP,
      ),
    ).toMatchObject({ dst: { len: 16 }, proto: TCP, dport: 80, iif: "eth0" });
  });

  test("not of negations, ranges, wildcards, th, or behind an effect", () => {
    expect(keys(match(payload("ip", "daddr"), "10.0.0.1", "!="))).toEqual({});
    expect(keys(match(payload("ip", "daddr"), { range: ["10.0.0.1", "10.0.0.9"] }))).toEqual({});
    expect(keys(match(meta("iifname"), "eth*"))).toEqual({});
    expect(keys(match(payload("th", "dport"), 80))).toEqual({});
    expect(keys(setMark(1), match(payload("tcp", "dport"), 80))).toEqual({});
  });
});

describe("chance", () => {
  const goto = (target: string): unknown => ({ goto: { target } });

  test("numgen in a verdict map is one choice among the verdicts", () => {
    const vmap = (set: unknown[], mod: number): unknown => ({ vmap: { key: numgen(mod), data: { set } } });
    const three = [
      [
        vmap(
          [
            [0, goto("other")],
            [1, goto("third")],
            [2, goto("other")],
          ],
          3,
        ),
      ],
    ];
    expect(runRules(three, tcp(), { choose: [0] })).toMatchObject({
      choices: [[2, 1]],
      words: ["goto other", "accept"],
    });
    expect(runRules(three, tcp(), { choose: [1] }).words).toEqual(["goto third"]);
  });

  test("ranges, offsets, and values without an element, which break the rule", () => {
    const rule = [
      [
        {
          vmap: {
            key: numgen(100, 10),
            data: {
              set: [
                [{ range: [0, 29] }, DROP],
                [{ range: [30, 59] }, ACCEPT],
              ],
            },
          },
        },
      ],
    ];
    expect(runRules(rule, tcp(), { choose: [0] })).toMatchObject({ choices: [[20, 30, 50]], verdict: "drop" });
    expect(runRules(rule, tcp(), { choose: [2] })).toMatchObject({ verdict: "accept", rules: [] });
  });

  test("of one value nothing is asked", () => {
    const rule = [[{ vmap: { key: numgen(1), data: { set: [[0, DROP]] } } }]];
    expect(runRules(rule)).toMatchObject({ choices: [], verdict: "drop" });
  });

  test.each([
    ["==", 3, 1],
    ["!=", 3, 9],
    ["<", 3, 3],
    ["<=", 3, 4],
    [">", 3, 6],
    [">=", 3, 7],
  ])("a match by chance: numgen mod 10 %s %i", (op, right, num) => {
    const { compiled } = load(ruleset("ip", { c: [[match(numgen(10), right, op), match(meta("mark"), 1), DROP]] }));
    const rule = compiled.chains.get("c")!.rules()[0]!;
    expect(rule.random).toEqual({ num, den: 10 });
    // The comparison of the mark stands before the chance, as a guard.
    expect([rule.tests.length, rule.guard]).toEqual([0, { mark: { word: 1, mask: -1, not: false } }]);
  });

  test("meta random, sets of values, certain outcomes", () => {
    const random = (expr: unknown): unknown =>
      load(ruleset("ip", { c: [[expr]] }))
        .compiled.chains.get("c")
        ?.rules()[0]?.random;
    expect(random(match(meta("random"), 0x40000000, "<"))).toEqual({ num: 0x40000000, den: 0x100000000 });
    expect(random(match(numgen(4), { set: [0, { range: [2, 9] }] }))).toEqual({ num: 3, den: 4 });
    expect(random(match(numgen(4), 9, "<"))).toBeNull();
  });

  test("rules of equal tests can be told", () => {
    const dst = match(payload("ip", "daddr"), "10.96.0.1");
    const { compiled } = load(
      ruleset("ip", {
        c: [[dst, match(numgen(3), 0), ACCEPT], [dst, match(numgen(2), 0), DROP], [dst, ACCEPT], [ACCEPT]],
      }),
    );
    const keys = compiled.chains
      .get("c")!
      .rules()
      .map((rule) => rule.testsKey!());
    expect(keys[0]).toBe(keys[1]);
    expect(keys[0]).toBe(keys[2]);
    expect(keys[3]).not.toBe(keys[0]);
  });

  test("dnat to numgen … map", () => {
    const addr = {
      map: {
        key: numgen(3),
        data: {
          set: [
            [0, "10.1.0.1"],
            [1, { concat: ["10.1.0.2", 81] }],
            [2, "10.1.0.1"],
          ],
        },
      },
    };
    const met = runRules([[{ dnat: { family: "ip", addr } }]], tcp(), { choose: [1] });
    expect(met).toMatchObject({
      choices: [[2, 1]],
      verdict: "accept",
      nat: [{ manip: "dst", minPort: 81, maxPort: 81 }],
    });
  });

  test("jhash: by chance without a seed, and only with its key", () => {
    const jhash = { jhash: { mod: 2, expr: payload("ip", "saddr") } };
    const rule = [
      [
        {
          vmap: {
            key: jhash,
            data: {
              set: [
                [0, ACCEPT],
                [1, DROP],
              ],
            },
          },
        },
      ],
    ];
    expect(runRules(rule, tcp(), { choose: [1] })).toMatchObject({ choices: [[1, 1]], verdict: "drop" });
    expect(runRules(rule, packet(TCP, "fd00::1", 1, "fd00::2", 80)).choices).toEqual([]);
  });

  test("a mark of chance is one of its values", () => {
    expect(runRules([[setMark(numgen(4, 100))]], tcp(), { choose: [3] })).toMatchObject({ pkt: { mark: 103 } });
    expect(runRules([[setMark(numgen(100000))]]).unknowns[0]).toMatch(/which of 100000 numbers/);
  });
});

describe("sets and maps", () => {
  const services = {
    name: "m",
    type: ["ipv4_addr", "inet_proto", "inet_service"],
    map: "verdict",
    elem: [
      [{ concat: ["10.96.0.1", "tcp", 80] }, { goto: { target: "other" } }],
      [{ elem: { val: { concat: ["10.96.0.10", "udp", 53] }, comment: "dns" } }, DROP],
    ],
  };
  const byService = {
    vmap: { key: { concat: [payload("ip", "daddr"), meta("l4proto"), payload("th", "dport")] }, data: "@m" },
  };

  test("a verdict map of three parts", () => {
    expect(runRules([[byService]], tcp(), {}, "ip", [services]).words).toEqual(["goto other", "accept"]);
    expect(runRules([[byService]], udp(), {}, "ip", [services]).verdict).toBe("drop");
    expect(runRules([[byService]], packet(UDP, "10.0.0.1", 1, "10.96.0.1", 80), {}, "ip", [services]).rules).toEqual(
      [],
    );
  });

  test("an echo request has no port, and meets none of the elements", () => {
    expect(runRules([[byService]], ping(), {}, "ip", [services])).toMatchObject({ rules: [], unknowns: [] });
    const icmp = { ...services, elem: [[{ concat: ["10.96.0.1", "icmp", 9] }, DROP]] };
    expect(runRules([[byService]], ping(), {}, "ip", [icmp]).unknowns[0]).toMatch(/in place of a port/);
  });

  test("everything else: the catch-all element", () => {
    const rule = [
      [
        {
          vmap: {
            key: payload("ip", "saddr"),
            data: {
              set: [
                ["10.0.0.9", ACCEPT],
                ["*", DROP],
              ],
            },
          },
        },
      ],
    ];
    expect(runRules(rule).verdict).toBe("drop");
  });

  test("a value that can't be read makes a miss uncertain, not a hit", () => {
    const rule = (...set: unknown[]): Met => runRules([[match(payload("ip", "saddr"), { set }), DROP]]);
    expect(rule("10.0.0.1", "no address").verdict).toBe("drop");
    expect(rule("10.0.0.2", "no address").unknowns.length).toBe(1);
  });

  test("a set that the packet itself was added to", () => {
    const grown = { name: "s", type: "ipv4_addr", size: 10, flags: ["dynamic"] };
    const saddr = payload("ip", "saddr");
    const set = (op: string): unknown => ({ set: { op, elem: saddr, set: "@s" } });
    expect(runRules([[set("add")], [match(saddr, "@s"), DROP]], tcp(), {}, "ip", [grown]).verdict).toBe("drop");
    expect(
      runRules([[set("add")], [set("delete")], [match(saddr, "@s"), DROP]], tcp(), {}, "ip", [grown]).verdict,
    ).toBe("accept");
    const limited = { set: { op: "add", elem: saddr, set: "@s", stmt: [{ limit: { rate: 1, per: "second" } }] } };
    expect(runRules([[limited, DROP]], tcp(), {}, "ip", [grown]).unknowns).toEqual([
      "limit of an element of s can go either way",
    ]);
    const full = { ...grown, size: 1, elem: ["10.9.9.9"] };
    expect(runRules([[set("update"), DROP]], tcp(), {}, "ip", [full]).unknowns.length).toBe(1);
  });

  test("wildcard names", () => {
    const iif = device("eth3");
    const rule = (...set: string[]): Met => runRules([[match(meta("iifname"), { set }), DROP]], tcp(), { iif });
    expect(rule("lo", "eth*").verdict).toBe("drop");
    expect(rule("lo", "eth3").verdict).toBe("drop");
    expect(rule("lo", "et").verdict).toBe("accept");
  });
});

describe("nat", () => {
  const nat = (statement: unknown, pkt = tcp()): Met => runRules([[statement]], pkt);

  test("addresses, ranges, ports, flags", () => {
    expect(nat({ dnat: { family: "ip", addr: "10.1.0.1", port: 8080 } }).nat[0]).toEqual({
      manip: "dst",
      min: expect.objectContaining({ key: 0x0a010001 }),
      max: expect.objectContaining({ key: 0x0a010001 }),
      minPort: 8080,
      maxPort: 8080,
      basePort: null,
      random: false,
      randomFully: false,
      persistent: false,
      netmap: null,
    });
    const range = {
      snat: {
        family: "ip",
        addr: { range: ["10.1.0.1", "10.1.0.5"] },
        port: { range: [1024, 2048] },
        flags: ["random", "persistent"],
      },
    };
    expect(nat(range).nat[0]).toMatchObject({
      manip: "src",
      minPort: 1024,
      maxPort: 2048,
      random: true,
      persistent: true,
      max: { key: 0x0a010005 },
    });
    expect(nat({ dnat: { port: 81 } }).nat[0]).toMatchObject({ min: null, max: null, minPort: 81 });
  });

  test("a statement for the other family does nothing", () => {
    expect(nat({ dnat: { family: "ip6", addr: "fd00::1" } })).toMatchObject({
      nat: [],
      verdict: "accept",
      words: ["continue"],
    });
  });

  test("prefixes keep the host bits", () => {
    const addr = {
      map: {
        key: payload("ip", "daddr"),
        data: { set: [[{ prefix: { addr: "10.96.0.0", len: 24 } }, { prefix: { addr: "10.1.0.0", len: 24 } }]] },
      },
    };
    const met = nat({ dnat: { family: "ip", addr, flags: "netmap", type_flags: "prefix" } });
    expect(met.nat[0]).toMatchObject({ netmap: { len: 24 } });
    expect(nat({ dnat: { family: "ip", addr } }).nat[0]).toMatchObject({ netmap: null, max: { key: 0x0a0100ff } });
  });

  test("no element in the map: the rule breaks", () => {
    const addr = { map: { key: payload("ip", "daddr"), data: { set: [["10.96.0.9", "10.1.0.1"]] } } };
    expect(nat({ dnat: { family: "ip", addr } })).toMatchObject({ nat: [], rules: [] });
  });

  test("masquerade, redirect, tproxy", () => {
    expect(nat({ masquerade: null })).toMatchObject({ verdict: "accept", words: ["accept"] });
    expect(nat({ redirect: { port: 8080 } }).words).toEqual(["accept"]);
    const rule = [[{ tproxy: { family: "ip", addr: "127.0.0.1", port: 5000 } }, DROP]];
    expect(runRules(rule, tcp(), { tproxy: true }).verdict).toBe("drop");
    expect(runRules(rule, tcp(), { tproxy: false }).verdict).toBe("accept");
    expect(runRules(rule, ping()).verdict).toBe("accept");
    expect(runRules(rule, tcp(), { tproxy: "unknown" }).unknowns.length).toBe(1);
  });
});

describe("connection", () => {
  const state = (right: unknown, op = "in"): unknown => match({ ct: { key: "state" } }, right, op);

  test("states without a connection", () => {
    const drop = (ctInfo: "none" | "invalid" | "untracked", name: string): string => {
      const p = tcp();
      p.ctInfo = ctInfo;
      return runRules([[state(name), DROP]], p).verdict;
    };
    expect(drop("none", "invalid")).toBe("drop");
    expect(drop("invalid", "invalid")).toBe("drop");
    expect(drop("untracked", "untracked")).toBe("drop");
    expect(drop("untracked", "invalid")).toBe("accept");
  });

  test("everything else breaks without one", () => {
    expect(runRules([[match({ ct: { key: "mark" } }, 5, "!="), DROP]]).verdict).toBe("accept");
    expect(runRules([[match({ ct: { key: "bytes" } }, 5, ">"), DROP]]).unknowns).toEqual([]);
  });

  test("marks, zones, helpers, notrack", () => {
    const p = tcp();
    p.ct = connection(p);
    p.ctInfo = "new";
    const json = ruleset("ip", {
      c: [[{ "ct helper": "h" }], [{ mangle: { key: { ct: { key: "mark" } }, value: 7 } }], [{ notrack: null }]],
    });
    const withHelper = json.replace(
      '{"chain"',
      '{"ct helper":{"family":"ip","table":"t","name":"h","type":"ftp","protocol":"tcp"}},{"chain"',
    );
    run(load(withHelper), "c", p);
    expect(p.ct).toMatchObject({ mark: 7, helper: "ftp" });
    expect(p.ctInfo).toBe("new");
    expect(runRules([[{ notrack: null }], [state("untracked"), DROP]]).verdict).toBe("drop");
    const zoned = runRules([[{ mangle: { key: { ct: { key: "zone" } }, value: 5 } }], [state("new"), DROP]]);
    expect(zoned).toMatchObject({ verdict: "drop", pkt: { zone: 5, template: true } });
  });
});

describe("the host", () => {
  test("fib", () => {
    const fib = (result: string, flags: string[], right: unknown): unknown => match({ fib: { result, flags } }, right);
    const local = (): boolean => true;
    expect(runRules([[fib("type", ["daddr"], "local"), DROP]], tcp(), { local }).verdict).toBe("drop");
    expect(runRules([[fib("oif", ["saddr", "iif"], false), DROP]]).verdict).toBe("drop");
    const found = { type: "unicast" as const, oif: device("eth1") };
    expect(runRules([[fib("oif", ["saddr", "iif"], true), DROP]], tcp(), { fib: found }).verdict).toBe("drop");
    expect(runRules([[fib("oifname", ["saddr"], "eth1"), DROP]], tcp(), { fib: found }).verdict).toBe("drop");
    expect(runRules([[fib("oif", ["saddr"], "0"), DROP]]).verdict).toBe("drop");
    expect(runRules([[fib("oif", ["saddr"], "eth1"), DROP]], tcp(), { fib: "unknown" }).unknowns.length).toBe(1);
  });

  test("owners of sockets", () => {
    const rule = [[match(meta("skuid"), 0, "!="), DROP]];
    const p = tcp();
    p.uid = 1000;
    expect(runRules(rule, p).verdict).toBe("drop");
    expect(runRules(rule, tcp()).verdict).toBe("accept");
    const early = tcp();
    early.socket = "program";
    expect(runRules(rule, early).unknowns.length).toBe(1);
  });

  test("no link header before the packet has left a device", () => {
    const rule = [[match(payload("ether", "saddr"), "02:00:00:00:00:09"), DROP]];
    const p = tcp();
    p.macSrc = "02:00:00:00:00:09";
    expect(runRules(rule, p, { iif: device("eth0") }).verdict).toBe("drop");
    expect(runRules(rule, p, { iif: null }).verdict).toBe("accept");
    expect(runRules(rule, p, { iif: device("tunl0", { kindName: "ipip", mac: null }) }).verdict).toBe("accept");
  });

  test("a port drawn at random is not known", () => {
    const p = tcp();
    p.randomSport = true;
    expect(runRules([[match(payload("tcp", "sport"), 1234), DROP]], p).unknowns).toEqual([
      "the source port was drawn at random",
    ]);
  });
});

describe("what is not modelled says so", () => {
  test.each([
    [match(meta("hour"), "10:00"), "meta hour is not known"],
    [match({ rt: { key: "mtu" } }, 1500), "rt mtu is not known"],
    [match({ osf: { key: "name" } }, "Linux"), "expression osf is not modelled"],
    [match(payload("tcp", "window"), 5, ">"), "tcp window is not known"],
    [match(meta("mark"), 5, "~"), 'the operator "~" is not modelled'],
    [{ limit: { rate: 10, per: "second" } }, "limit rate 10/second can go either way"],
    [{ quota: "q" }, 'quota "q" can go either way'],
    [{ "ct count": { val: 20 } }, "ct count 20 can go either way"],
    [{ xt: { type: "match", name: "string" } }, "xtables match string is printed without what it says"],
    [{ xt: { type: "target", name: "X" } }, "xtables target X is not modelled"],
    [{ synproxy: { mss: 1460 } }, "statement synproxy is not modelled"],
    [match(payload("ip", "saddr"), "@gone"), "@gone is not in the snapshot"],
    [setMark(meta("cpu")), "meta cpu is not known"],
  ])("%j", (statement, why) => {
    expect(runRules([[statement, DROP]]).unknowns[0]).toBe(why);
  });

  test("a rule that only counts asks nothing", () => {
    expect(runRules([[{ limit: { rate: 1 } }, { log: null }]]).unknowns).toEqual([]);
  });

  test("statements without effect on the way", () => {
    const rule = [
      { counter: { packets: 1, bytes: 2 } },
      { log: { prefix: "x" } },
      { last: null },
      { continue: null },
      DROP,
    ];
    expect(runRules([rule]).verdict).toBe("drop");
    expect(runRules([[{ queue: { num: 1 } }]]).verdict).toBe("queue");
    expect(runRules([[{ fwd: { dev: "lo" } }]]).verdict).toBe("stolen");
    expect(runRules([[{ flow: { op: "add", flowtable: "@f" } }]])).toMatchObject({
      verdict: "accept",
      rules: [],
      unknowns: [],
    });
  });

  test("odd shapes never fail", () => {
    const odd: unknown[] = [
      null,
      1,
      "x",
      [],
      {},
      { a: 1, b: 2 },
      [[]],
      { set: 5 },
      { concat: 5 },
      { map: null },
      { "|": 5 },
      { prefix: {} },
    ];
    for (const o of odd) {
      for (const tag of [
        "match",
        "vmap",
        "mangle",
        "dnat",
        "set",
        "map",
        "jump",
        "reject",
        "tproxy",
        "limit",
        "counter",
        "ct helper",
        "xt",
        "zzz",
      ]) {
        runRules([[{ [tag]: o }]]);
      }
      runRules([
        [match(o, o)],
        [match(meta("mark"), o)],
        [match(o, 5, "in")],
        [match(payload("ip", "saddr"), o, "!=")],
        [setMark(o)],
      ]);
      runRules([
        [{ vmap: { key: o, data: { set: o } } }],
        [{ dnat: { addr: o, port: o } }],
        [{ mangle: { key: o, value: o } }],
      ]);
    }
  });
});
