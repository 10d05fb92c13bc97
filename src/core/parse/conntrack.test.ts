import { describe, expect, test } from "vitest";
import { formatIp } from "../model/address.ts";
import { ParseError } from "../model/source.ts";
import { parseConntrack } from "./conntrack.ts";

const one = (line: string) => parseConntrack(`${line}\n`, "conntrack.txt")[0]!;

/** Lines that conntrack 1.4.7 printed on Linux 6.18; secctx, offload and labels as libnetfilter_conntrack prints them. */
describe("conntrack -L -o extended", () => {
  test("TCP with counters and DNAT", () => {
    const e = one(
      "ipv4     2 tcp      6 86387 ESTABLISHED src=10.244.0.4 dst=10.96.0.1 sport=40502 dport=443 packets=30 bytes=2104 src=172.30.0.10 dst=172.30.0.11 sport=6443 dport=60126 packets=27 bytes=1957 [ASSURED] mark=5 use=1",
    );
    expect(e).toMatchObject({
      family: 4,
      proto: 6,
      timeout: 86387,
      state: "ESTABLISHED",
      status: ["ASSURED"],
      mark: 5,
    });
    expect(formatIp(e.orig.dst)).toBe("10.96.0.1");
    expect(formatIp(e.reply.src)).toBe("172.30.0.10");
    expect(e.orig).toMatchObject({ sport: 40502, dport: 443 });
    expect(e.reply).toMatchObject({ sport: 6443, dport: 60126 });
  });

  test.each([
    [
      "ipv4     2 unknown  2 585 src=0.0.0.0 dst=224.0.0.22 [UNREPLIED] src=224.0.0.22 dst=0.0.0.0 mark=0 use=1",
      { proto: 2, timeout: 585, state: null, status: ["UNREPLIED"], orig: { sport: 0, dport: 0 } },
    ],
    [
      "ipv4     2 udp      17 29 src=127.0.0.1 dst=127.0.0.1 sport=55000 dport=69 packets=1 bytes=29 [UNREPLIED] src=127.0.0.1 dst=127.0.0.1 sport=69 dport=55000 packets=0 bytes=0 mark=4294967295 delta-time=0 helper=tftp use=1",
      { proto: 17, mark: 0xffffffff, helper: "tftp", state: null },
    ],
    [
      "ipv4     2 tcp      6 99 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1001 dport=80 packets=0 bytes=0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1001 packets=0 bytes=0 mark=0 zone=7 delta-time=0 use=1",
      { zone: 7, zoneOrig: 0, zoneReply: 0 },
    ],
    [
      "ipv4     2 tcp      6 99 SYN_SENT src=10.0.0.1 dst=10.0.0.2 sport=1002 dport=80 zone-orig=7 packets=0 bytes=0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=80 dport=1002 zone-reply=8 packets=0 bytes=0 mark=0 use=1",
      { zone: 0, zoneOrig: 7, zoneReply: 8 },
    ],
    [
      "ipv4     2 icmp     1 29 src=10.0.0.1 dst=10.0.0.4 type=13 code=0 id=77 packets=0 bytes=0 [UNREPLIED] src=10.0.0.4 dst=10.0.0.1 type=14 code=0 id=78 packets=0 bytes=0 mark=0 delta-time=0 use=1 id=505976889",
      { orig: { icmpType: 13, icmpCode: 0, icmpId: 77 }, reply: { icmpType: 14, icmpId: 78 } },
    ],
    [
      "ipv6     10 icmpv6   58 99 src=2001:db8::1 dst=2001:db8::2 type=128 code=0 id=9 [UNREPLIED] src=2001:db8::2 dst=2001:db8::1 type=129 code=0 id=9 mark=0 use=1",
      { family: 6, proto: 58, orig: { icmpType: 128, icmpId: 9 } },
    ],
    [
      "ipv6     10 tcp      6 99 ESTABLISHED src=2001:db8::1 dst=2001:db8::2 sport=1000 dport=80 [UNREPLIED] src=2001:db8::2 dst=2001:db8::1 sport=80 dport=1000 mark=0 use=1 id=2644915996",
      { family: 6, state: "ESTABLISHED", orig: { icmpId: 0 } },
    ],
    [
      "ipv4     2 sctp     132 99 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1000 dport=53 packets=0 bytes=0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=1000 packets=0 bytes=0 mark=0 delta-time=0 use=1",
      { proto: 132, state: "ESTABLISHED" },
    ],
    [
      "ipv4     2 dccp     33 99 src=10.0.0.1 dst=10.0.0.2 sport=0 dport=0 packets=0 bytes=0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=0 dport=0 packets=0 bytes=0 mark=0 delta-time=0 use=1",
      { proto: 33, state: null },
    ],
    [
      "ipv4     2 gre      47 99 src=10.0.0.1 dst=10.0.0.2 srckey=0x10 dstkey=0x20 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 srckey=0x20 dstkey=0x10 mark=0 use=1",
      { proto: 47, orig: { sport: 16, dport: 32 }, reply: { sport: 32, dport: 16 } },
    ],
    [
      "ipv4     2 tcp      6 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 [OFFLOAD] mark=0 secctx=system_u:object_r:unlabeled_t:s0 use=2",
      { timeout: null, state: null, status: ["OFFLOAD"], secctx: "system_u:object_r:unlabeled_t:s0" },
    ],
    [
      "ipv4     2 udp      17 9 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 [HW_OFFLOAD] mark=0 [start=Fri Nov 20 21:53:56 2026] [stop=Fri Nov 20 21:54:00 2026] use=2 labels=ct1,ct2",
      { status: ["HW_OFFLOAD"] },
    ],
  ])("%s", (line, wanted) => expect(one(line)).toMatchObject(wanted));

  const good =
    "ipv4     2 udp      17 9 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 mark=0 use=1";
  test.each([
    [good, "no newline"],
    [`${good.split(" src=10.0.0.2")[0]}\n`, "both directions"],
    [`${good.replace("10.0.0.1", "2001:db8::1")}\n`, "malformed"],
    [`${good.replace("sport=1", "sport=65536")}\n`, "malformed"],
    [`${good.replace("mark=0", "mark=x")}\n`, "malformed"],
    [`${good.replace("ipv4", "ipv5")}\n`, "expected"],
    [`${good.replace("     2 ", "     10 ")}\n`, "expected"],
    [`${good} src=10.0.0.1\n`, "malformed"],
    [`${good} word\n`, 'unexpected "word"'],
    [`${good} [ASS\n`, "closing bracket"],
    ["\n", "expected"],
  ])("refuses %j", (text, message) => {
    expect(() => parseConntrack(text, "conntrack.txt")).toThrow(ParseError);
    expect(() => parseConntrack(text, "conntrack.txt")).toThrow(message);
  });

  test("names the line", () => {
    expect(() => parseConntrack(`${good}\nbad\n`, "conntrack.txt")).toThrow("conntrack.txt:2:");
  });
});
