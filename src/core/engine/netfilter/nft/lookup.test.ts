import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packet, run, load, ruleset } from "../../../../../test/support/nft-runner.ts";
import { formatIp, ip4, ip6, parseIp } from "../../../model/address.ts";
import type { NftJson } from "../../../model/nftables.ts";
import { TCP } from "../../packet.ts";
import type { EvalState } from "../program.ts";
import { WordIndex, SingleIndex } from "./exact-index.ts";
import { concatBytes, jhash, registerBytes } from "./hash-key.ts";
import { Lookup, MISS } from "./lookup.ts";
import { BoxIndex, RangeIndex } from "./range-index.ts";
import * as t from "./types.ts";
import { bitwise, compareValues, prefixInterval, within } from "./value.ts";
import type { Interval, Value } from "./value.ts";

/** Few different values, so that keys meet; some beyond 2^31. */
const numberValue = fc.constantFrom(0, 1, 2, 3, 7, 80, 0x7fffffff, -0x80000000, -2, -1);
const textValue = fc.constantFrom("", "a", "eth", "eth0", "eth00", "lo", "zz");
const KINDS = [numberValue, textValue] as const;

const shape = fc.array(fc.constantFrom(0, 1), { minLength: 1, maxLength: 3 });

const keyOf = (kinds: number[]): fc.Arbitrary<Value[]> =>
  fc.tuple(...kinds.map((kind) => KINDS[kind]!)) as fc.Arbitrary<Value[]>;

const boxOf = (kinds: number[]): fc.Arbitrary<Interval[]> =>
  fc
    .tuple(keyOf(kinds), keyOf(kinds))
    .map(([x, y]) => x.map((v, i) => (compareValues(v, y[i]!) <= 0 ? { lo: v, hi: y[i]! } : { lo: y[i]!, hi: v })));

describe("indexes find what a search finds", () => {
  test("exact keys: the first of equal ones", () => {
    const cases = shape.chain((kinds) =>
      fc.tuple(fc.constant(kinds.length), fc.array(keyOf(kinds), { maxLength: 40 }), fc.array(keyOf(kinds))),
    );
    fc.assert(
      fc.property(cases, ([parts, keys, wanted]) => {
        const index = parts === 1 ? new SingleIndex(keys) : new WordIndex(keys, parts);
        for (const want of [...wanted, ...keys]) {
          const naive = keys.findIndex((key) => key.every((v, i) => v === want[i]));
          expect(index.get(want)).toBe(naive);
        }
      }),
    );
  });

  test("boxes: the first that holds the key", () => {
    const cases = shape.chain((kinds) =>
      fc.tuple(fc.array(boxOf(kinds), { maxLength: 30 }), fc.array(keyOf(kinds), { minLength: 1 })),
    );
    fc.assert(
      fc.property(cases, ([boxes, wanted]) => {
        const index = new BoxIndex(boxes);
        for (const want of wanted) {
          const naive = boxes.findIndex((box) => box.every((span, i) => within(want[i]!, span)));
          expect(index.get(want)).toBe(naive);
        }
      }),
    );
  });

  test("ranges: one that holds the value, if any does", () => {
    fc.assert(
      fc.property(fc.array(boxOf([0]), { maxLength: 30 }), fc.array(numberValue, { minLength: 1 }), (spans, wanted) => {
        const index = new RangeIndex(spans);
        for (const want of wanted) {
          const found = index.get([want]);
          expect(found >= 0).toBe(spans.some((span) => within(want, span[0]!)));
          if (found >= 0) expect(within(want, spans[found]![0]!)).toBe(true);
        }
      }),
    );
  });
});

describe("literals", () => {
  test.each<[t.ValueType, NftJson, Value | undefined]>([
    [t.MARK, 0xffffffff, -1],
    [t.MARK, 0x100000000, undefined],
    [t.MARK, -1, undefined],
    [t.MARK, "0x10", 16],
    [t.PROTO, "tcp", 6],
    [t.PROTO, "toString", undefined],
    [t.CT_STATE, ["established", "related"], 6],
    [t.CT_STATE, { "|": ["established", "related"] }, 6],
    [t.TCP_FLAG, { "&": [{ "|": ["syn", "ack"] }, "ack"] }, 16],
    [t.IPV4, "10.0.0.1", 0x0a000001],
    [t.IPV4, "fd00::1", undefined],
    [t.IPV6, "fd00::1", "fd000000000000000000000000000001"],
    [t.ETHER_ADDR, "02:00:00:00:00:AA", "0200000000aa"],
    [t.IFNAME, "odd\\*", "odd*"],
    [t.IFACE, "7", "#7"],
    [t.IFACE, "eth0", "eth0"],
    [t.BOOLEAN, true, 1],
    [t.NAME, "ftp", "ftp"],
  ])("%o %j", (type, json, value) => {
    expect(t.literal(type, json)).toBe(value);
  });

  test("intervals", () => {
    expect(t.interval(t.IPV4, { prefix: { addr: "10.1.2.3", len: 8 } })).toEqual({ lo: 0x0a000000, hi: 0x0affffff });
    expect(t.interval(t.IPV4, { prefix: { addr: "0.0.0.0", len: 0 } })).toEqual({ lo: 0, hi: -1 });
    expect(t.interval(t.MARK, { prefix: { addr: 0x10, len: 28 } })).toEqual({ lo: 0x10, hi: 0x1f });
    expect(t.interval(t.SERVICE, { range: [90, 80] })).toBeUndefined();
    expect(t.interval(t.IFNAME, "eth*")).toEqual({ lo: "eth", hi: "eth\u{ffff}" });
    expect(t.interval(t.IFNAME, "eth\\*")).toEqual({ lo: "eth*", hi: "eth*" });
  });

  test("an interval is a prefix exactly when it is one's", () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 0, max: 32 }), (word, len) => {
        const ip = formatIp(ip4(word));
        const span = t.interval(t.IPV4, { prefix: { addr: ip, len } })!;
        expect(t.intervalPrefix(t.IPV4, span)?.len).toBe(len);
        const wider = { lo: span.lo, hi: (Number(span.hi) + 1) | 0 };
        if (len > 0 && len < 32) expect(t.intervalPrefix(t.IPV4, wider)).toBeNull();
      }),
    );
    const p = t.intervalPrefix(t.IPV6, t.interval(t.IPV6, { prefix: { addr: "fd00::", len: 61 } })!);
    expect(p?.len).toBe(61);
    expect(prefixInterval(p!).hi).toBe(parseIp("fd00:0:0:7:ffff:ffff:ffff:ffff")?.key);
  });

  test("bits of addresses", () => {
    const key = (text: string): Value => parseIp(text)!.key;
    expect(bitwise("&", key("fd00::1234"), key("::ff00"))).toBe(ip6(0, 0, 0, 0x1200).key);
    expect(bitwise("|", 0x10, -0x80000000)).toBe(-0x7ffffff0);
    expect(bitwise(">>", -1, 28)).toBe(15);
    expect(bitwise("<<", key("::1"), 1)).toBeUndefined();
  });
});

describe("hash keys", () => {
  test("registers: the wire's order for ports, the host's for marks, padded side by side", () => {
    const port = registerBytes(t.SERVICE, 0x1234)!;
    const mark = registerBytes(t.MARK, 0x01020304)!;
    expect([...port]).toEqual([0x12, 0x34]);
    expect([...mark]).toEqual([4, 3, 2, 1]);
    expect([...concatBytes([port, mark])]).toEqual([0x12, 0x34, 0, 0, 4, 3, 2, 1]);
    expect(registerBytes(t.IFACE, "eth0")).toBeNull();
    expect(registerBytes(t.IFNAME, "lo")?.length).toBe(16);
  });

  // kernel.test.ts compares whole hashes with the running kernel's.
  test("the true length goes into the hash, not the padded one", () => {
    expect(jhash(new Uint8Array(0), 0)).toBe(0xdeadbeef);
    expect(jhash(Uint8Array.of(17), 5)).not.toBe(jhash(Uint8Array.of(17, 0, 0, 0), 5));
  });
});

test("a lookup with an unknown part misses when the rest fits nothing", () => {
  const elements = [{ concat: ["10.0.0.1", 80] }, { concat: ["10.0.0.2", 81] }];
  const lookup = new Lookup(elements, false, [t.IPV4, t.SERVICE], "a set", null);
  const s = { pkt: packet(TCP, "10.0.0.9", 1, "10.0.0.1", 80), why: "" } as unknown as EvalState;
  const find = (address: Value, port: Value | undefined): number => lookup.find(s, [() => address, () => port]);
  expect(find(0x0a000001, 80)).toBe(0);
  expect(find(0x0a000003, undefined)).toBe(MISS);
  expect(find(0x0a000002, undefined)).toBeLessThan(MISS);
});

test("a set of 10,000 services is found at both ends", () => {
  const address = (i: number): string => `10.96.${i >> 8}.${i & 255}`;
  const elem = Array.from({ length: 10_000 }, (_, i) => [
    { concat: [address(i), "tcp", 80] },
    i % 2 ? { drop: null } : { accept: null },
  ]);
  const key = {
    concat: [
      { payload: { protocol: "ip", field: "daddr" } },
      { meta: { key: "l4proto" } },
      { payload: { protocol: "th", field: "dport" } },
    ],
  };
  const loaded = load(
    ruleset("ip", { c: [[{ vmap: { key, data: "@m" } }]] }, [
      { name: "m", type: ["ipv4_addr", "inet_proto", "inet_service"], map: "verdict", elem },
    ]),
  );
  const verdict = (i: number): string => run(loaded, "c", packet(TCP, "10.0.0.1", 1, address(i), 80)).verdict;
  expect([verdict(0), verdict(9999), verdict(10_000)]).toEqual(["accept", "drop", "accept"]);
});
