import { describe, expect, it } from "vitest";
import type { NatRequest } from "../context.ts";
import { matches, run, table } from "../testing/ruleset.ts";
import { connection, ip, packet, services, state } from "../testing/stub.ts";
import type { TestState } from "../testing/stub.ts";
import { UNSURE } from "../program.ts";
import { compileTarget } from "./target.ts";

function apply(target: string, s: TestState, extras: Parameters<typeof table>[1] = {}): string {
  const chain = s.hook.toUpperCase();
  return run(table([`-A ${chain} -p tcp ${target}`], extras), chain, s);
}

describe("marks", () => {
  it.each([
    ["MARK --set-xmark 0x4000/0x4000", 0x1, 0, 0x4001, 0],
    ["MARK --set-xmark 0x0/0x1b0000", 0xffffffff, 0, 0xffe4ffff, 0],
    ["MARK --set-xmark 0x4000/0x0", 0x4001, 0, 0x1, 0],
    ["CONNMARK --set-xmark 0x10/0xf0", 0, 0x8000002f, 0, 0x8000001f],
    ["CONNMARK --save-mark --nfmask 0xff --ctmask 0xffff", 0x1234, 0xabcd0000, 0x1234, 0xabcd0034],
    ["CONNMARK --restore-mark --nfmask 0xf000 --ctmask 0xff00", 0xffff, 0x5678, (0x5678 & 0xff00) ^ 0x0fff, 0x5678],
  ])("%s: %i, %i → %i, %i", (target, mark, ctmark, wantMark, wantCtmark) => {
    const pkt = packet({ mark });
    pkt.ct = connection(pkt, { mark: ctmark });
    apply(`-j ${target}`, state(pkt), { table: "mangle" });
    expect([pkt.mark, pkt.ct.mark]).toEqual([wantMark, wantCtmark]);
  });

  it("leaves the packet alone where CONNMARK finds no connection", () => {
    const pkt = packet({ mark: 7 });
    apply("-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", state(pkt), { table: "mangle" });
    expect(pkt.mark).toBe(7);
  });
});

describe("header changes", () => {
  it.each([
    ["-j DSCP --set-dscp 0x0a", { tos: 3, ttl: 64 }, { tos: 0x2b, ttl: 64 }],
    ["-j TOS --set-tos 0x10/0xff", { tos: 3, ttl: 64 }, { tos: 0x10, ttl: 64 }],
    ["-j TTL --ttl-set 5", { tos: 0, ttl: 64 }, { tos: 0, ttl: 5 }],
    ["-j TTL --ttl-dec 70", { tos: 0, ttl: 64 }, { tos: 0, ttl: 0 }],
    ["-j TTL --ttl-inc 250", { tos: 0, ttl: 64 }, { tos: 0, ttl: 255 }],
  ])("%s", (target, before, after) => {
    const pkt = packet(before);
    apply(target, state(pkt), { table: "mangle" });
    expect({ tos: pkt.tos, ttl: pkt.ttl }).toEqual(after);
  });
});

const seen = (
  target: string,
  hook: TestState["hook"],
  answer: object | null = { dst: "x" },
): { requests: NatRequest[]; s: TestState; verdict: string } => {
  const requests: NatRequest[] = [];
  const s = state(packet({ src: "10.9.8.7", dst: "10.0.0.2" }), {
    hook,
    services: services({
      nat: (_ctx, r) => {
        requests.push(r);
        return answer;
      },
    }),
  });
  return { verdict: apply(target, s, { table: "nat" }), requests, s };
};

describe("address translation", () => {
  it("hands DNAT on", () => {
    const { requests, s, verdict } = seen("-j DNAT --to-destination 10.244.0.5:8080", "prerouting");
    expect(verdict).toBe("accept");
    expect(requests).toEqual([
      expect.objectContaining({
        manip: "dst",
        min: ip("10.244.0.5"),
        max: ip("10.244.0.5"),
        minPort: 8080,
        maxPort: 8080,
      }),
    ]);
    expect(s.trace.lines).toEqual(['nat PREROUTING accept {"dst":"x"}']);
  });

  it("hands SNAT on", () => {
    const { requests } = seen("-j SNAT --to-source 192.0.2.1-192.0.2.3 --random-fully", "postrouting");
    expect(requests).toEqual([
      expect.objectContaining({
        manip: "src",
        min: ip("192.0.2.1"),
        max: ip("192.0.2.3"),
        minPort: null,
        randomFully: true,
      }),
    ]);
  });

  it.each([
    ["prerouting", "dst", "172.16.0.2"],
    ["postrouting", "src", "172.16.8.7"],
  ] as const)("NETMAP in %s keeps host bits", (hook, manip, address) => {
    const { requests } = seen("-j NETMAP --to 172.16.0.0/16", hook);
    expect(requests).toEqual([expect.objectContaining({ manip, min: ip(address), max: ip(address) })]);
  });

  it("drops what can't be translated", () => {
    const { verdict, s } = seen("-j DNAT --to-destination 10.244.0.5", "prerouting", null);
    expect([verdict, s.trace.lines]).toEqual(["drop", ["nat PREROUTING drop"]]);
  });

  it.each([
    ["-j MASQUERADE --random-fully", "postrouting", '{"src":"masqueraded"}'],
    ["-j REDIRECT --to-ports 8080", "prerouting", '{"dst":"redirected"}'],
  ] as const)("%s", (target, hook, changed) => {
    const s = state(packet(), { hook });
    expect(apply(target, s, { table: "nat" })).toBe("accept");
    expect(s.trace.lines[0]).toContain(`accept ${changed}`);
  });
});

const calls = (target: string, fields: Parameters<typeof packet>[0] = {}): string[] => {
  const log: string[] = [];
  const s = state(packet(fields), {
    hook: "prerouting",
    services: services({
      notrack: () => log.push("notrack"),
      setZone: (_c, zone, dir) => log.push(`zone ${zone} ${dir}`),
    }),
  });
  expect(apply(target, s, { table: "raw" })).toBe("accept");
  expect(s.trace.lines[0]).toContain("continue");
  return log;
};

describe("before conntrack", () => {
  it.each([
    ["-j NOTRACK", {}, ["notrack"]],
    ["-j CT --notrack", {}, ["notrack"]],
    ["-j CT --notrack", { ctInfo: "untracked" }, []],
    ["-j CT --zone 5", {}, ["zone 5 both"]],
    ["-j CT --zone-orig 5", {}, ["zone 5 orig"]],
    ["-j CT --zone mark", { mark: 0x10007 }, ["zone 7 both"]],
    ["-j CT --helper ftp", {}, ["zone 0 both"]],
  ] as const)("%s %o", (target, fields, log) => {
    expect(calls(target, fields)).toEqual(log);
  });
});

describe("TPROXY", () => {
  it.each([
    [true, "accept", 1],
    [false, "drop", 0],
    ["unknown", "accept", 1],
  ] as const)("socket %s → %s", (socket, verdict, mark) => {
    const s = state(packet(), { hook: "prerouting", services: services({ tproxy: () => socket }) });
    expect(apply("-j TPROXY --on-port 15001 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1", s, { table: "mangle" })).toBe(
      verdict,
    );
    expect(s.pkt.mark).toBe(mark);
    expect(s.oracle.asked).toHaveLength(socket === "unknown" ? 1 : 0);
  });
});

describe("targets that decide nothing", () => {
  it.each([
    '-j LOG --log-prefix "x"',
    "-j TCPMSS --clamp-mss-to-pmtu",
    "-j NFLOG --nflog-group 3",
    "-j TEE --gateway 10.0.0.9",
    "-j CLASSIFY --set-class 0001:0002",
    "-j TRACE",
    "-j CHECKSUM --checksum-fill",
  ])("%s", (target) => {
    const s = state(packet(), { hook: "postrouting" });
    expect(apply(target, s, { table: "mangle" })).toBe("accept");
    expect(s.trace.lines).toEqual(["mangle POSTROUTING continue", "mangle POSTROUTING policy accept"]);
  });

  it("does not know a chain that was not recorded", () => {
    const s = state(packet());
    const [effect] = compileTarget({ t: "jump", chain: "GONE" }, table([]), { file: "f", line: 1 });
    expect([effect!(s), s.why]).toEqual([UNSURE, "the chain GONE was not recorded"]);
  });

  it("queues", () => {
    const s = state(packet());
    expect(apply("-j NFQUEUE --queue-num 1 --queue-bypass", s)).toBe("queue");
  });
});

describe("sets and lists that a rule changed", () => {
  const sets = "create seen hash:ip family inet hashsize 1024 maxelem 65536\n";

  it("are not known to later rules of the same packet", () => {
    const s = state(packet());
    const program = table(["-A FORWARD -j SET --add-set seen src", "-A FORWARD -m set --match-set seen src -j DROP"], {
      sets,
    });
    run(program, "FORWARD", s);
    expect(s.oracle.asked).toEqual(["an earlier rule changed the set seen for this packet"]);
  });

  it("are known to others", () => {
    expect(matches("-m set --match-set seen src", {}, { sets })).toBe("no");
  });
});
