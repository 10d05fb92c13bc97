import { describe, expect, test } from "vitest";
import { formatPrefix } from "../model/address.ts";
import { ParseError } from "../model/source.ts";
import { parseIpset, printIpset } from "./ipset.ts";

/** What ipset 7.17 printed on Linux 6.18 for every type that kernel had; the last block is from the manual of the others. */
const REAL = `create i4 hash:ip family inet hashsize 1024 maxelem 65536 timeout 600 counters comment skbinfo bucketsize 12 initval 0xf1fdae08
add i4 10.0.1.0 timeout 599 packets 3 bytes 4 comment "hello, world add x" skbmark 0x1/0xff skbprio 1:10 skbqueue 5
create im4 hash:ip family inet hashsize 1024 maxelem 65536 netmask 24 bucketsize 12 initval 0x979ff4fb
add im4 10.0.0.0
create ib4 hash:ip family inet hashsize 1024 maxelem 65536 bitmask 255.255.0.255 bucketsize 12 initval 0x2f16ac96
add ib4 10.0.0.1
create n4 hash:net family inet hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x3163271f
add n4 10.0.0.0/29
add n4 10.0.0.1 comment "x"
add n4 10.1.0.0/16 nomatch
add n4 0.0.0.0/1
create ip4 hash:ip,port family inet hashsize 1024 maxelem 65536 counters bucketsize 12 initval 0xa86c1a77
add ip4 10.0.0.1,udplite:7 packets 0 bytes 0
add ip4 10.0.0.1,ospf:0 packets 0 bytes 0
add ip4 10.0.0.1,sctp:99 packets 0 bytes 0
add ip4 10.0.0.1,icmp:77/5 packets 0 bytes 0
add ip4 10.0.0.1,icmp:echo-request packets 0 bytes 0
add ip4 10.0.0.1,253:0 packets 0 bytes 0
create np4 hash:net,port family inet hashsize 1024 maxelem 65536 timeout 1 bucketsize 12 initval 0xdcf861dd
add np4 10.1.0.0/16,tcp:443 timeout 99 nomatch
create ipi4 hash:ip,port,ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x15848215
add ipi4 10.0.0.1,udp:4789,192.0.2.7
create ipn4 hash:ip,port,net family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x90222357
add ipn4 10.0.0.1,tcp:5,192.0.2.7
add ipn4 10.0.0.1,tcp:5,10.1.0.0/16 nomatch
create ni4 hash:net,iface family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x7d28ff63
add ni4 10.1.0.0/16,eth0
add ni4 10.1.0.0/16,tun+ nomatch wildcard
add ni4 10.1.0.0/16,physdev:cali wildcard
create im6 hash:ip family inet6 hashsize 1024 maxelem 65536 netmask 24 bucketsize 12 initval 0x3692cabf
add im6 2001:d00::
create n6 hash:net family inet6 hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x308d0c8a
add n6 2001:db8:2::/48 nomatch
create ip6 hash:ip,port family inet6 hashsize 1024 maxelem 65536 counters bucketsize 12 initval 0x7121bf6d
add ip6 2001:db8::1,ipv6-icmp:200/3 packets 0 bytes 0
add ip6 2001:db8::1,ipv6-icmp:echo-request packets 0 bytes 0
create ipi6 hash:ip,port,ip family inet6 hashsize 1024 maxelem 65536 bucketsize 12 initval 0x9eedea54
add ipi6 2001:db8::1,udp:4789,2001:db8:ffff::7
create bi bitmap:ip range 10.0.0.0-10.0.0.255 timeout 3 counters
add bi 10.0.0.5 timeout 2 packets 0 bytes 0
create bin bitmap:ip range 10.0.0.0-10.0.255.255 netmask 24
add bin 10.0.7.0
create bim bitmap:ip,mac range 10.9.0.0-10.9.0.255 comment
add bim 10.9.0.4,AA:11:22:33:44:55 comment "z"
add bim 10.9.0.5
create bp bitmap:port range 0-1024
add bp 80
create we"ird hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0xc41b5bdc
add we"ird 1.2.3.4
create sp ace hash:ip family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x56f9c51c
add sp ace 1.2.3.4
create ls list:set size 4 timeout 9
add ls i4 timeout 4
add ls sp ace timeout 8
create nn hash:net,net family inet hashsize 1024 maxelem 65536
add nn 10.0.0.0/8,10.1.0.0/16 nomatch
create npn hash:net,port,net family inet6 hashsize 1024 maxelem 65536
add npn 2001:db8::/32,tcp:80,2001:db8:1::/48
create imk hash:ip,mark family inet markmask 0x000000ff hashsize 1024 maxelem 65536
add imk 10.0.0.1,0x00000012
create imac hash:ip,mac family inet hashsize 1024 maxelem 65536
add imac 10.0.0.1,AA:BB:CC:DD:EE:FF
create m hash:mac hashsize 1024 maxelem 65536 timeout 5
add m AA:BB:CC:DD:EE:0F timeout 0
`;

const sets = new Map(parseIpset(REAL, "ipset.txt").map((s) => [s.name, s]));
const entry = (set: string, i = 0) => sets.get(set)!.entries[i]!;

describe("ipset save", () => {
  test("every type prints as it was read", () => {
    expect(printIpset([...sets.values()])).toBe(REAL);
  });

  test("what an element means", () => {
    expect(entry("i4")).toMatchObject({ timeout: 599, line: 2, nomatch: false });
    expect(formatPrefix(entry("im4").net!)).toBe("10.0.0.0/24");
    expect(formatPrefix(entry("im6").net!)).toBe("2001:d00::/24");
    expect(formatPrefix(entry("n4", 0).net!)).toBe("10.0.0.0/29");
    expect(entry("n4", 2).nomatch).toBe(true);
    expect(entry("ip4", 0)).toMatchObject({ proto: 136, port: 7 });
    expect(entry("ip4", 3)).toMatchObject({ proto: 1, port: 77 * 256 + 5 });
    expect(entry("ip4", 4)).toMatchObject({ proto: 1, port: 8 * 256 });
    expect(entry("ip6", 1)).toMatchObject({ proto: 58, port: 128 * 256 });
    expect(entry("ni4", 1)).toMatchObject({ iface: "tun+", wildcard: true, physdev: false, nomatch: true });
    expect(entry("ni4", 2)).toMatchObject({ iface: "cali", wildcard: true, physdev: true });
    expect(entry("bim", 1).mac).toBeNull();
    expect(entry("bim", 0).mac).toBe("aa:11:22:33:44:55");
    expect(entry("bp", 0)).toMatchObject({ proto: null, port: 80 });
    expect(entry("ls", 1)).toMatchObject({ set: "sp ace", timeout: 8 });
    expect(entry("imk")).toMatchObject({ mark: 0x12 });
    expect(entry("m")).toMatchObject({ mac: "aa:bb:cc:dd:ee:0f", timeout: 0 });
    expect(sets.get("bp")!.range).toEqual({ from: 0, to: 1024 });
    expect(sets.get("imk")!.markmask).toBe(0xff);
    expect(sets.get("bp")!.family).toBeNull();
    expect(sets.get("bi")!.family).toBe("inet");
  });

  test.each([
    ["create x hash:ip family inet", "the last line has no newline"],
    ["create x hash:foo family inet\n", "unknown set type"],
    ["create x hash:ip family inet colour red\n", 'unknown option "colour"'],
    ["create x hash:ip netmask 33\n", "malformed netmask"],
    ["create x bitmap:ip\n", "a bitmap without a range"],
    ["create x bitmap:port range 9-70000\n", "malformed range"],
    ["create x hash:ip\ncreate x hash:ip\n", "created twice"],
    ["add x 10.0.0.1\n", "a set that was not created"],
    ["create x hash:ip\nadd x 10.0.0.1-10.0.0.9\n", "is no element of a hash:ip set"],
    ["create x hash:ip\nadd x 2001:db8::1\n", "is no element"],
    ["create x hash:ip\nadd x 10.0.0.0/8\n", "is no element"],
    ["create x hash:ip,port\nadd x 10.0.0.1\n", "is no element"],
    ["create x hash:ip,port\nadd x 10.0.0.1,tcp:80,1\n", "is no element"],
    ["create x hash:ip,port\nadd x 10.0.0.1,tcp:65536\n", "is no element"],
    ["create x hash:ip\nadd x 10.0.0.1 shiny\n", "malformed options"],
    ["create x hash:ip\nadd x 10.0.0.1 shade 4\n", 'unknown option "shade"'],
    ["create x hash:ip\nadd x 10.0.0.1 timeout soon\n", 'malformed timeout "soon"'],
    ["hello\n", 'expected "create" or "add"'],
  ])("refuses %j", (text, message) => {
    expect(() => parseIpset(text, "ipset.txt")).toThrow(ParseError);
    expect(() => parseIpset(text, "ipset.txt")).toThrow(message);
  });
});
