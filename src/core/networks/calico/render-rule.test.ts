// Goldens follow felix/rules/policy_test.go, with the marks of the default mask.
import { describe, expect, test } from "vitest";
import { marksOf, ruleText } from "./iptables-rule.ts";
import { renderRule, renderRules, splitPorts, type RenderOptions } from "./render-rule.ts";
import { anyEntity, apiRule, felixRule, type ApiRule, type Entity } from "./rule.ts";
import { parsedRule, type SetMeanings } from "./rule-sets.ts";

const marks = marksOf(0xffff0000)!;
const V4: RenderOptions = { family: 4, marks, deny: "-j DROP", logPrefix: "calico-packet" };
const V6: RenderOptions = { ...V4, family: 6 };

const end = (given: Partial<Entity>): Entity => ({ ...anyEntity(), ...given });
const one = (...ports: number[]): Entity["ports"] => ports.map((port) => ({ first: port, last: port }));
const render = (given: Partial<ApiRule>, options = V4): string[] =>
  renderRule(parsedRule(felixRule(apiRule(given), ""), new Map()), options).map(ruleText);

const ACCEPT = ["-j MARK --set-xmark 0x10000/0x10000", "-m mark --mark 0x10000/0x10000 -j RETURN"] as const;
const accepted = (match: string): string[] => [[match, ACCEPT[0]].filter((part) => part !== "").join(" "), ACCEPT[1]];
const SET0 = "-j MARK --set-xmark 0x80000/0x80000";
const CLEAR0 = "-j MARK --set-xmark 0x0/0x80000";
const SET1 = "-j MARK --set-xmark 0x100000/0x100000";
const BOTH0 = "-m mark --mark 0x0/0x100000 -j MARK --set-xmark 0x0/0x80000";
const IF0 = "-m mark --mark 0x80000/0x80000";
const NONE_YET = "-j MARK --set-xmark 0x0/0x180000";
const ALL_YET = "-j MARK --set-xmark 0x80000/0x180000";

describe("what follows a match", () => {
  test.each<[ApiRule["action"], string[]]>([
    ["allow", accepted("-p tcp")],
    ["pass", ["-p tcp -j MARK --set-xmark 0x20000/0x20000", "-m mark --mark 0x20000/0x20000 -j RETURN"]],
    ["deny", ["-p tcp -j MARK --set-xmark 0x40000/0x40000", "-m mark --mark 0x40000/0x40000 -j DROP"]],
    ["log", ['-p tcp -j LOG --log-prefix "calico-packet: " --log-level 5']],
  ])("%s", (action, rules) => expect(render({ action, protocol: "tcp" })).toEqual(rules));
});

describe("one match", () => {
  test.each<[Partial<ApiRule>, string]>([
    [{}, ""],
    [{ protocol: 8 }, "-p 8"],
    [{ notProtocol: "udp" }, "! -p udp"],
    [{ source: end({ nets: ["10.0.0.0/16"] }) }, "-s 10.0.0.0/16"],
    [{ destination: end({ nets: ["10.0.0.0/16"] }) }, "-d 10.0.0.0/16"],
    [{ source: end({ nets: ["0.0.0.0/0"] }) }, ""],
    [{ source: end({ notNets: ["10.0.0.0/16"] }) }, "! -s 10.0.0.0/16"],
    [{ protocol: "tcp", destination: end({ ports: one(80) }) }, "-p tcp -m multiport --dports 80"],
    [
      { protocol: "udp", source: end({ ports: [{ first: 10, last: 20 }, ...one(7)] }) },
      "-p udp -m multiport --sports 10:20,7",
    ],
    [{ protocol: "tcp", destination: end({ notPorts: one(80) }) }, "-p tcp -m multiport ! --dports 80"],
    [{ protocol: "icmp", icmp: { type: 8, code: null } }, "-p icmp -m icmp --icmp-type 8"],
    [{ protocol: "icmp", icmp: { type: 10, code: 12 } }, "-p icmp -m icmp --icmp-type 10/12"],
    [{ protocol: "icmp", notIcmp: { type: 10, code: null } }, "-p icmp -m icmp ! --icmp-type 10"],
    [
      { protocol: "tcp", source: end({ selector: "has(a)", ports: one(1) }) },
      "-p tcp -m set --match-set cali40s: src -m multiport --sports 1",
    ],
  ])("%j", (rule, match) => {
    const [first = ""] = render(rule);
    // Names of sets are tested with names.
    const plain = (text: string): string => text.replaceAll(/cali40s:\S+/g, "cali40s:");
    expect(plain(first)).toBe(plain(accepted(match)[0] ?? ""));
  });
});

describe("families", () => {
  const both = end({ nets: ["10.0.0.0/8", "fd00::/8"] });

  test("each has its own networks", () => {
    expect(render({ source: both })).toEqual(accepted("-s 10.0.0.0/8"));
    expect(render({ source: both }, V6)).toEqual(accepted("-s fd00::/8"));
  });

  test("a rule with networks of the other only says nothing", () => {
    expect(render({ source: end({ nets: ["fd00::/8"] }) })).toEqual([]);
    expect(render({ source: end({ notNets: ["fd00::/8"] }) })).toEqual([]);
    expect(render({ ipVersion: 6 })).toEqual([]);
    expect(render({ protocol: "icmpv6" })).toEqual([]);
    expect(render({ protocol: "icmpv6", icmp: { type: 128, code: null } }, V6)).toEqual(
      accepted("-p ipv6-icmp -m icmp6 --icmpv6-type 128"),
    );
  });

  test("nothing is outside of everything", () => {
    expect(render({ source: end({ notNets: ["0.0.0.0/0"] }) })).toEqual([]);
  });
});

describe("blocks", () => {
  test("several networks of one side", () => {
    expect(render({ source: end({ nets: ["10.0.0.0/16", "11.0.0.0/16"] }) })).toEqual([
      NONE_YET,
      `-s 10.0.0.0/16 ${SET0}`,
      `-s 11.0.0.0/16 ${SET0}`,
      ...accepted(IF0),
    ]);
  });

  test("several networks of both sides", () => {
    const source = end({ nets: ["10.0.0.0/16", "11.0.0.0/16"] });
    const destination = end({ nets: ["12.0.0.0/16", "13.0.0.0/16"] });
    expect(render({ source, destination })).toEqual([
      NONE_YET,
      `-s 10.0.0.0/16 ${SET0}`,
      `-s 11.0.0.0/16 ${SET0}`,
      `-d 12.0.0.0/16 ${SET1}`,
      `-d 13.0.0.0/16 ${SET1}`,
      BOTH0,
      ...accepted(IF0),
    ]);
  });

  test("a network with exceptions", () => {
    const source = end({ nets: ["203.0.113.0/24"], notNets: ["203.0.113.128/25", "203.0.113.0/30"] });
    expect(render({ source })).toEqual([
      ALL_YET,
      `-s 203.0.113.128/25 ${CLEAR0}`,
      `-s 203.0.113.0/30 ${CLEAR0}`,
      ...accepted(`-s 203.0.113.0/24 ${IF0}`),
    ]);
  });

  test("more ports than one match holds: fifteen, of which a range takes two", () => {
    const ports = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14].map((port) => ({ first: port, last: port }));
    ports.push({ first: 15, last: 16 });
    expect(splitPorts(ports).map((split) => split.length)).toEqual([14, 1]);
    expect(render({ protocol: "tcp", destination: end({ ports }) })).toEqual([
      NONE_YET,
      `-p tcp -m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14 ${SET0}`,
      `-p tcp -m multiport --dports 15:16 ${SET0}`,
      ...accepted(`-p tcp ${IF0}`),
    ]);
  });

  test("ports and names of ports, of a network with exceptions", () => {
    const sets: SetMeanings = new Map();
    const destination = end({
      nets: ["10.0.0.0/8"],
      notNets: ["10.1.0.0/16"],
      ports: [...one(80), { name: "http" }],
    });
    const parsed = parsedRule(felixRule(apiRule({ protocol: "tcp", destination }), ""), sets);
    const [set = ""] = parsed.destination.portSets;
    expect(sets.get(set)).toEqual({ of: "port", selector: { op: "all" }, protocol: "tcp", port: "http" });
    expect(renderRule(parsed, V4).map(ruleText)).toEqual([
      NONE_YET,
      `-p tcp -m multiport --dports 80 ${SET0}`,
      `-m set --match-set cali40n:cl9_Kgeu4H0OGLbhovVR3NB dst,dst ${SET0}`,
      `-d 10.1.0.0/16 ${CLEAR0}`,
      ...accepted(`-p tcp -d 10.0.0.0/8 ${IF0}`),
    ]);
  });
});

describe("sets", () => {
  test("a name of a port asks its set alone, which holds only what the selector takes", () => {
    const sets: SetMeanings = new Map();
    const destination = end({ selector: "app == 'web'", ports: [{ name: "http" }] });
    const { destination: side } = parsedRule(felixRule(apiRule({ protocol: "tcp", destination }), ""), sets);
    expect([side.sets, side.portSets.length]).toEqual([[], 1]);
    expect([...sets.values()].map((meaning) => meaning.of)).toEqual(["port"]);
  });

  test("what must not match narrows what must", () => {
    const parsed = parsedRule(
      felixRule(apiRule({ source: end({ selector: "has(a)", notSelector: "has(b)" }) }), ""),
      new Map(),
    );
    expect([parsed.source.sets.length, parsed.source.notSets.length]).toEqual([1, 0]);
  });

  test("a Service: with its ports as a destination, without as a source", () => {
    const sets: SetMeanings = new Map();
    const service = { namespace: "", name: "db" };
    parsedRule(felixRule(apiRule({ source: end({ service }), destination: end({ service }) }), "shop"), sets);
    expect([...sets.values()]).toEqual([
      { of: "service", namespace: "shop", name: "db", withPorts: false },
      { of: "service", namespace: "shop", name: "db", withPorts: true },
    ]);
  });
});

describe("chains", () => {
  const chain = (...rules: Partial<ApiRule>[]): string[] =>
    renderRules(
      rules.map((given) => parsedRule(felixRule(apiRule(given), ""), new Map())),
      "Policy p ingress",
      V4,
    ).map(ruleText);

  test("one without rules says what it is of", () => {
    expect(chain()).toEqual(['-m comment --comment "Policy p ingress"']);
  });

  test("the way out at the end is left out", () => {
    expect(chain({ protocol: "tcp" }, { action: "pass", protocol: "udp" })).toEqual([
      `-p tcp -m comment --comment "Policy p ingress" ${ACCEPT[0]}`,
      ACCEPT[1],
      "-p udp -j MARK --set-xmark 0x20000/0x20000",
    ]);
  });

  test("notes are comments", () => {
    const notes = ['reason=a `b` "c"'];
    expect(chain({ action: "log", notes })).toEqual([
      '-m comment --comment "reason=a _b_ _c_" -m comment --comment "Policy p ingress" -j LOG --log-prefix "calico-packet: " --log-level 5',
    ]);
  });
});
