/** One line a form: what iptables-save prints, and the matches it means. */
import { describe, expect, test } from "vitest";
import { parseIp, parsePrefix } from "../../model/address.ts";
import { ParseError } from "../../model/source.ts";
import type { XtMatch } from "../../model/xtables.ts";
import { parseIptablesSave } from "../iptables-save.ts";
import { formatRule } from "./print.ts";

function ruleOf(options: string, family: "ip" | "ip6") {
  return parseIptablesSave(`*raw\n:A - [0:0]\n-A A ${options}\nCOMMIT\n`, "f", family).tables[0]!.chains[0]!.rules[0]!;
}

const prefix = (text: string) => parsePrefix(text)!;
const ip = (text: string) => parseIp(text)!;
const nothing = {
  viaState: false,
  state: null,
  status: null,
  proto: null,
  origsrc: null,
  origdst: null,
  replsrc: null,
  repldst: null,
  origsrcport: null,
  origdstport: null,
  replsrcport: null,
  repldstport: null,
  expire: null,
  dir: null,
};
const noPhysdev = { in: null, out: null, isIn: null, isOut: null, isBridged: null };
const recent = { seconds: null, reap: false, hitcount: null, rttl: false, mask: null, side: "src" as const };

type Case = [options: string, matches: XtMatch[]];

const V4: Case[] = [
  ["-s 10.0.0.0/8", [{ m: "src", not: false, prefix: prefix("10.0.0.0/8") }]],
  ["! -d 10.0.0.1/32", [{ m: "dst", not: true, prefix: prefix("10.0.0.1/32") }]],
  ["-s 10.0.0.0/255.0.255.0", [{ m: "src-mask", not: false, addr: { ip: ip("10.0.0.0"), mask: ip("255.0.255.0") } }]],
  ["! -d 0.0.0.5/0.0.0.255", [{ m: "dst-mask", not: true, addr: { ip: ip("0.0.0.5"), mask: ip("0.0.0.255") } }]],
  [
    "-i eth0 ! -o cali+",
    [
      { m: "in", not: false, name: "eth0" },
      { m: "out", not: true, name: "cali+" },
    ],
  ],
  ["-p ipencap", [{ m: "proto", not: false, proto: 4 }]],
  ["! -p tcp", [{ m: "proto", not: true, proto: 6 }]],
  ["-p 253", [{ m: "proto", not: false, proto: 253 }]],
  ["-f", [{ m: "fragment", not: false }]],
  ["! -f", [{ m: "fragment", not: true }]],
  [
    "-p tcp -m tcp",
    [
      { m: "proto", not: false, proto: 6 },
      { m: "sport", ext: "tcp", not: false, range: [0, 65535] },
    ],
  ],
  [
    "-m udp ! --sport 5:6 --dport 53",
    [
      { m: "sport", ext: "udp", not: true, range: [5, 6] },
      { m: "dport", ext: "udp", not: false, range: [53, 53] },
    ],
  ],
  ["-m sctp --dport 1024:65535", [{ m: "dport", ext: "sctp", not: false, range: [1024, 65535] }]],
  [
    "-m tcp --dport 4 ! --tcp-option 5 --tcp-flags FIN,SYN,RST,ACK SYN",
    [
      { m: "dport", ext: "tcp", not: false, range: [4, 4] },
      { m: "tcp-option", not: true, option: 5 },
      { m: "tcp-flags", not: false, mask: 0x17, comp: 2 },
    ],
  ],
  ["-m tcp ! --tcp-flags FIN,SYN,RST,PSH,ACK,URG NONE", [{ m: "tcp-flags", not: true, mask: 0x3f, comp: 0 }]],
  ["-m icmp --icmp-type 8", [{ m: "icmp", v6: false, not: false, type: 8, code: [0, 255] }]],
  ["-m icmp ! --icmp-type 3/4", [{ m: "icmp", v6: false, not: true, type: 3, code: [4, 4] }]],
  ["-m icmp --icmp-type any", [{ m: "icmp", v6: false, not: false, type: 255, code: [0, 255] }]],
  [
    "-m multiport --dports 80,443",
    [
      {
        m: "multiport",
        not: false,
        side: "dst",
        ports: [
          [80, 80],
          [443, 443],
        ],
      },
    ],
  ],
  [
    "-m multiport ! --ports 1:2,5",
    [
      {
        m: "multiport",
        not: true,
        side: "both",
        ports: [
          [1, 2],
          [5, 5],
        ],
      },
    ],
  ],
  ["-m multiport --sports 1", [{ m: "multiport", not: false, side: "src", ports: [[1, 1]] }]],
  [
    "-m addrtype --dst-type LOCAL",
    [{ m: "addrtype", srcNot: false, src: null, dstNot: false, dst: ["LOCAL"], limitIface: null }],
  ],
  [
    "-m addrtype --src-type UNICAST,LOCAL ! --dst-type BROADCAST --limit-iface-in",
    [{ m: "addrtype", srcNot: false, src: ["UNICAST", "LOCAL"], dstNot: true, dst: ["BROADCAST"], limitIface: "in" }],
  ],
  [
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    [{ m: "conntrack", ...nothing, state: { not: false, states: ["RELATED", "ESTABLISHED"] } }],
  ],
  [
    "-m conntrack ! --ctstate INVALID,DNAT",
    [{ m: "conntrack", ...nothing, state: { not: true, states: ["INVALID", "DNAT"] } }],
  ],
  ["-m state --state NEW", [{ m: "conntrack", ...nothing, viaState: true, state: { not: false, states: ["NEW"] } }]],
  [
    "-m conntrack --ctproto 6 ! --ctorigsrc 10.0.0.0/8 --ctorigdst 10.0.0.1 --ctrepldstport 6:7 ! --ctstatus ASSURED --ctexpire 5 --ctdir REPLY",
    [
      {
        m: "conntrack",
        ...nothing,
        proto: { not: false, proto: 6 },
        origsrc: { not: true, prefix: prefix("10.0.0.0/8") },
        origdst: { not: false, prefix: prefix("10.0.0.1/32") },
        repldstport: { not: false, range: [6, 7] },
        status: { not: true, statuses: ["ASSURED"] },
        expire: { not: false, range: [5, 5] },
        dir: "REPLY",
      },
    ],
  ],
  ["-m mark --mark 0x1", [{ m: "mark", not: false, value: 1, mask: 0xffffffff }]],
  ["-m connmark ! --mark 0x80000000/0x80000000", [{ m: "connmark", not: true, value: 0x80000000, mask: 0x80000000 }]],
  [
    "-m statistic --mode random --probability 0.33333333349",
    [{ m: "random", not: false, p: "0.33333333349", num: 1, den: 3 }],
  ],
  [
    "-m statistic --mode random ! --probability 0.75000000000",
    [{ m: "random", not: true, p: "0.75000000000", num: 3, den: 4 }],
  ],
  ["-m statistic --mode nth ! --every 3 --packet 1", [{ m: "nth", not: true, every: 3, packet: 1 }]],
  [
    "-m set ! --match-set cali40all-ipam-pools src",
    [{ m: "set", not: true, name: "cali40all-ipam-pools", dirs: ["src"], options: [] }],
  ],
  [
    "-m set --match-set a src,dst --return-nomatch ! --update-counters ! --packets-eq 5",
    [
      {
        m: "set",
        not: false,
        name: "a",
        dirs: ["src", "dst"],
        options: ["--return-nomatch", "!", "--update-counters", "!", "--packets-eq", "5"],
      },
    ],
  ],
  [
    "-m recent --rcheck --seconds 600 --reap --name KUBE-SEP-A --mask 255.255.255.255 --rsource",
    [
      {
        m: "recent",
        not: false,
        op: "rcheck",
        ...recent,
        seconds: 600,
        reap: true,
        name: "KUBE-SEP-A",
        mask: ip("255.255.255.255"),
      },
    ],
  ],
  [
    "-m recent ! --update --hitcount 4 --rttl --name a --rdest",
    [{ m: "recent", not: true, op: "update", ...recent, hitcount: 4, rttl: true, name: "a", side: "dst" }],
  ],
  ["-m rpfilter", [{ m: "rpfilter", loose: false, validmark: false, acceptLocal: false, invert: false }]],
  [
    "-m rpfilter --loose --validmark --accept-local --invert",
    [{ m: "rpfilter", loose: true, validmark: true, acceptLocal: true, invert: true }],
  ],
  ["-m physdev ! --physdev-in eth0+", [{ m: "physdev", ...noPhysdev, in: { not: true, name: "eth0+" } }]],
  [
    "-m physdev --physdev-is-in ! --physdev-is-out --physdev-is-bridged",
    [{ m: "physdev", ...noPhysdev, isIn: true, isOut: false, isBridged: true }],
  ],
  ["-m mac ! --mac-source 00:11:22:aa:bb:cc", [{ m: "mac", not: true, mac: "00:11:22:aa:bb:cc" }]],
  [
    "-m socket --transparent --nowildcard",
    [{ m: "socket", transparent: true, nowildcard: true, restoreSkmark: false }],
  ],
  ["-m ttl --ttl-lt 5", [{ m: "ttl", op: "lt", value: 5 }]],
  ["-m ttl ! --ttl-eq 64", [{ m: "ttl", op: "ne", value: 64 }]],
  ["-m length ! --length 100:65535", [{ m: "length", not: true, range: [100, 65535] }]],
  ["-m limit --limit 10/min --limit-burst 20", [{ m: "limit", rate: "10/min", burst: 20 }]],
  [
    "-m hashlimit --hashlimit-upto 5/sec --hashlimit-burst 5 --hashlimit-name foo",
    [{ m: "hashlimit", words: ["--hashlimit-upto", "5/sec", "--hashlimit-burst", "5", "--hashlimit-name", "foo"] }],
  ],
  [
    "-m owner --socket-exists --uid-owner 0-1000 ! --gid-owner 5 --suppl-groups",
    [
      { m: "owner", not: false, what: "socket-exists", range: null, supplGroups: false },
      { m: "owner", not: false, what: "uid", range: [0, 1000], supplGroups: false },
      { m: "owner", not: true, what: "gid", range: [5, 5], supplGroups: true },
    ],
  ],
  ["-m comment --comment foo", [{ m: "comment", text: "foo" }]],
  ['-m comment --comment ""', [{ m: "comment", text: "" }]],
  ['-m comment --comment "a \\"b\\" \\\'c\\\' \\\\ -j DROP"', [{ m: "comment", text: "a \"b\" 'c' \\ -j DROP" }]],
  ["-m comment --comment -j", [{ m: "comment", text: "-j" }]],
  ["-m tcpmss ! --mss 500:600", [{ m: "tcpmss", not: true, range: [500, 600] }]],
  ["-m dscp ! --dscp 0x0a", [{ m: "dscp", not: true, value: 10 }]],
  ["-m tos --tos 0x10/0x3f", [{ m: "tos", not: false, value: 0x10, mask: 0x3f }]],
  ["-m pkttype ! --pkt-type broadcast", [{ m: "pkttype", not: true, type: "broadcast" }]],
  [
    "-m iprange ! --src-range 10.0.0.1-10.0.0.9 --dst-range 1.1.1.1-1.1.1.2",
    [
      {
        m: "iprange",
        src: { not: true, from: ip("10.0.0.1"), to: ip("10.0.0.9") },
        dst: { not: false, from: ip("1.1.1.1"), to: ip("1.1.1.2") },
      },
    ],
  ],
  ["-m realm ! --realm 0x5/0xff", [{ m: "realm", not: true, value: 5, mask: 0xff }]],
  ['-m helper ! --helper "ftp 1"', [{ m: "helper", not: true, name: "ftp 1" }]],
  ["-m nfacct --nfacct-name  ct_state_invalid_dropped_pkts", [{ m: "nfacct", name: "ct_state_invalid_dropped_pkts" }]],
  ["-m cgroup ! --cgroup 5", [{ m: "cgroup", words: ["!", "--cgroup", "5"] }]],
  ["-m devgroup ! --src-group 0x1/0xff", [{ m: "devgroup", src: { not: true, value: 1, mask: 0xff }, dst: null }]],
  ["-m devgroup --src-group default", [{ m: "unmodelled", module: "devgroup", words: ["--src-group", "default"] }]],
  [
    '-m string --string "foo bar" --algo bm',
    [{ m: "unmodelled", module: "string", words: ["--string", '"foo bar"', "--algo", "bm"] }],
  ],
  [
    '-m u32 --u32 "0x0>>0x16&0x3c@0x4=0x0"',
    [{ m: "unmodelled", module: "u32", words: ["--u32", '"0x0>>0x16&0x3c@0x4=0x0"'] }],
  ],
  [
    "-m mark --mark 0x1 --new-option 5",
    [{ m: "unmodelled", module: "mark", words: ["--mark", "0x1", "--new-option", "5"] }],
  ],
  ["-m new  --two-spaces", [{ m: "unmodelled", module: "new", words: ["", "--two-spaces"] }]],
];

const V6: Case[] = [
  ["-s fd00:0:0:1::/64", [{ m: "src", not: false, prefix: prefix("fd00:0:0:1::/64") }]],
  ["! -d ::ffff:10.0.0.1/128", [{ m: "dst", not: true, prefix: prefix("::ffff:10.0.0.1/128") }]],
  ["-d ::5/::ffff", [{ m: "dst-mask", not: false, addr: { ip: ip("::5"), mask: ip("::ffff") } }]],
  ["-s ::192.0.2.1/128", [{ m: "src", not: false, prefix: prefix("::c000:201/128") }]],
  ["-p ipv6-icmp", [{ m: "proto", not: false, proto: 58 }]],
  ["-m icmp6 ! --icmpv6-type 1/4", [{ m: "icmp", v6: true, not: true, type: 1, code: [4, 4] }]],
  ["-m hl ! --hl-eq 64", [{ m: "hl", op: "ne", value: 64 }]],
  ["-m hl --hl-gt 5", [{ m: "hl", op: "gt", value: 5 }]],
  ["-m frag --fragid 5 --fragfirst", [{ m: "unmodelled", module: "frag", words: ["--fragid", "5", "--fragfirst"] }]],
  [
    "-m conntrack --ctorigdst fd00::1",
    [{ m: "conntrack", ...nothing, origdst: { not: false, prefix: prefix("fd00::1/128") } }],
  ],
];

describe("as iptables-save 1.8.9 prints them", () => {
  test.each(V4)("%s", (options, matches) => {
    const rule = ruleOf(options, "ip");
    expect(rule.matches).toEqual(matches);
    expect(formatRule("A", rule)).toBe(`-A A ${options}`);
  });
  test.each(V6)("IPv6: %s", (options, matches) => {
    const rule = ruleOf(options, "ip6");
    expect(rule.matches).toEqual(matches);
    expect(formatRule("A", rule)).toBe(`-A A ${options}`);
  });
});

describe("forms of other versions", () => {
  test.each([
    ["-p 4", "-p ipencap"],
    ["-p TCP", "-p tcp"],
    ["-p icmpv6", "-p ipv6-icmp"],
    ["-p hopopt", "-p all"],
    ["-p carp", "-p vrrp"],
    ["-s 10.0.0.1", "-s 10.0.0.1/32"],
    ["-s 10.1.2.3/255.0.0.0", "-s 10.0.0.0/8"],
    ["-m tcp --dport 0:65535", "-m tcp"],
    ["-m tcp --dport 80:", "-m tcp --dport 80:65535"],
    ["-m tcp --dport 80 --sport 5", "-m tcp --dport 80 -m tcp --sport 5"],
    ["-m mark --mark 16/0xff", "-m mark --mark 0x10/0xff"],
    ["-m icmp", "-m icmp --icmp-type any"],
    ["-m icmp --icmp-type echo-request", "-m icmp --icmp-type 8"],
    ["-m icmp --icmp-type fragmentation-needed", "-m icmp --icmp-type 3/4"],
    ["-m mac --mac-source 00:11:22:AA:BB:CC", "-m mac --mac-source 00:11:22:aa:bb:cc"],
    ["-m limit", "-m limit --limit 3/hour"],
    ["-m recent --set", "-m recent --set --name DEFAULT --rsource"],
    ["-m statistic --mode nth --every 3", "-m statistic --mode nth --every 3 --packet 0"],
    ["-m nfacct --nfacct-name x", "-m nfacct --nfacct-name  x"],
    ["-m tos --tos 0x10", "-m tos --tos 0x10/0xff"],
    ["-m physdev  --physdev-in a", "-m physdev --physdev-in a"],
    ["-m tcp  -m mark --mark 0x1 ", "-m tcp -m mark --mark 0x1"],
  ])("%s", (options, printed) => {
    expect(formatRule("A", ruleOf(options, "ip"))).toBe(`-A A ${printed}`);
  });
});

describe("malformed values", () => {
  test.each([
    ["-s 10.0.0.256/32", "-s: expected an IPv4 address, found 10.0.0.256"],
    ["-s 10.0.0.1/33", "-s: expected a prefix length or a mask after /, found 10.0.0.1/33"],
    ["-s fd00::/64", "-s: expected an IPv4 address, found fd00::"],
    ["-s", "-s: expected one value, found nothing"],
    ["-s 10.0.0.1/32 10.0.0.2/32", "expected a match such as -s or -m, or -j and a target, found 10.0.0.2/32"],
    ["-p tcp udp", "-p: expected one value, found tcp udp"],
    ["-i abcdefghijklmnop", "-i: expected an interface of at most 15 characters, found abcdefghijklmnop"],
    ["-p nosuch", "-p: expected a protocol, found nosuch"],
    ["-p 256", "-p: expected a protocol, found 256"],
    ["-m tcp --dport 99999", "--dport: expected a number up to 65535, found 99999"],
    ["-m tcp --dport 90:80", "--dport: expected a range A:B with A not above B, found 90:80"],
    ["-m tcp --dport", "--dport: expected a value"],
    ["-m tcp --dport 80 90", "expected an option, found 90"],
    ["-m tcp --dport 80 --dport 90", "--dport is given twice"],
    ["-m tcp --tcp-flags SYN,FOO SYN", "--tcp-flags: expected names of TCP flags, found SYN,FOO"],
    ["-m icmp --icmp-type 256", "--icmp-type: expected a number up to 255, found 256"],
    ["-m multiport --dports 80,", "--dports: expected a number up to 65535, found "],
    ["-m multiport --dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", "--dports: expected at most 15 ports"],
    ["-m addrtype --dst-type LOCALE", "--dst-type: expected UNSPEC, UNICAST"],
    ["-m addrtype", "-m addrtype: expected --src-type or --dst-type"],
    ["-m conntrack --ctstate NEW,", "--ctstate: expected INVALID, NEW"],
    ["-m conntrack --ctdir BOTH", "--ctdir: expected ORIGINAL or REPLY, found BOTH"],
    ["-m state --state DNAT", "--state: expected INVALID, NEW"],
    ["-m mark --mark 0x100000000", "--mark: expected a number up to 4294967295, found 0x100000000"],
    ["-m mark --mark foo", "--mark: expected a number up to 4294967295, found foo"],
    ["-m mark", "-m mark: expected --mark"],
    ["-m statistic --mode random --probability 1.5", "--probability: expected a decimal from 0 to 1, found 1.5"],
    ["-m statistic --mode sometimes", "-m statistic: expected --mode random or --mode nth, found sometimes"],
    ["-m statistic --mode nth --every 3 --packet 3", "--packet: expected a number below --every 3, found 3"],
    ["-m set --match-set a both", "--match-set: expected up to six of src and dst, found both"],
    ["-m set --match-set a", "--match-set: expected a value"],
    ["-m recent --name a", "-m recent: expected one of --set, --rcheck, --update, --remove"],
    ["-m recent --set --mask fd00::", "--mask: expected an IPv4 address, found fd00::"],
    ["-m mac --mac-source 00:11:22:33:44", "--mac-source: expected a MAC address, found 00:11:22:33:44"],
    ["-m ttl --ttl-eq 300", "--ttl-eq: expected a number up to 255, found 300"],
    ["-m length --length 5:4", "--length: expected a range A:B with A not above B, found 5:4"],
    ["-m limit --limit often", "--limit: expected a rate such as 5/sec, found often"],
    ["-m owner --uid-owner root", "--uid-owner: expected a number up to 4294967295, found root"],
    ["-m dscp --dscp 64", "--dscp: expected a number up to 63, found 64"],
    ["-m iprange --src-range 10.0.0.9-10.0.0.1", "--src-range: expected a range upwards, found 10.0.0.9-10.0.0.1"],
  ])("%s", (options, message) => {
    expect(() => ruleOf(options, "ip")).toThrow(ParseError);
    expect(() => ruleOf(options, "ip")).toThrow(`f:3: ${message}`);
  });
});
