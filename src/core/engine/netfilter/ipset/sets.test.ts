import { describe, expect, it } from "vitest";
import { matches } from "../testing/ruleset.ts";
import type { PacketFields } from "../testing/ruleset.ts";
import { device } from "../testing/stub.ts";

const SETS = `create hip hash:ip family inet hashsize 1024 maxelem 65536
add hip 10.0.0.1
create hip24 hash:ip family inet hashsize 1024 maxelem 65536 netmask 24
add hip24 10.0.0.0
create hipb hash:ip family inet hashsize 1024 maxelem 65536 bitmask 255.0.255.0
add hipb 10.0.7.0
create hip6 hash:ip family inet6 hashsize 1024 maxelem 65536
add hip6 fd00::1
create hipp hash:ip,port family inet hashsize 1024 maxelem 65536 timeout 100
add hipp 10.0.0.2,tcp:80 timeout 12
add hipp 10.0.0.2,udp:53 timeout 0
add hipp 10.0.0.2,icmp:echo-request timeout 5
add hipp 10.0.0.2,gre:0 timeout 5
create hippi hash:ip,port,ip family inet hashsize 1024 maxelem 65536
add hippi 10.0.0.2,tcp:80,10.0.0.1
create hippn hash:ip,port,net family inet hashsize 1024 maxelem 65536
add hippn 10.0.0.2,tcp:80,10.0.0.0/8
add hippn 10.0.0.2,tcp:80,10.0.0.0/24 nomatch
create hn hash:net family inet hashsize 1024 maxelem 65536
add hn 10.0.0.0/8
add hn 10.0.0.0/24 nomatch
add hn 10.0.0.7
create hn6 hash:net family inet6 hashsize 1024 maxelem 65536
add hn6 fd00::/16
create hnp hash:net,port family inet hashsize 1024 maxelem 65536
add hnp 10.0.0.0/24,tcp:81
add hnp 10.0.0.0/8,tcp:80
create hnn hash:net,net family inet hashsize 1024 maxelem 65536
add hnn 10.0.0.0/24,10.0.0.0/24 nomatch
add hnn 10.0.0.0/8,10.0.0.0/8
create hnpn hash:net,port,net family inet hashsize 1024 maxelem 65536
add hnpn 10.0.0.0/8,tcp:80,10.0.0.0/24
create hni hash:net,iface family inet hashsize 1024 maxelem 65536
add hni 10.0.0.0/8,eth0
add hni 10.0.0.0/24,eth9
add hni 11.0.0.0/8,eth wildcard
create hm hash:mac hashsize 1024 maxelem 65536
add hm 02:00:00:00:00:0A
create him hash:ip,mac family inet hashsize 1024 maxelem 65536
add him 10.0.0.1,02:00:00:00:00:0A
create hik hash:ip,mark family inet markmask 0x0000ff00 hashsize 1024 maxelem 65536
add hik 10.0.0.1,0x00001200
create bip bitmap:ip range 10.0.0.0-10.0.255.255
add bip 10.0.0.1
create bim bitmap:ip,mac range 10.0.0.0-10.0.0.255
add bim 10.0.0.1
add bim 10.0.0.3,02:00:00:00:00:0A
create bp bitmap:port range 0-1024
add bp 80
create ls list:set size 8
add ls hip6
add ls hipp
add ls hn
add ls bp
`;

type Extras = Parameters<typeof matches>[2];
const set = (text: string): string => `-m set ${text.startsWith("!") ? "! " : ""}--match-set ${text.replace("! ", "")}`;
const HTTP = { dport: 80 };
const MAC = { macSrc: "02:00:00:00:00:0a", macDst: "02:00:00:00:00:0b" };

const list: [set: string, packet: PacketFields, answer: string, extras?: Extras][] = [
  ["hip src", {}, "yes"],
  ["hip dst", {}, "no"],
  ["! hip dst", {}, "yes"],
  ["hip24 dst", {}, "yes"],
  ["hip24 dst", { dst: "10.0.1.2" }, "no"],
  ["hipb src", { src: "10.9.7.3" }, "yes"],
  ["hipb src", { src: "10.9.8.3" }, "no"],
  ["hip6 src", {}, "no"],
  ["! hip6 src", {}, "yes"],
  ["hipp dst,dst", HTTP, "yes"],
  ["hipp dst,dst", { dport: 81 }, "no"],
  ["hipp dst,src", { sport: 80 }, "yes"],
  ["hipp dst,dst", { dport: 53 }, "no"],
  ["hipp dst,dst", { proto: 17, dport: 53 }, "yes"],
  ["hipp dst,dst", { proto: 1, icmpType: 8 }, "yes"],
  ["hipp dst,dst", { proto: 1, icmpType: 0 }, "no"],
  ["hipp dst,dst", { proto: 47 }, "yes"],
  ["hipp dst,dst", { ...HTTP, laterFragment: true }, "no"],
  ["hipp dst", HTTP, "no"],
  ["hippi dst,dst,src", HTTP, "yes"],
  ["hippi dst,dst,dst", HTTP, "no"],
  ["hippn dst,dst,src", HTTP, "no"],
  ["hippn dst,dst,src", { ...HTTP, src: "10.0.1.1" }, "yes"],
  ["hippn dst,dst,src --return-nomatch", HTTP, "yes"],
  ["hn src", {}, "no"],
  ["hn src", { src: "10.0.0.7" }, "yes"],
  ["hn src", { src: "10.1.0.7" }, "yes"],
  ["hn src --return-nomatch", {}, "yes"],
  ["hn src --return-nomatch", { src: "10.1.0.7" }, "no"],
  ["hip src --return-nomatch", {}, "yes"],
  ["hnp dst,dst", HTTP, "yes"],
  ["hnp dst,dst", { dport: 81 }, "yes"],
  ["hnp dst,dst", { dst: "10.0.1.2", dport: 81 }, "no"],
  ["hnn src,dst", {}, "no"],
  ["hnn src,dst", { dst: "10.9.0.1" }, "yes"],
  ["hnpn src,dst,dst", HTTP, "yes"],
  ["hnpn src,dst,dst", { ...HTTP, dst: "10.0.1.1" }, "no"],
  ["hni src,src", {}, "no"],
  ["hni src,src", {}, "yes", { state: { iif: device("eth9") } }],
  ["hni src,src", { src: "10.1.0.1" }, "yes"],
  ["hni src,dst", { src: "10.1.0.1" }, "no"],
  ["hni src,src", { src: "11.1.0.1" }, "yes"],
  ["hni src,src", { src: "10.1.0.1" }, "no", { state: { iif: null } }],
  ["hm src", MAC, "yes"],
  ["hm dst", MAC, "no"],
  ["hm src", {}, "no"],
  ["him src,src", MAC, "yes"],
  ["him src,dst", MAC, "no"],
  ["him src", MAC, "no"],
  ["hik src,src", { mark: 0x331233 }, "yes"],
  ["hik src,src", { mark: 0x1300 }, "no"],
  ["bip src", {}, "yes"],
  ["bip src", { src: "10.1.0.1" }, "no"],
  ["bim src,src", MAC, "yes"],
  ["bim src,src", {}, "no"],
  ["bim src,dst", { ...MAC, src: "10.0.0.3" }, "no"],
  ["bim src,src", { ...MAC, src: "10.0.0.3" }, "yes"],
  ["bp dst", HTTP, "yes"],
  ["bp src", HTTP, "no"],
  ["bp dst", { ...HTTP, proto: 132 }, "no"],
  ["ls src", { src: "10.1.0.1" }, "yes"],
  ["ls src", {}, "no"],
  ["ls src --return-nomatch", {}, "yes"],
  ["ls dst", HTTP, "yes"],
  ["ls dst,dst", { proto: 1, icmpType: 8, dst: "10.0.0.2" }, "yes"],
  ["ls dst", { dst: "10.0.0.2", dport: 9 }, "no"],
  ["gone src", {}, "the set gone was not recorded"],
];

describe("sets", () => {
  it.each(list)("%s | %o → %s", (text, fields, answer, extras) => {
    expect(matches(set(text), fields, { sets: SETS, ...extras })).toBe(answer);
  });

  it.each([
    ["hip6 src", { src: "fd00::1", dst: "fd00::2" }, "yes"],
    ["hip src", { src: "fd00::1", dst: "fd00::2" }, "no"],
    ["hn6 dst", { src: "fd01::1", dst: "fd00:1::2" }, "yes"],
    ["hn6 dst", { src: "fd01::1", dst: "fd01::2" }, "no"],
    ["bip src", { src: "fd00::1", dst: "fd00::2" }, "no"],
    ["ls src", { src: "fd00::1", dst: "fd00::2" }, "yes"],
  ])("IPv6: %s | %o → %s", (text, fields, answer) => {
    expect(matches(set(text), fields, { sets: SETS, family: "ip6" })).toBe(answer);
  });
});
