import { expect, test } from "vitest";
import { parseNftTrace } from "./nft-trace.ts";

const SYN = `trace id 6c9573cd inet kwtrace o packet: oif "eth0" ip saddr 172.30.0.11 ip daddr 172.30.0.12 ip dscp cs0 ip ecn not-ect ip ttl 64 ip id 11468 ip protocol tcp ip length 60 tcp sport 58952 tcp dport 18080 tcp flags == syn tcp window 64240 
trace id 6c9573cd ip nat OUTPUT packet: oif "eth0" ip saddr 172.30.0.11 ip daddr 172.30.0.12 ip dscp cs0 ip ecn not-ect ip ttl 64 ip id 11468 ip length 60 tcp sport 58952 tcp dport 18080 tcp flags == syn tcp window 64240 
trace id 6c9573cd ip nat OUTPUT rule  counter packets 791 bytes 74141 jump KUBE-SERVICES (verdict jump KUBE-SERVICES)
trace id 6c9573cd ip nat KUBE-SERVICES rule ip daddr 172.30.0.12 counter packets 1 bytes 60 meta mark set mark or 0x4000 (verdict continue)
trace id 6c9573cd ip nat OUTPUT policy accept meta mark 0x00004000 
trace id 3905a1e3 ip raw `;

test("a base chain's run is one visit, with its rules and the policy's mark", () => {
  const [recorder, nat, ...more] = parseNftTrace(SYN);
  expect(more).toEqual([]);
  expect(recorder).toMatchObject({ family: "inet", table: "kwtrace", chain: "o", events: [] });
  expect(nat!.header).toMatchObject({
    v: 4,
    src: "172.30.0.11",
    dst: "172.30.0.12",
    proto: "tcp",
    sport: 58952,
    dport: 18080,
    flags: 2,
    id: 11468,
    length: 60,
    ipip: false,
  });
  expect(nat!.events.map((e) => [e.what, e.chain, e.verdict, e.mark])).toEqual([
    ["rule", "OUTPUT", "jump KUBE-SERVICES", null],
    ["rule", "KUBE-SERVICES", "continue", null],
    ["policy", "OUTPUT", "accept", 0x4000],
  ]);
});

test("IPv6 packets, flags in bits, and IP in IP", () => {
  const text = `trace id 1 inet kwtrace p packet: iif "eth0" ether saddr 8a:d7:4c:0c:d3:36 ether daddr 1e:99:de:af:6c:35 ip6 saddr fd00:30::12 ip6 daddr fd00:30::11 ip6 dscp cs0 ip6 ecn not-ect ip6 hoplimit 64 ip6 flowlabel 960447 ip6 nexthdr tcp ip6 length 40 tcp sport 9000 tcp dport 54302 tcp flags == 0x12 tcp window 64766 
trace id 2 inet kwtrace p packet: iif "eth0" ip saddr 172.30.0.12 ip daddr 172.30.0.11 ip dscp cs0 ip ecn not-ect ip ttl 64 ip id 5 ip protocol ipencap ip length 80 
trace id 3 inet kwtrace p packet: iif "eth0" ip saddr 172.30.0.12 ip daddr 172.30.0.11 ip ttl 64 ip id 5 ip protocol icmp ip length 80 icmp type destination-unreachable `;
  const [six, ipip, icmp] = parseNftTrace(text);
  expect(six!.header).toMatchObject({ v: 6, id: 960447, length: 40, flags: 0x12, sport: 9000 });
  expect(ipip!.header).toMatchObject({ ipip: true, proto: null });
  expect(icmp!.header).toMatchObject({ ipip: false, proto: null });
});

test("a trace id that comes again begins another visit", () => {
  expect(parseNftTrace(`${SYN}\n${SYN}`).length).toBe(4);
});

test("an outgoing tunnel packet shows the first bytes of what it carries", () => {
  const text = `trace id 1 inet kwtrace o packet: oif "eth0" @ll,0,160 0x1efe5f75244a92074ef4c1a708004500003c90b5 ip saddr 172.30.1.11 ip daddr 172.30.2.12 ip dscp cs0 ip ecn not-ect ip ttl 64 ip id 20356 ip protocol udp ip length 110 udp sport 34189 udp dport 8472 udp length 90 @th,64,96 0x8000000000001001efe5f75 
trace id 2 inet kwtrace o packet: oif "eth0" @ll,0,160 0xc22174ea3bd52a54a8f2885e86dd600684320028 ip6 saddr fd00:30::11 ip6 daddr fd00:30::12 ip6 dscp cs0 ip6 ecn not-ect ip6 hoplimit 64 ip6 flowlabel 0 ip6 nexthdr udp ip6 length 110 udp sport 38554 udp dport 8472 udp length 110 @th,64,96 0x8 `;
  expect(parseNftTrace(text).map((v) => v.header.carried)).toEqual([
    { v: 4, length: 60, id: 37045 },
    { v: 6, length: 40, id: 427058 },
  ]);
});
