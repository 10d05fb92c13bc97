import { array, assert, constantFrom, integer, oneof, property, tuple } from "fast-check";
import ipaddr from "ipaddr.js";
import { describe, expect, test } from "vitest";
import { formatIp, formatPrefix, ip4, ip6, parseIp, parsePrefix, prefixOf } from "../model/address.ts";
import type { Ip, Prefix } from "../model/address.ts";
import { buildLpm } from "./lpm.ts";

const ip = (text: string): Ip => {
  const out = parseIp(text);
  if (out === null) throw new Error(text);
  return out;
};
const prefix = (text: string): Prefix => {
  const out = parsePrefix(text);
  if (out === null) throw new Error(text);
  return out;
};

/** All values for an address, in the order in which they are offered. */
function all(entries: (readonly [Prefix, number])[], at: Ip): number[] {
  const seen: number[] = [];
  expect(buildLpm(entries).firstMatch(at, (v) => seen.push(v) < 0)).toBeNull();
  return seen;
}

describe("cases", () => {
  const table = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3/32",
    "10.1.0.0/16",
    "192.168.0.0/16",
    "255.255.255.255/32",
    "::/0",
    "2001:db8::/32",
    "2001:db8::1/128",
    "ffff::/16",
  ];
  const entries = table.map((t, i) => [prefix(t), i] as const);
  const cases: [address: string, values: number[]][] = [
    ["10.1.2.3", [4, 3, 2, 5, 1, 0]],
    ["10.1.2.4", [3, 2, 5, 1, 0]],
    ["10.1.3.0", [2, 5, 1, 0]],
    ["10.2.0.0", [1, 0]],
    ["9.255.255.255", [0]],
    ["11.0.0.0", [0]],
    ["0.0.0.0", [0]],
    ["192.168.255.255", [6, 0]],
    ["255.255.255.255", [7, 0]],
    ["255.255.255.254", [0]],
    ["2001:db8::1", [10, 9, 8]],
    ["2001:db8::2", [9, 8]],
    ["2001:db9::", [8]],
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", [11, 8]],
    ["::", [8]],
  ];
  test.each(cases)("%s", (address, values) => expect(all(entries, ip(address))).toEqual(values));

  test("the first value that is accepted ends the search", () => {
    const lpm = buildLpm(entries);
    expect(lpm.firstMatch(ip("10.1.2.3"), () => true)).toBe(4);
    expect(lpm.firstMatch(ip("10.1.2.3"), (v) => v < 4)).toBe(3);
    expect(lpm.firstMatch(ip("10.1.2.3"), (v) => v > 4)).toBe(5);
  });

  test("an empty table matches nothing", () => {
    expect(all([], ip("10.0.0.1"))).toEqual([]);
    expect(all([], ip("::1"))).toEqual([]);
  });
});

/** Few distinct bits, so that prefixes nest and addresses hit them. */
const word = oneof(constantFrom(0, -1, 0x80000000 | 0, 0x7fffffff, 1), integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
const address4 = word.map((w) => ip4(w));
const address6 = tuple(word, word, word, word).map(([a, b, c, d]) => ip6(a, b, c, d));
const prefix4 = tuple(address4, integer({ min: 0, max: 32 })).map(([a, len]) => prefixOf(a, len));
const prefix6 = tuple(address6, integer({ min: 0, max: 128 })).map(([a, len]) => prefixOf(a, len));

test("agrees with ipaddr.js", () => {
  assert(
    property(
      array(oneof(prefix4, prefix6), { maxLength: 60 }),
      array(oneof(address4, address6), { maxLength: 10 }),
      (prefixes, addresses) => {
        const entries = prefixes.map((p, i) => [p, i] as const);
        const parsed = prefixes.map((p) => ipaddr.parseCIDR(formatPrefix(p)));
        // The ends of every prefix and what lies beside them.
        const probes = [...addresses, ...prefixes.map((p) => p.ip)];
        for (const p of prefixes)
          if (p.ip.v === 4) probes.push(ip4(p.ip.a - 1), ip4(p.ip.a + 1), ip4((p.ip.a >>> 0) + 2 ** (32 - p.len)));
        for (const probe of probes) {
          const a = ipaddr.parse(formatIp(probe));
          const expected = parsed
            .map(([net, len], i) => ({ i, len, hit: net.kind() === a.kind() && a.match(net, len) }))
            .filter((x) => x.hit)
            .toSorted((x, y) => y.len - x.len || x.i - y.i)
            .map((x) => x.i);
          expect(all(entries, probe)).toEqual(expected);
        }
      },
    ),
    { numRuns: 300 },
  );
});
