import { describe, expect, test } from "vitest";
import { formatPrefix } from "../model/address.ts";
import type { PolicyRule } from "../model/route.ts";
import { dsField, protocolNumber, tableNumber } from "./ip-names.ts";
import { parseIpRule } from "./ip-rule.ts";

const parse = (row: string, family: 4 | 6): PolicyRule => parseIpRule(`[${row}]\n`, "rule.json", family)[0]!;

const NOTHING = {
  priority: 5,
  not: false,
  from: null,
  to: null,
  iif: null,
  oif: null,
  fwmark: null,
  fwmask: 0,
  tos: null,
  ipproto: null,
  sport: null,
  dport: null,
  uid: null,
  action: "lookup",
  table: null,
  goto: null,
  l3mdev: false,
  suppressPrefixLength: null,
  suppressIfgroup: null,
  unknown: [],
};

/** What a rule says beyond `5: from all`. */
const told = (r: PolicyRule): Record<string, unknown> => {
  const { source, from, to, ...rest } = r;
  expect(source).toEqual({ file: "rule.json", line: 1 });
  const all = { ...rest, from: from === null ? null : formatPrefix(from), to: to === null ? null : formatPrefix(to) };
  const usual = NOTHING as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(all).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(usual[name])),
  );
};

describe("as ip -j rule (iproute2 6.1) prints them", () => {
  const cases: [row: string, expected: object][] = [
    ['{"priority":0,"src":"all","table":"local"}', { priority: 0, table: 255 }],
    ['{"priority":5,"src":"10.1.0.0","srclen":24,"table":"99"}', { from: "10.1.0.0/24", table: 99 }],
    [
      '{"priority":5,"src":"10.1.0.1","dst":"10.2.0.0","dstlen":16,"table":"default"}',
      { from: "10.1.0.1/32", to: "10.2.0.0/16", table: 253 },
    ],
    ['{"priority":5,"src":"0","srclen":1,"table":"main"}', { from: "0.0.0.0/1", table: 254 }],
    ['{"priority":5,"src":"all","fwmark":"0x10","table":"1000"}', { fwmark: 16, fwmask: 0xffffffff, table: 1000 }],
    [
      '{"priority":5,"src":"all","fwmark":"0x80000200","fwmask":"0x80000f00","table":"1000"}',
      { fwmark: 0x80000200, fwmask: 0x80000f00, table: 1000 },
    ],
    ['{"priority":5,"src":"all","fwmark":"0","fwmask":"0xff","table":"5"}', { fwmark: 0, fwmask: 255, table: 5 }],
    [
      '{"priority":5,"src":"all","iif":"nodev","iif_detached":null,"oif":"v2","oif_detached":null,"table":"5"}',
      { iif: "nodev", oif: "v2", table: 5 },
    ],
    ['{"priority":5,"src":"all","tos":"0x10","table":"5"}', { tos: 16, table: 5 }],
    ['{"priority":5,"src":"all","tos":"AF11","table":"5"}', { tos: 0x28, table: 5 }],
    [
      '{"priority":5,"src":"all","ipproto":"tcp","sport":80,"dport_start":1000,"dport_end":2000,"table":"5"}',
      { ipproto: 6, sport: [80, 80], dport: [1000, 2000], table: 5 },
    ],
    ['{"priority":5,"src":"all","ipproto":"gre","table":"5"}', { ipproto: 47, table: 5 }],
    ['{"priority":5,"src":"all","ipproto":"200","table":"5"}', { ipproto: 200, table: 5 }],
    [
      '{"priority":5,"src":"all","uid_start":1000,"uid_end":4294967295,"table":"5"}',
      { uid: [1000, 4294967295], table: 5 },
    ],
    ['{"priority":5,"src":"all","l3mdev":null}', { l3mdev: true }],
    ['{"priority":5,"src":"all","table":"main","suppress_prefixlen":0}', { table: 254, suppressPrefixLength: 0 }],
    [
      '{"priority":5,"src":"all","table":"main","suppress_ifgroup":"default"}',
      { table: 254, suppressIfgroup: "default" },
    ],
    ['{"priority":5,"not":null,"src":"10.0.0.0","srclen":8,"table":"7"}', { not: true, from: "10.0.0.0/8", table: 7 }],
    ['{"priority":5,"src":"all","goto":32766}', { action: "goto", goto: 32766 }],
    ['{"priority":5,"src":"all","goto":40000,"unresolved":null}', { action: "goto", goto: 40000 }],
    ['{"priority":5,"src":"all","goto":"none","unresolved":null}', { action: "goto" }],
    ['{"priority":5,"src":"10.3.0.0","srclen":16,"action":"blackhole"}', { from: "10.3.0.0/16", action: "blackhole" }],
    ['{"priority":5,"src":"all","action":"unreachable"}', { action: "unreachable" }],
    ['{"priority":5,"src":"all","action":"prohibit"}', { action: "prohibit" }],
    ['{"priority":5,"src":"all","nop":null}', { action: "nop" }],
    ['{"priority":5,"src":"all","table":"5","flow_from":"3","flow_to":"4","protocol":"17"}', { table: 5 }],
    // Selectors that are not modelled are named.
    ['{"priority":5,"src":"all","tun_id":77,"table":"5"}', { table: 5, unknown: ["tun_id"] }],
    [
      '{"priority":5,"src":"10.4.0.0","srclen":16,"table":"main","masquerade":null}',
      { from: "10.4.0.0/16", table: 254, unknown: ["masquerade"] },
    ],
    [
      '{"priority":5,"src":"all","dscp":"10","flowlabel":"0x5","sport":80,"sport_mask":"0xff","table":"5"}',
      { table: 5, sport: [80, 80], unknown: ["dscp", "flowlabel", "sport_mask"] },
    ],
  ];
  test.each(cases)("%s", (row, expected) => expect(told(parse(row, 4))).toEqual(expected));

  const cases6: [row: string, expected: object][] = [
    ['{"priority":5,"src":"2001:db8::","srclen":32,"table":"99"}', { from: "2001:db8::/32", table: 99 }],
    [
      '{"priority":5,"src":"all","dst":"2001:db8::1","tos":"0x04","table":"4242"}',
      { to: "2001:db8::1/128", tos: 4, table: 4242 },
    ],
    ['{"priority":5,"src":"all","ipproto":"ipv6-icmp","table":"5"}', { ipproto: 58, table: 5 }],
  ];
  test.each(cases6)("%s", (row, expected) => expect(told(parse(row, 6))).toEqual(expected));
});

describe("malformed", () => {
  const cases: [row: string, message: string][] = [
    ['{"priority":5,"src":"all"}', "rule.json:1: the rule has no action"],
    ['{"priority":5,"src":"all","action":"nat"}', 'rule.json:1: unknown action "nat"'],
    ['{"priority":5,"src":"2001:db8::","table":"5"}', 'rule.json:1: "src" should be an IPv4 address, not "2001:db8::"'],
    [
      '{"priority":5,"src":"10.0.0.0","srclen":33,"table":"5"}',
      'rule.json:1: "srclen" should be a whole number from 0 to 32, not 33',
    ],
    [
      '{"priority":5,"src":"all","fwmark":"0x1ffffffff","table":"5"}',
      'rule.json:1: "fwmark" should be a whole number from 0 to 4294967295, not "0x1ffffffff"',
    ],
    [
      '{"priority":5,"src":"all","dport_start":7,"table":"5"}',
      'rule.json:1: "dport_start" and "dport_end" should be a range',
    ],
    ['{"priority":5,"src":"all","ipproto":"nope","table":"5"}', 'rule.json:1: unknown "ipproto" "nope"'],
    ['{"priority":5,"src":"all","tos":"nope","table":"5"}', 'rule.json:1: unknown "tos" "nope"'],
    ['{"priority":5,"src":"all","iif":7,"table":"5"}', 'rule.json:1: "iif" should be a string, not 7'],
  ];
  test.each(cases)("%s", (row, message) => expect(() => parse(row, 4)).toThrow(message));
});

test("names that every object has are no tables, protocols or DS fields", () => {
  expect(tableNumber("constructor")).toBeGreaterThanOrEqual(2 ** 32);
  expect(protocolNumber("constructor")).toBeNull();
  expect(dsField("toString")).toBeNull();
});
