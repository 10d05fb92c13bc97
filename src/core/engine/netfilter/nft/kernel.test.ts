/** The compiled rules against the kernel's own: a ruleset in a fresh namespace, packets through it, and its counters. */
import { execFileSync, spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TCP, UDP } from "../../packet.ts";
import type { Packet } from "../../packet.ts";
import { connection, device, load, packet, run } from "../../../../../test/support/nft-runner.ts";

const NETNS = `kw-nft-${process.pid}`;

/** Why the kernel can't be asked; null when it can. */
function reason(): string | null {
  if (process.getuid?.() !== 0) return "needs root";
  const made = spawnSync("ip", ["netns", "add", NETNS], { encoding: "utf8" });
  if (made.status !== 0) return `ip netns add: ${made.error?.message ?? made.stderr.trim()}`;
  const nft = inside("nft", ["-j", "list", "ruleset"]);
  return nft.status === 0 ? null : `nft: ${nft.error?.message ?? nft.stderr.trim()}`;
}

function inside(program: string, args: string[], input?: string): SpawnSyncReturns<string> {
  return spawnSync("ip", ["netns", "exec", NETNS, program, ...args], { encoding: "utf8", input });
}

const why = reason();

beforeAll(() => {
  if (why !== null) return;
  const ip = (...args: string[]): void => void execFileSync("ip", ["-n", NETNS, ...args]);
  ip("link", "set", "lo", "up");
  for (const address of ["10.1.0.1/32", "10.1.0.2/32", "10.1.0.3/32"]) ip("addr", "add", address, "dev", "lo");
  for (const address of ["fd00::1/128", "fd00::2/128"]) ip("addr", "add", address, "dev", "lo", "nodad");
});

afterAll(() => {
  spawnSync("ip", ["netns", "del", NETNS]);
});

/** Rules without their counter and verdict: each stands for itself, but for the marks and sets that earlier ones changed. */
const RULES = `
ip saddr 10.1.0.1
ip saddr != 10.1.0.1
ip saddr 10.1.0.0/31
ip saddr != 10.1.0.0/31
ip saddr 10.1.0.2-10.1.0.9
ip daddr { 10.1.0.2, 10.2.0.0/16 }
ip daddr != { 10.1.0.2, 10.2.0.0/16 }
ip saddr & 0.0.0.3 == 0.0.0.1
ip6 saddr fd00::/64
ip6 saddr != fd00::1
ip6 daddr { fd00::2, fd01::/16 }
ip6 saddr & ::ffff == ::1
ip6 saddr fd00::-fd00::1
tcp dport 80
udp dport 53
udp dport != 53
udp dport { 50-60, 8080 }
udp sport 4000-5000
udp dport < 100
udp dport >= 8080
th dport { 53, 80 }
@th,16,16 53
@nh,128,32 0x0a010002
meta l4proto { tcp, udp } th sport 4000
meta nfproto ipv6 udp dport 53
meta protocol ip
ip protocol udp
ip protocol != tcp
ip6 nexthdr udp
ip ttl 64
ip ttl < 64
ip length 30
ip length > 40
ip6 length 10
udp length 10
ip version 4
ip dscp cs0
ip dscp != cs1
ip ecn not-ect
ip frag-off & 0x1fff == 0
ip frag-off & 0x4000 == 0x4000
ip6 hoplimit 64
meta length 30
meta length > 35
meta mark 0
meta mark != 0
meta pkttype host
meta pkttype { broadcast, multicast }
meta iifname "lo"
oifname "lo"
iifname "l*"
iifname @ifs
oifname != @ifs
oifname . udp dport @wide
iifname != "l*"
oifname { "eth*", "lo" }
iif lo
oif != lo
iifgroup default
meta iiftype loopback
meta oiftype != ether
ether saddr != 00:11:22:33:44:55
tcp flags syn
tcp flags & (syn | ack) == syn
tcp flags ! syn
tcp flags != syn
tcp flags { syn, syn | ack }
tcp option maxseg exists
tcp option sack missing
exthdr frag exists
exthdr frag missing
ip option ra missing
ct state new
ct state established,related
ct state != established
ct state { new, established }
ct state != established | new
ct direction original
ct direction reply
ct status confirmed
ct status snat,dnat
ct status & 0x8 == 0
ct mark 0
ct zone 0
ct original ip saddr 10.1.0.1
ct original ip saddr != 10.1.0.9
ct reply ip6 daddr fd00::1
ct l3proto ipv4
ct protocol udp
ct helper "ftp"
ip saddr . udp dport { 10.1.0.1 . 53, 10.1.0.3 . 1-9000 }
ip saddr . ip daddr . th dport { 10.1.0.0/24 . 10.1.0.2 . 50-90 }
ip saddr . meta l4proto . th dport != { 10.1.0.1 . udp . 53 }
ip6 saddr . udp dport { fd00::1 . 53 }
iifname . ip saddr { "lo" . 10.1.0.1, "eth0" . 10.1.0.3 }
oifname . meta l4proto . th dport { "lo" . udp . 53 }
ip saddr @named
ip saddr . udp dport @pairs
meta mark set 0x10 meta mark & 0x30 == 0x10
meta mark set meta mark | 0x3
meta mark 0x13
meta mark set meta mark ^ 0xff
meta mark set meta mark & 0xffffff0f | 0x50
meta mark set ip saddr map { 10.1.0.1 : 0x77, 10.1.0.2-10.1.0.200 : 0x78 }
meta mark { 0x77, 0x78 }
meta mark 0x60-0x77
meta mark > 0x77
ct mark set meta mark
ct mark { 0x77, 0x78 }
meta mark set udp dport map { 53 : 1, 8080 : 2 }
meta mark 2
tcp dport 80 meta mark set 9
ip saddr @grown
add @grown { ip saddr }
ip saddr @grown
delete @grown { ip saddr }
ip saddr @grown
update @pairsgrown { ip saddr . udp dport }
ip saddr . udp dport @pairsgrown
ip dscp set cs1
ip dscp cs1
ip ttl set 33
ip ttl 33
meta mark set jhash ip saddr . udp dport mod 1000 seed 0x1234
add @marks { meta mark }
meta mark set jhash udp sport mod 100000 seed 0xdeadbeef offset 7
add @marks { meta mark }
meta mark set jhash ip6 saddr . ip6 daddr . udp sport mod 100000 seed 99
add @marks { meta mark }
meta mark set jhash meta l4proto mod 100000 seed 5
add @marks { meta mark }
meta mark set jhash meta mark . ip daddr mod 100000 seed 5
add @marks { meta mark }
meta mark set jhash oifname mod 100000 seed 3
add @marks { meta mark }
limit rate 1/day burst 1 packets meta mark set 0
fib daddr type local
fib saddr type { unicast, broadcast }
`
  .trim()
  .split("\n");

/** One with a verdict each, in chains of their own that are jumped to. */
const VERDICTS = `
  map ports { type inet_proto . inet_service : verdict; elements = { udp . 53 : jump a, tcp . 80 : goto b } }
  chain a {
    counter
  }
  chain b {
    counter
    return
  }
  chain v {
    meta l4proto . th dport vmap @ports counter
    ip saddr vmap { 10.1.0.1 : continue, 10.1.0.2-10.1.0.9 : jump a } counter
    udp dport vmap { 0-100 : return, 8080 : jump b }
    counter
  }`;

function text(): string {
  const rules = RULES.map((rule) => `    ${rule} counter`).join("\n");
  return `table inet t {
  set named { type ipv4_addr; flags interval; elements = { 10.1.0.1, 10.1.0.3-10.1.0.7 } }
  set pairs { type ipv4_addr . inet_service; elements = { 10.1.0.1 . 53, 10.1.0.3 . 8081 } }
  set ifs { type ifname; flags interval; elements = { "l*", "eth0" } }
  set wide { type ifname . inet_service; flags interval; elements = { "lo" . 50-60, "eth0" . 1-9000 } }
  set grown { type ipv4_addr; flags dynamic; size 10; }
  set pairsgrown { type ipv4_addr . inet_service; flags dynamic; size 10; }
  set marks { type mark; flags dynamic; size 100; }
${VERDICTS}
  chain out {
    type filter hook output priority 0; policy accept;
    tcp flags rst accept
    meta skuid 0 counter
    meta skuid != 0 counter
    meta skgid { 0-5 } counter
    jump v
${rules}
  }
  chain in {
    type filter hook input priority 0; policy accept;
    tcp flags rst accept
    jump v
${rules}
  }
}`;
}

interface Case {
  name: string;
  pkt(): Packet;
  send: string;
}

const udp = (src: string, sport: number, dst: string, dport: number): Case => ({
  name: `udp ${src} ${sport} to ${dst} ${dport}`,
  pkt: () => {
    const p = packet(UDP, src, sport, dst, dport);
    p.length = p.v === 4 ? 30 : 50;
    return p;
  },
  send: `
    const type = "${src.includes(":") ? "udp6" : "udp4"}", dgram = require("dgram");
    const to = dgram.createSocket(type), from = dgram.createSocket(type);
    to.bind(${dport}, "${dst}", () => from.bind(${sport}, "${src}", () => from.send("hi", ${dport}, "${dst}")));
    to.on("message", () => { to.close(); from.close(); });`,
});

const syn = (src: string, sport: number, dst: string, dport: number): Case => ({
  name: `tcp ${src} ${sport} to ${dst} ${dport}`,
  pkt: () => {
    const p = packet(TCP, src, sport, dst, dport);
    p.tcpFlags = 2;
    p.length = p.v === 4 ? 60 : 80;
    return p;
  },
  send: `
    require("net").connect({ host: "${dst}", port: ${dport}, localAddress: "${src}", localPort: ${sport} }).on("error", () => {});`,
});

const CASES = [
  udp("10.1.0.1", 4000, "10.1.0.2", 53),
  udp("10.1.0.3", 1024, "10.1.0.2", 8080),
  udp("fd00::1", 4000, "fd00::2", 53),
  syn("10.1.0.1", 5000, "10.1.0.2", 80),
  syn("fd00::1", 5000, "fd00::2", 80),
];

interface ListedRule {
  chain: string;
  handle: number;
  expr: Record<string, unknown>[];
}

describe.skipIf(why !== null)(`as the kernel does${why === null ? "" : ` (skipped: ${why})`}`, () => {
  test.each(CASES)("$name", ({ pkt, send }) => {
    inside("nft", ["flush", "ruleset"]);
    const loaded = inside("nft", ["-f", "-"], text());
    expect(loaded.stderr).toBe("");
    const before = inside("nft", ["-j", "-a", "list", "ruleset"]).stdout;
    expect(inside(process.execPath, ["-e", send]).stderr).toBe("");
    const after = inside("nft", ["-j", "-a", "list", "ruleset"]).stdout;
    const items = (JSON.parse(after) as { nftables: { rule?: ListedRule; set?: { name: string; elem?: number[] } }[] })
      .nftables;
    const rules = items.flatMap((item) => (item.rule === undefined ? [] : [item.rule]));
    const lo = device("lo", { index: 1, kindName: "loopback", mac: "00:00:00:00:00:00" });
    const predicted = load(before);
    const hits = new Map<number, number>();
    const afterMap = new Set(rules.filter((r) => r.expr[0]?.["vmap"] !== undefined).map((r) => r.handle));
    const unsure = new Set<string>();
    const p = pkt();
    p.uid = 0;
    p.gid = 0;
    p.ct = connection(p);
    p.ctInfo = "new";
    for (const hook of ["out", "in"] as const) {
      if (hook === "in") {
        // Handed over by the loopback device: confirmed after OUTPUT, and the last rule there cleared its mark.
        p.uid = null;
        p.mark = 0;
        p.ct.confirmed = true;
      }
      const met = run(predicted, hook, p, {
        hook: hook === "out" ? "output" : "input",
        iif: hook === "out" ? null : lo,
        oif: hook === "out" ? lo : null,
        local: (address) => address.v === 6 || address.a >>> 24 === 10,
      });
      // A verdict that a map gives comes before the counter.
      for (const [i, handle] of met.rules.entries())
        if (met.words[i] === "continue" || !afterMap.has(handle)) hits.set(handle, (hits.get(handle) ?? 0) + 1);
      for (const each of met.unknowns) unsure.add(each);
    }
    const wrong: string[] = [];
    for (const rule of rules) {
      const counter = rule.expr.find((each) => each["counter"] !== undefined)?.["counter"] as { packets: number };
      if (counter === undefined) continue;
      const printed = JSON.stringify(rule.expr);
      // What nobody can know is not compared.
      if (/"limit"|tcp option/.test(printed)) continue;
      const here = hits.get(rule.handle) ?? 0;
      if (here !== counter.packets) wrong.push(`${rule.chain}: kernel ${counter.packets}, here ${here}: ${printed}`);
    }
    expect(wrong).toEqual([]);
    expect([...unsure]).toEqual(["limit rate 1/day can go either way"]);
    const marks = items.find((item) => item.set?.name === "marks")?.set?.elem ?? [];
    expect(
      new Set(p.setChanges.filter((c) => "name" in c.set && c.set.name === "marks").map((c) => Number(c.key) >>> 0)),
    ).toEqual(new Set(marks));
  });
});
