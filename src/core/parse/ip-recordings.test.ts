import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ParseError } from "../model/source.ts";
import { parseBridgeFdb } from "./bridge-fdb.ts";
import { parseBridgeLink } from "./bridge-link.ts";
import { parseBridgeVlan } from "./bridge-vlan.ts";
import { parseIpAddr } from "./ip-addr.ts";
import { parseIpRoute } from "./ip-route.ts";
import { parseIpRule } from "./ip-rule.ts";
import { parseNeigh, parseProxyNeigh } from "./neigh.ts";
import { parseNetnsIds } from "./netns-id.ts";
import { parseNexthop } from "./nexthop.ts";
import { parseTcQdisc } from "./tc.ts";

/** Every reader of iproute2's JSON by the file that a snapshot has for it; each returns something with a size or length. */
const READERS: Record<string, (text: string, file: string) => readonly unknown[] | ReadonlyMap<unknown, unknown>> = {
  "addr.json": parseIpAddr,
  "route4.json": (text, file) => parseIpRoute(text, file, 4, new Map()),
  "route6.json": (text, file) => parseIpRoute(text, file, 6, new Map()),
  "rule4.json": (text, file) => parseIpRule(text, file, 4),
  "rule6.json": (text, file) => parseIpRule(text, file, 6),
  "neigh.json": parseNeigh,
  "neigh-proxy.json": parseProxyNeigh,
  "fdb.json": parseBridgeFdb,
  "bridge-link.json": parseBridgeLink,
  "vlan.json": parseBridgeVlan,
  "nexthop.json": parseNexthop,
  "nsid.json": parseNetnsIds,
  "tc.json": parseTcQdisc,
};

const recordings = join(import.meta.dirname, "../../../../shared/fixtures");
const absent = existsSync(recordings) ? null : "skipped: no recordings at ../shared/fixtures";

/** Files of the recordings by name, with their path. */
function recorded(): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const path of readdirSync(recordings, { recursive: true, encoding: "utf8" })) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name in READERS && path.includes("/nodes/")) out.set(name, [...(out.get(name) ?? []), path]);
  }
  return out;
}

describe.skipIf(absent !== null)(absent ?? "recordings of real clusters", () => {
  const files = absent === null ? recorded() : new Map<string, string[]>();

  test.each([...files.keys()])("every %s", (name) => {
    for (const path of files.get(name)!) {
      const text = readFileSync(join(recordings, path), "utf8");
      const result = READERS[name]!(text, path);
      // tc.json lists what is worth noting only; everything else is one for one.
      if (name !== "tc.json")
        expect("size" in result ? result.size : result.length, path).toBe(
          text.trim() === "" ? 0 : JSON.parse(text).length,
        );
    }
  });

  test("routes name links that exist", () => {
    for (const path of files.get("route4.json") ?? []) {
      const dir = join(recordings, path, "..");
      const links = new Set(parseIpAddr(readFileSync(join(dir, "addr.json"), "utf8"), "addr.json").map((l) => l.name));
      for (const family of [4, 6] as const) {
        const file = `route${family}.json`;
        for (const route of parseIpRoute(readFileSync(join(dir, file), "utf8"), file, family, new Map())) {
          for (const { dev } of route.nexthops) expect(links, path).toContain(dev);
        }
      }
    }
  });
});

/** One row of everything for each reader, to be damaged. */
const SAMPLES: Record<string, string> = {
  "addr.json":
    '[{"ifindex":4,"link":"v3","ifname":"v2","flags":["BROADCAST","UP","LOWER_UP"],"mtu":1500,"master":"br1","link_type":"ether","address":"c2:0f:ee:6d:38:b6","xdp":{"mode":2},"linkinfo":{"info_kind":"veth","info_slave_kind":"bridge","info_slave_data":{"state":"forwarding","hairpin":false}},"addr_info":[{"family":"inet","local":"10.9.1.1","address":"10.9.2.0","prefixlen":24,"scope":"link","secondary":true,"label":"v2"},{"family":"inet6","local":"2001:db8:2::1","prefixlen":128,"scope":"global","tentative":true}]},\n{"ifindex":7,"link_index":9,"ifname":"vx0","flags":[],"mtu":1450,"linkinfo":{"info_kind":"vxlan","info_data":{"id":42,"remote":"10.1.0.9","local6":"::1","link":"v0","port":8472,"learning":false,"ttl":17,"df":"set"}}},{"ifindex":8,"ifname":"t","flags":[],"mtu":1480,"linkinfo":{"info_kind":"ipip","info_data":{"remote":"any","ttl":0,"pmtudisc":true}}},{"ifindex":9,"ifname":"l","flags":[],"mtu":1480,"linkinfo":{"info_kind":"vlan","info_data":{"protocol":"802.1Q","id":5}}}]',
  "route4.json":
    '[{"type":"unicast","dst":"10.0.0.0/8","gateway":"10.1.0.9","dev":"v0","table":"99","protocol":"boot","scope":"global","prefsrc":"10.1.0.2","metric":77,"tos":"0x10","flags":["onlink"],"metrics":[{"mtu":1400}]},\n{"dst":"default","nhid":3,"nexthops":[{"via":{"family":"inet6","host":"::1"},"encap":"ip","dst":"10.0.0.1","dev":"x","weight":2,"flags":[]}]}]',
  "route6.json":
    '[{"type":"local","dst":"::1","from":"2001:db8::/32","dev":"lo","table":"local","metric":0,"flags":[],"pref":"medium"},{"dst":"default","nhid":5,"nh_info":{"id":5,"gateway":"fe80::1","dev":"x","flags":[]}}]',
  "rule4.json":
    '[{"priority":5,"not":null,"src":"10.1.0.0","srclen":24,"dst":"10.0.0.1","fwmark":"0x10","fwmask":"0xff","iif":"a","tos":"0x10","ipproto":"tcp","sport":80,"dport_start":1,"dport_end":2,"uid_start":1,"uid_end":2,"table":"99","suppress_prefixlen":0},{"priority":6,"goto":7},{"priority":7,"action":"blackhole"}]',
  "rule6.json":
    '[{"priority":5,"src":"2001:db8::","srclen":32,"table":"99"},{"priority":6,"nop":null},{"priority":7,"l3mdev":null}]',
  "neigh.json":
    '[{"dst":"10.1.0.78","dev":"v0","lladdr":"02:00:00:00:00:02","state":["STALE"]},{"dst":"2001:db8::77","dev":"v0","router":null,"state":[]}]',
  "neigh-proxy.json": '[{"dst":"10.1.0.90","dev":"v0","proxy":null}]',
  "fdb.json":
    '[{"mac":"02:00:00:00:00:05","ifname":"vx","dst":"10.0.0.2","port":999,"vni":77,"viaIf":"a1","vlan":3,"nhid":4,"flags":["self"],"master":"br","state":"permanent"}]',
  "bridge-link.json": '[{"ifname":"b0","state":"forwarding","hairpin":true,"learning":false,"isolated":1}]',
  "vlan.json": '[{"ifname":"br0","vlans":[{"vlan":1,"flags":["PVID","Egress Untagged"]},{"vlan":10,"vlanEnd":12}]}]',
  "nexthop.json":
    '[{"id":1,"gateway":"10.1.0.9","dev":"v0","flags":["onlink"]},{"id":3,"blackhole":null},{"id":10,"group":[{"id":1,"weight":3},{"id":2}],"type":"resilient"}]',
  "nsid.json": '[{"nsid":0},{"nsid":1,"name":"x"}]',
  "tc.json": '[{"kind":"clsact","dev":"a0"},{"kind":"noqueue","dev":"lo"}]',
};

/** Fails unless the text is read or refused with a ParseError that names the file. */
function readOrRefuse(name: string, text: string): void {
  try {
    READERS[name]!(text, name);
  } catch (e) {
    if (!(e instanceof ParseError)) throw e;
    expect(e.source.file).toBe(name);
    expect(e.source.line).toBeGreaterThan(0);
  }
}

describe("damaged files are read or refused, never more", () => {
  test.each(Object.keys(READERS))("%s", (name) => {
    const sample = SAMPLES[name]!;
    expect(() => READERS[name]!(sample, name)).not.toThrow();
    const change = fc.record({
      at: fc.nat(sample.length),
      cut: fc.nat(3),
      put: fc.string({ maxLength: 3, unit: fc.constantFrom(...'[]{},:"\\0123456789-.eEnulltrfas/ \n\u0000é') }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.option(fc.nat(sample.length)), (changes, length) => {
        let text = sample;
        for (const { at, cut, put } of changes) text = text.slice(0, at) + put + text.slice(at + cut);
        readOrRefuse(name, text.slice(0, length ?? undefined));
      }),
      { numRuns: 700 },
    );
  });

  test.each(Object.keys(READERS))("%s with values of other types", (name) => {
    const anything = fc.oneof(
      fc.constantFrom<unknown>(null, true, -1, 0, 2 ** 60, 0.5, "", "10.0.0.1", "all", [], {}, [[]], [{}], [null]),
      fc.jsonValue({ maxDepth: 2 }),
    );
    /** Places in the sample: the n-th value met on a walk through it. */
    const count = (v: unknown): number =>
      typeof v === "object" && v !== null ? Object.values(v).reduce<number>((n, x) => n + count(x), 1) : 1;
    const replace = (v: unknown, at: { left: number }, by: unknown): unknown => {
      if (at.left-- === 0) return by;
      if (Array.isArray(v)) return v.map((x) => replace(x, at, by));
      if (typeof v !== "object" || v === null) return v;
      return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, replace(x, at, by)]));
    };
    const sample: unknown = JSON.parse(SAMPLES[name]!);
    fc.assert(
      fc.property(fc.nat(count(sample) - 1), anything, (at, by) =>
        readOrRefuse(name, JSON.stringify(replace(sample, { left: at }, by))),
      ),
      { numRuns: 700 },
    );
  });
});
