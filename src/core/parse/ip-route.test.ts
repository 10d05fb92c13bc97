import { describe, expect, test } from "vitest";
import { formatIp, formatPrefix } from "../model/address.ts";
import type { NextHop, Route } from "../model/route.ts";
import { tableNumber } from "./ip-names.ts";
import { parseIpRoute } from "./ip-route.ts";
import { parseNexthop } from "./nexthop.ts";

/** `ip -j nexthop` of iproute2 6.1. */
const NEXTHOPS = parseNexthop(
  '[{"id":1,"gateway":"10.1.0.9","dev":"v0","scope":"link","flags":[]},{"id":2,"gateway":"10.1.0.8","dev":"v0","scope":"link","protocol":"static","flags":["onlink"]},{"id":3,"blackhole":null,"flags":[]},{"id":4,"dev":"v2","scope":"host","flags":[]},{"id":5,"gateway":"2001:db8::9","dev":"v0","scope":"link","flags":["dead","linkdown"]},{"id":7,"gateway":"172.16.0.9","scope":"link","flags":[],"fdb":null},{"id":8,"gateway":"172.16.0.10","scope":"link","flags":[],"fdb":null},{"id":10,"group":[{"id":1,"weight":3},{"id":2}],"flags":[]},{"id":11,"group":[{"id":7},{"id":8}],"flags":[],"fdb":null},{"id":12,"group":[{"id":3}],"flags":[]},{"id":13,"group":[{"id":1},{"id":2}],"type":"resilient","resilient_args":{"buckets":16,"idle_timer":120,"unbalanced_timer":0,"unbalanced_time":0},"flags":[]},{"id":15,"group":[{"id":1},{"id":5}],"flags":[]},{"id":16,"group":[{"id":1},{"id":99}],"flags":[]},{"id":17,"encap":"ip","id":42,"src":"0.0.0.0","dst":"10.1.0.9","ttl":5,"tos":0,"dev":"vx1","scope":"link","flags":[]}]',
  "nexthop.json",
);

const parse = (row: string, family: 4 | 6): Route[] => parseIpRoute(`[${row}]\n`, "route.json", family, NEXTHOPS);

const hop = (h: NextHop): string => {
  const words = [
    h.gateway === null ? "" : `via ${formatIp(h.gateway)}`,
    h.dev ?? "",
    h.weight === 1 ? "" : `x${h.weight}`,
  ];
  words.push(
    h.onlink ? "onlink" : "",
    h.dead ? "dead" : "",
    h.linkdown ? "linkdown" : "",
    h.encap === null ? "" : `encap ${h.encap.type}`,
  );
  return words.filter((w) => w !== "").join(" ");
};

/** A route as one line, what is usual left out. */
const line = (r: Route): string => {
  const words = [
    r.type,
    formatPrefix(r.dst),
    r.from === null ? "" : `from ${formatPrefix(r.from)}`,
    `table ${r.table}`,
    r.protocol,
    r.scope,
  ];
  words.push(
    `metric ${r.metric}`,
    r.tos === 0 ? "" : `tos ${r.tos}`,
    r.prefSrc === null ? "" : `src ${formatIp(r.prefSrc)}`,
  );
  words.push(
    r.mtu === null ? "" : `mtu ${r.mtu}`,
    r.nhid === null ? "" : `nhid ${r.nhid}`,
    r.pref === null ? "" : `pref ${r.pref}`,
  );
  return `${words.filter((w) => w !== "").join(" ")} [${r.nexthops.map(hop).join(", ")}]`;
};

describe("IPv4, as ip -j -d -4 route show table all prints it", () => {
  const cases: [row: string, expected: string][] = [
    [
      '{"type":"unicast","dst":"default","gateway":"10.1.0.254","dev":"v0","table":"main","protocol":"boot","scope":"global","flags":["onlink"]}',
      "unicast 0.0.0.0/0 table 254 boot global metric 0 [via 10.1.0.254 v0 onlink]",
    ],
    [
      '{"type":"unicast","dst":"10.51.0.0/16","gateway":"10.1.0.9","dev":"v0","table":"99","protocol":"boot","scope":"global","prefsrc":"10.1.0.2","metric":77,"flags":[],"metrics":[{"mtu":1400,"advmss":1300}]}',
      "unicast 10.51.0.0/16 table 99 boot global metric 77 src 10.1.0.2 mtu 1400 [via 10.1.0.9 v0]",
    ],
    [
      '{"type":"unicast","dst":"10.9.0.2","dev":"v2","table":"main","protocol":"kernel","scope":"link","prefsrc":"10.9.0.1","flags":["dead","linkdown"]}',
      "unicast 10.9.0.2/32 table 254 kernel link metric 0 src 10.9.0.1 [v2 dead linkdown]",
    ],
    [
      '{"type":"unicast","dst":"10.53.0.0/16","table":"main","protocol":"boot","scope":"global","flags":[],"nexthops":[{"gateway":"10.1.0.9","dev":"v0","weight":3,"flags":[]},{"gateway":"10.1.0.8","dev":"v0","weight":1,"flags":["onlink"]}]}',
      "unicast 10.53.0.0/16 table 254 boot global metric 0 [via 10.1.0.9 v0 x3, via 10.1.0.8 v0 onlink]",
    ],
    [
      '{"type":"unicast","dst":"10.54.0.0/16","via":{"family":"inet6","host":"2001:db8::99"},"dev":"v0","table":"main","protocol":"boot","scope":"global","flags":[]}',
      "unicast 10.54.0.0/16 table 254 boot global metric 0 [via 2001:db8::99 v0]",
    ],
    [
      '{"type":"unicast","dst":"10.55.0.0/16","table":"main","protocol":"boot","scope":"global","flags":[],"nexthops":[{"via":{"family":"inet6","host":"2001:db8::99"},"dev":"v0","weight":2,"flags":[]},{"gateway":"10.1.0.9","dev":"v0","weight":1,"flags":[]}]}',
      "unicast 10.55.0.0/16 table 254 boot global metric 0 [via 2001:db8::99 v0 x2, via 10.1.0.9 v0]",
    ],
    [
      '{"type":"blackhole","dst":"10.56.0.0/16","table":"main","protocol":"80","scope":"global","flags":[]}',
      "blackhole 10.56.0.0/16 table 254 80 global metric 0 []",
    ],
    [
      '{"type":"throw","dst":"10.59.0.0/16","table":"53","protocol":"boot","scope":"global","flags":[]}',
      "throw 10.59.0.0/16 table 53 boot global metric 0 []",
    ],
    [
      '{"type":"unicast","dst":"10.60.0.0/16","tos":"0x10","gateway":"10.1.0.9","dev":"v0","table":"default","protocol":"boot","scope":"global","flags":[]}',
      "unicast 10.60.0.0/16 table 253 boot global metric 0 tos 16 [via 10.1.0.9 v0]",
    ],
    [
      '{"dst":"10.80.0.0/16","tos":"EF","gateway":"10.1.0.9","dev":"v0","flags":[]}',
      "unicast 10.80.0.0/16 table 254 boot global metric 0 tos 184 [via 10.1.0.9 v0]",
    ],
    [
      '{"type":"unicast","dst":"10.63.0.0/16","encap":"seg6","mode":"encap","segs":["2001:db8::5","2001:db8::6"],"dev":"v0","table":"main","protocol":"boot","scope":"link","flags":[]}',
      "unicast 10.63.0.0/16 table 254 boot link metric 0 [v0 encap seg6]",
    ],
    // The tunnel's destination is a second `dst` within the same object.
    [
      '{"type":"unicast","dst":"10.62.0.0/16","encap":"ip","id":42,"src":"10.1.0.1","dst":"10.1.0.9","ttl":5,"tos":0,"dev":"vx1","table":"main","protocol":"boot","scope":"link","flags":[]}',
      "unicast 10.62.0.0/16 table 254 boot link metric 0 [vx1 encap ip]",
    ],
    [
      '{"type":"unicast","dst":"10.62.1.0/24","table":"main","protocol":"boot","scope":"global","flags":[],"nexthops":[{"encap":"ip","id":42,"src":"0.0.0.0","dst":"10.1.0.9","ttl":5,"tos":0,"dev":"vx1","weight":1,"flags":[]},{"gateway":"10.1.0.9","dev":"v0","weight":1,"flags":[]}]}',
      "unicast 10.62.1.0/24 table 254 boot global metric 0 [vx1 encap ip, via 10.1.0.9 v0]",
    ],
    [
      '{"type":"unicast","dst":"10.61.0.0/16","encap":"mpls","dst":"100/200","gateway":"10.1.0.9","dev":"v0","table":"main","protocol":"boot","scope":"global","flags":[]}',
      "unicast 10.61.0.0/16 table 254 boot global metric 0 [via 10.1.0.9 v0 encap mpls]",
    ],
    [
      '{"type":"multicast","dst":"239.0.0.0/8","dev":"v0","table":"main","protocol":"boot","scope":"link","flags":[]}',
      "multicast 239.0.0.0/8 table 254 boot link metric 0 [v0]",
    ],
    [
      '{"type":"local","dst":"10.1.0.1","dev":"v0","table":"local","protocol":"kernel","scope":"host","prefsrc":"10.1.0.1","flags":[]}',
      "local 10.1.0.1/32 table 255 kernel host metric 0 src 10.1.0.1 [v0]",
    ],
  ];
  test.each(cases)("%s", (row, expected) => expect(parse(row, 4).map(line)).toEqual([expected]));
});

describe("IPv6", () => {
  const cases: [row: string, expected: string[]][] = [
    [
      '{"type":"unicast","dst":"default","gateway":"fe80::1","dev":"v0","table":"main","protocol":"boot","scope":"global","metric":1024,"flags":[],"metrics":[{"mtu":1300}],"pref":"medium"}',
      ["unicast ::/0 table 254 boot global metric 1024 mtu 1300 pref medium [via fe80::1 v0]"],
    ],
    [
      '{"type":"unicast","dst":"2001:db8:51::/48","table":"main","protocol":"boot","scope":"global","metric":1024,"flags":[],"pref":"medium","nexthops":[{"gateway":"2001:db8::9","dev":"v0","weight":3,"flags":[]},{"gateway":"fe80::8","dev":"v2","weight":1,"flags":[]}]}',
      [
        "unicast 2001:db8:51::/48 table 254 boot global metric 1024 pref medium [via 2001:db8::9 v0 x3, via fe80::8 v2]",
      ],
    ],
    [
      '{"type":"unicast","dst":"2001:db8:53::/48","from":"2001:db8:1::4","gateway":"2001:db8::9","dev":"v0","table":"main","protocol":"boot","scope":"global","metric":10,"flags":[],"expires":499,"pref":"high"}',
      [
        "unicast 2001:db8:53::/48 from 2001:db8:1::4/128 table 254 boot global metric 10 pref high [via 2001:db8::9 v0]",
      ],
    ],
    [
      '{"type":"unreachable","dst":"2001:db8:54::/48","dev":"lo","table":"main","protocol":"boot","scope":"global","metric":1024,"flags":[],"pref":"medium"}',
      ["unreachable 2001:db8:54::/48 table 254 boot global metric 1024 pref medium []"],
    ],
    [
      '{"type":"local","dst":"::1","dev":"lo","table":"local","protocol":"kernel","scope":"global","metric":0,"flags":[],"pref":"medium"}',
      ["local ::1/128 table 255 kernel global metric 0 pref medium [lo]"],
    ],
    // seg6local has a table of its own, printed before the route's.
    [
      '{"type":"unicast","dst":"2001:db8:60::/48","encap":"seg6local","action":"End.DT6","table":"77","dev":"v0","table":"main","protocol":"boot","scope":"global","metric":1024,"flags":[],"pref":"medium"}',
      ["unicast 2001:db8:60::/48 table 254 boot global metric 1024 pref medium [v0 encap seg6local]"],
    ],
    [
      '{"dst":"2001:db8:61::/48","dev":"v0","flags":[]}',
      ["unicast 2001:db8:61::/48 table 254 boot global metric 1024 [v0]"],
    ],
    ['{"dst":"2001:db8:62::1","gateway":"fe80::1","dev":"v0","flags":[],"cache":[]}', []],
  ];
  test.each(cases)("%s", (row, expected) => expect(parse(row, 6).map(line)).toEqual(expected));
});

describe("next hop objects", () => {
  const info =
    '"nh_info":{"id":10,"group":[{"id":1,"weight":3},{"id":2}],"scope":"global","protocol":"unspec","flags":[]}';
  const cases: [row: string, hops: string][] = [
    // With net.ipv4.nexthop_compat_mode=1 (the default) the kernel prints the next hops too.
    [
      `{"type":"unicast","dst":"10.71.0.0/16","nhid":10,"table":"main","protocol":"boot","scope":"global","flags":[],${info},"nexthops":[{"gateway":"10.1.0.9","dev":"v0","weight":3,"flags":[]},{"gateway":"10.1.0.8","dev":"v0","weight":1,"flags":["onlink","dead"]}]}`,
      "via 10.1.0.9 v0 x3, via 10.1.0.8 v0 onlink dead",
    ],
    [
      '{"type":"unicast","dst":"10.76.0.0/16","nhid":5,"via":{"family":"inet6","host":"2001:db8::9"},"dev":"v0","table":"main","flags":[]}',
      "via 2001:db8::9 v0",
    ],
    ['{"type":"blackhole","dst":"10.72.0.0/16","nhid":3,"dev":"lo","table":"main","flags":[]}', ""],
    // With 0, the number alone.
    ['{"type":"unicast","dst":"10.70.0.0/16","nhid":1,"flags":[]}', "via 10.1.0.9 v0"],
    [
      `{"type":"unicast","dst":"10.71.0.0/16","nhid":10,"flags":[],${info}}`,
      "via 10.1.0.9 v0 x3, via 10.1.0.8 v0 onlink",
    ],
    ['{"type":"unicast","dst":"10.74.0.0/16","nhid":13,"flags":[]}', "via 10.1.0.9 v0, via 10.1.0.8 v0 onlink"],
    [
      '{"type":"unicast","dst":"10.75.0.0/16","nhid":15,"flags":[]}',
      "via 10.1.0.9 v0, via 2001:db8::9 v0 dead linkdown",
    ],
    ['{"type":"unicast","dst":"10.77.0.0/16","nhid":4,"flags":[]}', "v2"],
    ['{"type":"unicast","dst":"10.78.0.0/16","nhid":17,"flags":[]}', "vx1 encap ip"],
    ['{"type":"blackhole","dst":"10.73.0.0/16","nhid":12,"flags":[]}', ""],
    [
      '{"type":"unicast","dst":"10.79.0.0/16","nhid":50,"flags":[],"nh_info":{"id":50,"gateway":"10.1.0.7","dev":"v0","scope":"link","protocol":"unspec","flags":[]}}',
      "via 10.1.0.7 v0",
    ],
  ];
  test.each(cases)("%s", (row, hops) => expect(parse(row, 4)[0]!.nexthops.map(hop).join(", ")).toBe(hops));

  test("objects know what they are for", () => {
    const shown = [...NEXTHOPS.values()].map((n) =>
      `${n.id}${n.fdb ? " fdb" : ""}${n.blackhole ? " blackhole" : ""}${n.resilient ? " resilient" : ""} ${n.group.map((m) => `${m.id}x${m.weight}`).join()}`.trim(),
    );
    expect(shown).toEqual([
      "1",
      "2",
      "3 blackhole",
      "4",
      "5",
      "7 fdb",
      "8 fdb",
      "10 1x3,2x1",
      "11 fdb 7x1,8x1",
      "12 3x1",
      "13 resilient 1x1,2x1",
      "15 1x1,5x1",
      "16 1x1,99x1",
      "17",
    ]);
  });
});

test("tables by name: rt_tables is not recorded, so an unknown name has one number everywhere", () => {
  const named = tableNumber("vpn");
  expect(named).toBeGreaterThanOrEqual(2 ** 32);
  expect(named).not.toBe(tableNumber("vpn2"));
  expect(parse('{"dst":"10.0.0.0/8","dev":"x","table":"vpn","flags":[]}', 4)[0]?.table).toBe(named);
});

describe("malformed", () => {
  const cases: [row: string, message: string][] = [
    ['{"dev":"x"}', 'route.json:1: "dst" is missing'],
    ['\n{"dst":"10.0.0.0/33"}', 'route.json:2: "dst" should be an IPv4 prefix, not "10.0.0.0/33"'],
    ['{"dst":"2001:db8::/32"}', 'route.json:1: "dst" should be an IPv4 prefix, not "2001:db8::/32"'],
    ['{"dst":"10.0.0.0/8","type":"nat"}', 'route.json:1: unknown route type "nat"'],
    ['{"dst":"10.0.0.0/8","tos":"odd"}', 'route.json:1: unknown DS field "odd"'],
    ['{"dst":"10.0.0.0/8","gateway":"x"}', 'route.json:1: "gateway" should be an address, not "x"'],
    ['{"dst":"10.0.0.0/8","via":"x"}', 'route.json:1: "via" should be an object, not "x"'],
    [
      '{"dst":"10.0.0.0/8","metric":-1}',
      'route.json:1: "metric" should be a whole number from 0 to 4294967295, not -1',
    ],
    ['{"dst":"10.0.0.0/8","nhid":77}', "route.json:1: next hop object 77 is not recorded"],
    ['{"dst":"10.0.0.0/8","nhid":16}', "route.json:1: next hop object 99 is not recorded"],
    ['{"dst":"10.0.0.0/8","nexthops":[7]}', 'route.json:1: every element of "nexthops" should be an object, not 7'],
  ];
  test.each(cases)("%s", (row, message) => expect(() => parse(row, 4)).toThrow(message));
});
