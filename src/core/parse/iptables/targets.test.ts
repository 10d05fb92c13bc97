/** One line a form: what iptables-save prints, and the target it means. */
import { describe, expect, test } from "vitest";
import { parseIp, parsePrefix } from "../../model/address.ts";
import { ParseError } from "../../model/source.ts";
import type { NatRange, Range, XtTarget } from "../../model/xtables.ts";
import { parseIptablesSave } from "../iptables-save.ts";
import { formatRule } from "./print.ts";

function ruleOf(options: string, family: "ip" | "ip6") {
  return parseIptablesSave(`*raw\n:A - [0:0]\n-A A ${options}\nCOMMIT\n`, "f", family).tables[0]!.chains[0]!.rules[0]!;
}

const ip = (text: string) => parseIp(text)!;
const to = (
  min: string | null,
  max: string | null,
  ports: Range | null = null,
  basePort: number | null = null,
): NatRange => ({
  min: min === null ? null : ip(min),
  max: max === null ? null : ip(max),
  ports,
  basePort,
});
const plain = { random: false, randomFully: false, persistent: false };
const ct = { notrack: false, zone: null, zoneDir: null, zoneFromMark: false, helper: null, words: [] };

type Case = [options: string, target: XtTarget];

const V4: Case[] = [
  ["-j ACCEPT", { t: "accept" }],
  ["-j DROP", { t: "drop" }],
  ["-j RETURN", { t: "return" }],
  ["-j QUEUE", { t: "queue", words: [] }],
  [
    "-j NFQUEUE --queue-balance 1:4 --queue-bypass",
    { t: "queue", words: ["--queue-balance", "1:4", "--queue-bypass"] },
  ],
  ["-j A", { t: "jump", chain: "A" }],
  ["-g A", { t: "goto", chain: "A" }],
  ["-j REJECT --reject-with icmp-admin-prohibited", { t: "reject", with: "icmp-admin-prohibited" }],
  ["-j REJECT --reject-with tcp-reset", { t: "reject", with: "tcp-reset" }],
  ["-j MARK --set-xmark 0x4000/0x4000", { t: "mark", value: 0x4000, mask: 0x4000 }],
  ["-j MARK --set-xmark 0x0/0xffffff00", { t: "mark", value: 0, mask: 0xffffff00 }],
  ["-j CONNMARK --set-xmark 0x1/0xffffffff", { t: "connmark-set", value: 1, mask: 0xffffffff }],
  ["-j CONNMARK --save-mark --nfmask 0xf0 --ctmask 0xff", { t: "connmark-save", nfmask: 0xf0, ctmask: 0xff }],
  [
    "-j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    { t: "connmark-restore", nfmask: 0xffffffff, ctmask: 0xffffffff },
  ],
  [
    "-j DNAT --to-destination 10.244.1.2:8080",
    { t: "dnat", range: to("10.244.1.2", "10.244.1.2", [8080, 8080]), ...plain },
  ],
  ["-j DNAT --to-destination 10.0.0.1", { t: "dnat", range: to("10.0.0.1", "10.0.0.1"), ...plain }],
  [
    "-j DNAT --to-destination 10.0.0.1-10.0.0.2:80-90/100",
    { t: "dnat", range: to("10.0.0.1", "10.0.0.2", [80, 90], 100), ...plain },
  ],
  ["-j DNAT --to-destination :80", { t: "dnat", range: to(null, null, [80, 80]), ...plain }],
  [
    "-j DNAT --to-destination 10.0.0.1:80 --random --persistent",
    { t: "dnat", range: to("10.0.0.1", "10.0.0.1", [80, 80]), random: true, randomFully: false, persistent: true },
  ],
  [
    "-j SNAT --to-source 10.0.0.1-10.0.0.9 --random-fully",
    { t: "snat", range: to("10.0.0.1", "10.0.0.9"), random: false, randomFully: true, persistent: false },
  ],
  ["-j MASQUERADE", { t: "masquerade", ports: null, random: false, randomFully: false }],
  [
    "-j MASQUERADE --to-ports 1024-2048 --random --random-fully",
    { t: "masquerade", ports: [1024, 2048], random: true, randomFully: true },
  ],
  ["-j REDIRECT --to-ports 8080 --random", { t: "redirect", ports: [8080, 8080], random: true }],
  ["-j NETMAP --to 10.0.0.0/24", { t: "netmap", to: parsePrefix("10.0.0.0/24")! }],
  ["-j NOTRACK", { t: "notrack" }],
  ["-j CT", { t: "ct", ...ct }],
  ["-j CT --notrack", { t: "ct", ...ct, notrack: true }],
  ["-j CT --zone-orig 5", { t: "ct", ...ct, zone: 5, zoneDir: "orig" }],
  ["-j CT --zone mark", { t: "ct", ...ct, zoneFromMark: true }],
  [
    "-j CT --helper ftp --timeout foo --ctevents new,destroy --expevents new --zone 3",
    {
      t: "ct",
      ...ct,
      helper: "ftp",
      zone: 3,
      words: ["--timeout", "foo", "--ctevents", "new,destroy", "--expevents", "new"],
    },
  ],
  [
    "-j TPROXY --on-port 80 --on-ip 127.0.0.1 --tproxy-mark 0x1/0x1",
    { t: "tproxy", ip: ip("127.0.0.1"), port: 80, value: 1, mask: 1 },
  ],
  [
    "-j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0",
    { t: "tproxy", ip: null, port: 80, value: 0, mask: 0 },
  ],
  ["-j TCPMSS --set-mss 1400", { t: "tcpmss", clamp: false, mss: 1400 }],
  ["-j TCPMSS --clamp-mss-to-pmtu", { t: "tcpmss", clamp: true, mss: null }],
  ["-j TEE --gateway 10.0.0.1 --oif lo", { t: "tee", gateway: ip("10.0.0.1"), oif: "lo" }],
  [
    "-j SET --add-set a src,dst --exist --timeout 5",
    { t: "set", op: "add", set: "a", dirs: ["src", "dst"], words: ["--exist", "--timeout", "5"] },
  ],
  ["-j SET --map-set a src --map-mark", { t: "set", op: "map", set: "a", dirs: ["src"], words: ["--map-mark"] }],
  ["-j CLASSIFY --set-class 0001:0002", { t: "classify", class: "0001:0002" }],
  ["-j DSCP --set-dscp 0x2e", { t: "dscp", value: 0x2e }],
  ["-j TOS --set-tos 0x00/0xef", { t: "tos", value: 0, mask: 0xef }],
  ["-j TTL --ttl-inc 1", { t: "ttl", op: "inc", value: 1 }],
  [
    '-j LOG --log-prefix "a b: " --log-level 7',
    { t: "side-effect", name: "LOG", words: ["--log-prefix", '"a b: "', "--log-level", "7"] },
  ],
  ["-j LOG --log-prefix -j", { t: "side-effect", name: "LOG", words: ["--log-prefix", "-j"] }],
  ["-j NFLOG --nflog-group 5", { t: "side-effect", name: "NFLOG", words: ["--nflog-group", "5"] }],
  ["-j TRACE", { t: "side-effect", name: "TRACE", words: [] }],
  ["-j CHECKSUM --checksum-fill", { t: "side-effect", name: "CHECKSUM", words: ["--checksum-fill"] }],
  [
    "-j SYNPROXY --sack-perm --mss 1460",
    { t: "unmodelled", name: "SYNPROXY", words: ["--sack-perm", "--mss", "1460"] },
  ],
  [
    "-j CONNMARK --set-xmark 0x4/0x0 --left-shift-mark 5",
    { t: "unmodelled", name: "CONNMARK", words: ["--set-xmark", "0x4/0x0", "--left-shift-mark", "5"] },
  ],
  [
    "-j SET --add-set a src --del-set b src",
    { t: "unmodelled", name: "SET", words: ["--add-set", "a", "src", "--del-set", "b", "src"] },
  ],
];

const V6: Case[] = [
  ["-j REJECT --reject-with icmp6-policy-fail", { t: "reject", with: "icmp6-policy-fail" }],
  ["-j DNAT --to-destination [fd00::1]:80", { t: "dnat", range: to("fd00::1", "fd00::1", [80, 80]), ...plain }],
  [
    "-j DNAT --to-destination [fd00::1-fd00::2]:80-90/100",
    { t: "dnat", range: to("fd00::1", "fd00::2", [80, 90], 100), ...plain },
  ],
  ["-j DNAT --to-destination fd00::1-fd00::2", { t: "dnat", range: to("fd00::1", "fd00::2"), ...plain }],
  ["-j DNAT --to-destination :80", { t: "dnat", range: to(null, null, [80, 80]), ...plain }],
  ["-j SNAT --to-source ::1", { t: "snat", range: to("::1", "::1"), ...plain }],
  [
    "-j TPROXY --on-port 80 --on-ip :: --tproxy-mark 0x1/0xffffffff",
    { t: "tproxy", v6: true, ip: null, port: 80, value: 1, mask: 0xffffffff },
  ],
  ["-j HL --hl-set 64", { t: "ttl", v6: true, op: "set", value: 64 }],
  [
    "-j DNPT --src-pfx fd01::/64 --dst-pfx fd00::/64",
    { t: "unmodelled", name: "DNPT", words: ["--src-pfx", "fd01::/64", "--dst-pfx", "fd00::/64"] },
  ],
];

describe("as iptables-save 1.8.9 prints them", () => {
  test.each(V4)("%s", (options, target) => {
    const rule = ruleOf(options, "ip");
    expect(rule.target).toEqual(target);
    expect(formatRule("A", rule)).toBe(`-A A ${options}`);
  });
  test.each(V6)("IPv6: %s", (options, target) => {
    const rule = ruleOf(options, "ip6");
    expect(rule.target).toEqual(target);
    expect(formatRule("A", rule)).toBe(`-A A ${options}`);
  });
});

describe("forms of other versions", () => {
  test.each([
    ["-j MARK --set-mark 0x1", "-j MARK --set-xmark 0x1/0xffffffff"],
    ["-j MARK --set-mark 0x1/0x2", "-j MARK --set-xmark 0x1/0x3"],
    ["-j MARK --and-mark 0xff", "-j MARK --set-xmark 0x0/0xffffff00"],
    ["-j MARK --or-mark 0x100", "-j MARK --set-xmark 0x100/0x100"],
    ["-j MARK --xor-mark 0x100", "-j MARK --set-xmark 0x100/0x0"],
    ["-j CONNMARK --set-mark 0x1/0x2", "-j CONNMARK --set-xmark 0x1/0x3"],
    ["-j CONNMARK --save-mark", "-j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff"],
    ["-j CONNMARK --restore-mark --mask 0xff", "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0xff"],
    ["-j TOS --and-tos 0x10", "-j TOS --set-tos 0x00/0xef"],
    ["-j NFQUEUE", "-j NFQUEUE --queue-num 0"],
    ["-j REJECT", "-j REJECT --reject-with icmp-port-unreachable"],
    ["-j REJECT --reject-with port-unreach", "-j REJECT --reject-with icmp-port-unreachable"],
    ["-j TPROXY --on-port 80", "-j TPROXY --on-port 80 --on-ip 0.0.0.0 --tproxy-mark 0x0/0x0"],
    ["-j DNAT --to-destination 10.0.0.1-10.0.0.1", "-j DNAT --to-destination 10.0.0.1"],
    ["-j DROP ", "-j DROP"],
  ])("%s", (options, printed) => {
    expect(formatRule("A", ruleOf(options, "ip"))).toBe(`-A A ${printed}`);
  });
});

describe("malformed values", () => {
  test.each([
    ["-j DROP now", "expected an option, found now"],
    ["-j REJECT --reject-with icmp-go-away", "--reject-with: expected icmp-net-unreachable"],
    ["-j MARK --set-xmark 0x1g", "--set-xmark: expected a number up to 4294967295, found 0x1g"],
    ["-j MARK", "-j MARK: expected --set-xmark or --set-mark"],
    ["-j DNAT", "-j DNAT: expected --to-destination"],
    ["-j DNAT --to-destination 10.0.0.1:99999", "--to-destination: expected a number up to 65535, found 99999"],
    ["-j DNAT --to-destination 10.0.0.1:", "--to-destination: expected a port or a range of ports, found nothing"],
    ["-j DNAT --to-destination 10.0.0.300:80", "--to-destination: expected an IPv4 address, found 10.0.0.300"],
    ["-j DNAT --to-destination 10.0.0.9-10.0.0.1", "--to-destination: expected a range upwards"],
    ["-j DNAT --to-destination [10.0.0.1", "--to-destination: expected an IPv4 address, found [10.0.0.1"],
    ["-j SNAT --to-source fd00::1", "--to-source: expected an IPv4 address"],
    ["-j MASQUERADE --to-ports 5-1", "--to-ports: expected a range A-B with A not above B, found 5-1"],
    ["-j NETMAP --to 10.0.0.0/40", "--to: expected a prefix length or a mask after /"],
    ["-j CT --zone 70000", "--zone: expected a number up to 65535, found 70000"],
    ["-j CT --zone 1 --zone-orig 2", "-j CT: expected one of --zone, --zone-orig, --zone-reply"],
    ["-j TPROXY --on-ip 1.2.3.4", "-j TPROXY: expected --on-port"],
    ["-j TCPMSS --set-mss big", "--set-mss: expected a number up to 65535, found big"],
    ["-j TEE --oif lo", "-j TEE: expected --gateway"],
    ["-j CLASSIFY --set-class 1", "--set-class: expected MAJOR:MINOR in hex, found 1"],
    ["-j TTL --ttl-set 256", "--ttl-set: expected a number up to 255, found 256"],
  ])("%s", (options, message) => {
    expect(() => ruleOf(options, "ip")).toThrow(ParseError);
    expect(() => ruleOf(options, "ip")).toThrow(`f:3: ${message}`);
  });
});
