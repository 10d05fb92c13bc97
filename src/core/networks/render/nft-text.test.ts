import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { loadAndList, noRealNft } from "../../../../test/support/real-nft.ts";
import type { NftJson, NftRuleset, NftTable } from "../../model/nftables.ts";
import { parseNftJson } from "../../parse/nft-json.ts";
import { nftRulesetText, nftRuleText, nftSetText, nftTableText } from "./nft-text.ts";
import { priorityText } from "./nft-priority.ts";
import { NftTextError } from "./nft-value.ts";

const FIXTURES = fileURLToPath(new URL("../../../../../shared/fixtures", import.meta.url));

const payload = (protocol: string, field: string): NftJson => ({ payload: { protocol, field } });
const meta = (key: string): NftJson => ({ meta: { key } });
const match = (left: NftJson, right: NftJson, op = "=="): NftJson => ({ match: { op, left, right } });
const saddr = payload("ip", "saddr");
const dport = payload("tcp", "dport");

/** Statements and the line that nft 1.0.6 prints for them: each was loaded into a kernel and listed both ways. */
const RULES: [NftJson[], string][] = [
  [[match({ ct: { key: "state" } }, ["established", "related"], "in")], "ct state established,related"],
  [[match({ ct: { key: "state" } }, "new")], "ct state == new"],
  [[match({ ct: { key: "state" } }, { set: ["invalid", "new"] })], "ct state { invalid, new }"],
  [[match({ ct: { key: "status" } }, ["snat", "dnat"], "!")], "ct status ! snat,dnat"],
  [[match({ ct: { key: "ip saddr", dir: "original" } }, "1.2.3.4")], "ct original ip saddr 1.2.3.4"],
  [[match({ ct: { key: "helper" } }, "ftp")], 'ct helper "ftp"'],
  [[match({ ct: { key: "expiration" } }, 30)], "ct expiration 30s"],
  [[{ mangle: { key: { ct: { key: "mark" } }, value: meta("mark") } }], "ct mark set meta mark"],
  [[match(meta("mark"), 5, "!=")], "meta mark != 0x00000005"],
  [[match({ "&": [meta("mark"), 16384] }, 0), { return: null }], "meta mark & 0x00004000 == 0x00000000 return"],
  [[match({ "|": [{ "&": [meta("mark"), 16385] }, 1] }, 5)], "meta mark & 0x00004001 | 0x00000001 == 0x00000005"],
  [
    [{ mangle: { key: meta("mark"), value: { "|": [{ "^": [{ "&": [meta("mark"), 3] }, 2] }, 1] } } }],
    "meta mark set meta mark & 0x00000003 ^ 0x00000002 | 0x00000001",
  ],
  [[{ mangle: { key: meta("mark"), value: { "<<": [meta("mark"), 8] } } }], "meta mark set meta mark << 8"],
  [
    [
      {
        mangle: {
          key: meta("mark"),
          value: { map: { key: payload("ip", "dscp"), data: { set: [["cs1", 2]] } } },
        },
      },
    ],
    "meta mark set ip dscp map { cs1 : 0x00000002 }",
  ],
  [
    [
      {
        mangle: {
          key: meta("mark"),
          value: { jhash: { mod: 4, seed: 3735928559, offset: 1, expr: { concat: [saddr, dport] } } },
        },
      },
    ],
    "meta mark set jhash ip saddr . tcp dport mod 4 seed 0xdeadbeef offset 1",
  ],
  [[match(meta("iifname"), "eth*")], 'iifname "eth*"'],
  [[match(meta("oifname"), "@ifs")], "oifname @ifs"],
  [[match({ concat: [meta("oifname"), dport] }, { set: [{ concat: ["a", 80] }] })], 'oifname . tcp dport { "a" . 80 }'],
  [[match(meta("l4proto"), { set: ["tcp", "udp"] })], "meta l4proto { tcp, udp }"],
  [[match(meta("hour"), { range: ["10:00", "11:00"] })], 'meta hour "10:00"-"11:00"'],
  [[match({ fib: { result: "type", flags: ["daddr"] } }, "local")], "fib daddr type local"],
  [[match({ fib: { result: "oif", flags: ["saddr", "mark", "iif"] } }, false)], "fib saddr . mark . iif oif missing"],
  [[match({ fib: { result: "oif", flags: ["saddr", "iif"] } }, "0")], "fib saddr . iif oif 0"],
  [[match({ socket: { key: "mark" } }, 5)], "socket mark 0x00000005"],
  [[match({ rt: { key: "nexthop", family: "ip" } }, "1.2.3.4")], "rt ip nexthop 1.2.3.4"],
  [[match(saddr, { prefix: { addr: "10.0.0.0", len: 8 } }, "!=")], "ip saddr != 10.0.0.0/8"],
  [
    [
      match(saddr, {
        set: ["10.0.0.1", { prefix: { addr: "10.1.0.0", len: 16 } }, { range: ["11.0.0.1", "11.0.0.7"] }],
      }),
    ],
    "ip saddr { 10.0.0.1, 10.1.0.0/16, 11.0.0.1-11.0.0.7 }",
  ],
  [[match({ "&": [saddr, "0.0.0.255"] }, "0.0.0.1")], "ip saddr & 0.0.0.255 == 0.0.0.1"],
  [[match(payload("tcp", "flags"), "syn", "in")], "tcp flags syn"],
  [[match(payload("tcp", "flags"), "syn")], "tcp flags == syn"],
  [[match({ "&": [payload("tcp", "flags"), ["fin", "syn"]] }, "syn")], "tcp flags syn / fin,syn"],
  [[match({ "&": [payload("tcp", "flags"), ["fin", "syn"]] }, "syn", "!=")], "tcp flags != syn / fin,syn"],
  [[match({ payload: { base: "ll", offset: 0, len: 48 } }, 73588229205)], "@ll,0,48 0x1122334455"],
  [[match({ "tcp option": { name: "timestamp" } }, true)], "tcp option timestamp exists"],
  [
    [{ mangle: { key: { "tcp option": { name: "maxseg", field: "size" } }, value: { rt: { key: "mtu" } } } }],
    "tcp option maxseg size set rt mtu",
  ],
  [[match({ exthdr: { name: "frag", field: "frag-off" } }, 5)], "frag frag-off 5"],
  [[match({ exthdr: { name: "frag" } }, true)], "exthdr frag exists"],
  [[match(payload("arp", "saddr ip"), "1.2.3.4")], "arp saddr ip 1.2.3.4"],
  [
    [{ vmap: { key: { concat: [saddr, meta("l4proto"), payload("th", "dport")] }, data: "@services" } }],
    "ip saddr . meta l4proto . th dport vmap @services",
  ],
  [
    [
      {
        vmap: {
          key: { numgen: { mode: "random", mod: 2, offset: 0 } },
          data: {
            set: [
              [0, { goto: { target: "a" } }],
              [1, { jump: { target: "b" } }],
            ],
          },
        },
      },
    ],
    "numgen random mod 2 vmap { 0 : goto a, 1 : jump b }",
  ],
  [[{ counter: { packets: 5, bytes: 600 } }, { accept: null }], "counter packets 5 bytes 600 accept"],
  [[{ counter: "nc" }], 'counter name "nc"'],
  [[{ counter: { map: { key: dport, data: { set: [[80, "nc"]] } } } }], 'counter name tcp dport map { 80 : "nc" }'],
  [[{ limit: { rate: 10, burst: 5, per: "second" } }], "limit rate 10/second"],
  [[{ limit: { rate: 10, burst: 3, per: "minute", inv: true } }], "limit rate over 10/minute burst 3 packets"],
  [
    [{ limit: { rate: 512, burst: 5, per: "hour", inv: true, rate_unit: "kbytes", burst_unit: "kbytes" } }],
    "limit rate over 512 kbytes/hour burst 5 kbytes",
  ],
  [
    [{ quota: { val: 1000, val_unit: "bytes", inv: true, used: 10, used_unit: "bytes" } }],
    "quota over 1000 bytes used 10 bytes",
  ],
  [
    [{ log: { prefix: "hi: ", group: 5, snaplen: 100, "queue-threshold": 3 } }],
    'log prefix "hi: " group 5 snaplen 100 queue-threshold 3',
  ],
  [
    [{ log: { flags: ["tcp sequence", "tcp options", "ip options"] } }],
    "log flags tcp sequence,options flags ip options",
  ],
  [[{ reject: { type: "icmp", expr: "port-unreachable" } }], "reject"],
  [[{ reject: { type: "tcp reset" } }], "reject with tcp reset"],
  [[{ reject: { type: "icmpx", expr: "admin-prohibited" } }], "reject with icmpx admin-prohibited"],
  [
    [{ set: { op: "update", elem: { elem: { val: saddr, timeout: 30 } }, set: "@d" } }],
    "update @d { ip saddr timeout 30s }",
  ],
  [[{ set: { op: "add", elem: saddr, set: "@d", stmt: [{ counter: null }] } }], "add @d { ip saddr counter }"],
  [[{ dnat: { addr: "1.2.3.4", port: { range: [80, 90] }, flags: "random" } }], "dnat to 1.2.3.4:80-90 random"],
  [[{ dnat: { family: "ip6", addr: "fd00::1", port: 80 } }], "dnat ip6 to [fd00::1]:80"],
  [
    [
      {
        dnat: {
          family: "ip",
          addr: {
            map: {
              key: saddr,
              data: { set: [[{ prefix: { addr: "10.0.0.0", len: 24 } }, { prefix: { addr: "10.1.0.0", len: 24 } }]] },
            },
          },
          flags: "netmap",
          type_flags: "prefix",
        },
      },
    ],
    "dnat ip prefix to ip saddr map { 10.0.0.0/24 : 10.1.0.0/24 }",
  ],
  [
    [{ redirect: { port: { range: [6443, 6450] }, flags: ["random", "persistent"] } }],
    "redirect to :6443-6450 random,persistent",
  ],
  [[{ masquerade: { flags: "fully-random" } }], "masquerade fully-random"],
  [[{ tproxy: { family: "ip", addr: "127.0.0.1", port: 5 } }], "tproxy ip to 127.0.0.1:5"],
  [[{ dup: { addr: "1.2.3.4", dev: "lo" } }], 'dup to 1.2.3.4 device "lo"'],
  [[{ fwd: { dev: "lo", family: "ip", addr: "1.2.3.4" } }], 'fwd ip to 1.2.3.4 device "lo"'],
  [[{ "ct helper": "h" }], 'ct helper set "h"'],
  [[{ "ct count": { val: 10, inv: true } }], "ct count over 10"],
  [[{ notrack: null }], "notrack"],
];

test.each(RULES)("%j is %s", (expr, text) => {
  expect(nftRuleText({ expr }, "ip")).toBe(text);
});

test("what a bare reject means depends on the family", () => {
  const reject: NftJson = { reject: { type: "icmp", expr: "port-unreachable" } };
  expect(nftRuleText({ expr: [reject] }, "inet")).toBe("reject with icmp port-unreachable");
  expect(nftRuleText({ expr: [reject], comment: "no" })).toBe('reject with icmp port-unreachable comment "no"');
});

test("what has no text is an error, not a guess", () => {
  expect(() => nftRuleText({ expr: [{ teleport: { to: "moon" } }] })).toThrow(NftTextError);
  expect(() => nftRuleText({ expr: [], comment: 'a "b"' })).toThrow(NftTextError);
});

test("priorities go by names where nft knows them", () => {
  const at = [-110, -155, 0, 101, -100].map((priority) => priorityText(priority, "ip", "output"));
  expect(at).toEqual(["-110", "mangle - 5", "filter", "101", "-100"]);
  expect(priorityText(-110, "ip", "prerouting")).toBe("dstnat - 10");
  expect(priorityText(-200, "bridge", "forward")).toBe("filter");
  expect(priorityText(-100, "arp", "output")).toBe("-100");
});

test("a set with all that a set can have", () => {
  const text = nftSetText({
    name: "s",
    isMap: true,
    keyTypes: ["ipv4_addr", "mark"],
    valueType: "verdict",
    flags: ["interval", "timeout"],
    timeout: 5400,
    more: { size: 10, policy: "memory", "gc-interval": 10, comment: "c", stmt: [{ counter: null }] },
    elements: [
      [{ elem: { val: { concat: ["1.1.1.1", 5] }, timeout: 90, expires: 89, comment: "e" } }, { drop: null }],
      [{ concat: [{ prefix: { addr: "10.0.0.0", len: 8 } }, { range: [1, 2] }] }, { jump: { target: "x" } }],
    ],
  });
  expect(text.split("\n").map((line) => line.trim())).toEqual([
    "map s {",
    "type ipv4_addr . mark : verdict",
    "policy memory",
    "size 10",
    "flags interval,timeout",
    "counter",
    "timeout 1h30m",
    "gc-interval 10s",
    'comment "c"',
    'elements = { 1.1.1.1 . 0x00000005 timeout 1m30s expires 1m29s comment "e" : drop,',
    "10.0.0.0/8 . 0x00000001-0x00000002 : jump x }",
    "}",
    "",
  ]);
});

interface Listing {
  file: string;
  json: string;
  text: string | null;
}

function listings(dir: string): Listing[] {
  const read = (path: string): string | null => (existsSync(path) ? readFileSync(path, "utf8") : null);
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("/nft.json"))
    .flatMap((path) => {
      const json = read(join(dir, path)) ?? "";
      return json.trim() === "" ? [] : [{ file: path, json, text: read(join(dir, path.replace(/json$/, "txt"))) }];
    });
}

/** Tables that iptables-nft did not write: those hold matches that nft's JSON only names. */
const ownTables = (ruleset: NftRuleset): NftTable[] =>
  ruleset.tables.filter((table) => !["filter", "nat", "mangle", "raw", "security"].includes(table.name));

/** nft's own listing of one table, without handles, times that are left, and what its JSON of 1.0.6 leaves out: comments of tables, chains, sets. */
function listedTable(text: string, table: NftTable): string {
  const lines = text.split("\n");
  const from = lines.findIndex((line) => line.startsWith(`table ${table.family} ${table.name} {`));
  const to = lines.indexOf("}", from);
  return `${plain(lines.slice(from, to + 1).join("\n"))}\n`;
}

const plain = (text: string): string =>
  text
    .replaceAll(/ # handle \d+$/gm, "")
    .replaceAll(/ expires [0-9dhms]+/g, "")
    .replaceAll(/^\t+comment ".*"\n/gm, "");

/** What two rulesets say, without handles, counts and times that are left. */
const said = (tables: readonly NftTable[]): unknown =>
  JSON.parse(
    JSON.stringify(tables, (key, value: unknown) =>
      ["handle", "source", "expires", "packets", "bytes"].includes(key) ? undefined : value,
    ),
  );

test("tables of recordings are printed as nft printed them, and load again", { timeout: 120_000 }, (context) => {
  const found = existsSync(FIXTURES) ? listings(FIXTURES) : [];
  if (found.length === 0) {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  const real = noRealNft();
  if (real !== null) console.warn(`not loaded: ${real}`);
  let printed = 0;
  for (const { file, json, text } of found) {
    const tables = ownTables(parseNftJson(json, file, null));
    if (tables.length === 0) continue;
    for (const table of tables) {
      printed++;
      if (text !== null) expect(plain(nftTableText(table)), file).toBe(listedTable(text, table));
    }
    if (real !== null) continue;
    const again = parseNftJson(loadAndList(nftRulesetText(tables)), file, null);
    expect(said(again.tables), file).toEqual(said(tables));
  }
  expect(printed).toBeGreaterThan(0);
});
