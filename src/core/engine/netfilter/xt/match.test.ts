import { describe, expect, it } from "vitest";
import { device } from "../testing/stub.ts";
import { matches } from "../testing/ruleset.ts";
import type { PacketFields, RulesetExtras } from "../testing/ruleset.ts";
import type { TestState } from "../testing/stub.ts";

type Case = [rule: string, packet: PacketFields, answer: string, extras?: Parameters<typeof matches>[2]];

function cases(name: string, list: readonly Case[], all: RulesetExtras & { state?: Partial<TestState> } = {}): void {
  describe(name, () => {
    it.each(list)("%s | %o → %s", (rule, fields, answer, extras) => {
      expect(matches(rule, fields, { ...all, ...extras })).toBe(answer);
    });
  });
}

const UDP = { proto: 17 };
const ICMP = { proto: 1, icmpType: 8 };

cases("addresses (ip_packet_match)", [
  ["-s 10.0.0.0/8", {}, "yes"],
  ["-s 10.0.0.0/8", { src: "11.0.0.1" }, "no"],
  ["! -s 10.0.0.0/8", { src: "11.0.0.1" }, "yes"],
  ["-d 10.0.0.2/32", {}, "yes"],
  ["! -d 10.0.0.2/32", {}, "no"],
  ["-s 10.0.0.1/255.0.255.255", { src: "10.9.0.1" }, "yes"],
  ["-s 10.0.0.1/255.0.255.255", { src: "10.9.1.1" }, "no"],
  ["! -s 10.0.0.1/255.0.255.255", { src: "10.9.1.1" }, "yes"],
]);

cases(
  "IPv6 addresses",
  [
    ["-s 2001:db8::/32", { src: "2001:db8:1::1", dst: "fd00::1" }, "yes"],
    ["-s 2001:db8::/48", { src: "2001:db8:1::1", dst: "fd00::1" }, "no"],
    ["! -d fd00::1/128", { src: "2001:db8:1::1", dst: "fd00::2" }, "yes"],
    ["-p ipv6-icmp -m icmp6 --icmpv6-type 128", { src: "fd00::1", dst: "fd00::2", proto: 58, icmpType: 128 }, "yes"],
    ["-p ipv6-icmp -m icmp6 --icmpv6-type 135/1", { src: "fd00::1", dst: "fd00::2", proto: 58, icmpType: 135 }, "no"],
    ["-m hl --hl-eq 64", { src: "fd00::1", dst: "fd00::2" }, "yes"],
    ["-d ::/0", { src: "2001:db8:1::1", dst: "fd00::2" }, "yes"],
  ],
  { family: "ip6" },
);

cases("devices", [
  ["-i eth0", {}, "yes"],
  ["-i eth1", {}, "no"],
  ["! -i eth1", {}, "yes"],
  ["-i eth+", {}, "yes"],
  ["-o cali+", {}, "no"],
  ["! -o cali+", {}, "yes"],
  ["-i lo", {}, "no", { state: { iif: null } }],
  ["! -i lo", {}, "yes", { state: { iif: null } }],
  ["-i l+", {}, "no", { state: { iif: null } }],
]);

cases("protocols and fragments", [
  ["-p tcp", {}, "yes"],
  ["-p udp", {}, "no"],
  ["! -p udp", {}, "yes"],
  ["-p icmp", ICMP, "yes"],
  ["-f", {}, "no"],
  ["-f", { laterFragment: true }, "yes"],
  ["! -f", {}, "yes"],
  ["! -f", { laterFragment: true }, "no"],
]);

cases("ports", [
  ["-p tcp -m tcp --dport 80", { dport: 80 }, "yes"],
  ["-p tcp -m tcp --dport 80", { dport: 81 }, "no"],
  ["-p tcp -m tcp --dport 80:90", { dport: 90 }, "yes"],
  ["-p tcp -m tcp ! --dport 80:90", { dport: 90 }, "no"],
  ["-p tcp -m tcp ! --sport 80", { sport: 90 }, "yes"],
  ["-p tcp -m tcp ! --sport 80", { sport: 90, laterFragment: true }, "no"],
  ["-p udp -m udp --dport 53", { dport: 53 }, "no"],
  ["-p udp -m udp --dport 53", { ...UDP, dport: 53 }, "yes"],
  ["-p sctp -m sctp --dport 7", { proto: 132, dport: 7 }, "yes"],
  ["-p tcp -m multiport --dports 53,8080:8090", { dport: 8085 }, "yes"],
  ["-p tcp -m multiport --dports 53,8080:8090", { dport: 8091 }, "no"],
  ["-p tcp -m multiport ! --dports 53,8080:8090", { dport: 8091 }, "yes"],
  ["-p tcp -m multiport ! --dports 53", { dport: 8091, laterFragment: true }, "no"],
  ["-p tcp -m multiport --sports 7", { dport: 7 }, "no"],
  ["-p tcp -m multiport --ports 7", { dport: 7 }, "yes"],
  ["-p tcp -m multiport --ports 7", { sport: 7 }, "yes"],
]);

cases("TCP flags and options", [
  ["-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", {}, "yes"],
  ["-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", { tcpFlags: 18 }, "no"],
  ["-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", { tcpFlags: 18 }, "yes"],
  ["-p tcp -m tcp --tcp-option 8", {}, "TCP option 8 of the packet is not modelled"],
  ["-p tcp -m tcp --tcp-option 8 -d 1.1.1.1/32", {}, "no"],
  ["-p tcp -m tcpmss --mss 500:1000", {}, "the MSS that the packet offers is not modelled"],
  ["-p tcp -m tcpmss --mss 500:1000", { tcpFlags: 16 }, "no"],
  ["-p tcp -m tcpmss ! --mss 500:1000", { tcpFlags: 16 }, "yes"],
]);

cases("ICMP", [
  ["-p icmp -m icmp --icmp-type 8", ICMP, "yes"],
  ["-p icmp -m icmp --icmp-type 0", ICMP, "no"],
  ["-p icmp -m icmp ! --icmp-type 0", ICMP, "yes"],
  ["-p icmp -m icmp --icmp-type any", ICMP, "yes"],
  ["-p icmp -m icmp --icmp-type 3/4", { proto: 1, icmpType: 3, icmpCode: 4 }, "yes"],
  ["-p icmp -m icmp --icmp-type 3/4", { proto: 1, icmpType: 3, icmpCode: 1 }, "no"],
]);

cases("marks, sizes, times to live", [
  ["-m mark --mark 0x4000/0x4000", { mark: 0x4000 }, "yes"],
  ["-m mark --mark 0x4000/0x4000", { mark: 0xc001 }, "yes"],
  ["-m mark ! --mark 0x4000/0x4000", { mark: 0 }, "yes"],
  ["-m mark --mark 0x80000000/0x80000000", { mark: 0x80000001 }, "yes"],
  ["-m mark --mark 0x0/0x20000", { mark: 0x10000 }, "yes"],
  ["-m length --length 100:200", { length: 200 }, "yes"],
  ["-m length ! --length 100:200", { length: 201 }, "yes"],
  ["-m ttl --ttl-eq 64", {}, "yes"],
  ["-m ttl --ttl-lt 64", { ttl: 63 }, "yes"],
  ["-m ttl --ttl-gt 64", { ttl: 63 }, "no"],
  ["-m dscp --dscp 0x0a", { tos: 0x28 }, "yes"],
  ["-m dscp ! --dscp 0x0a", { tos: 0x28 }, "no"],
  ["-m tos --tos 0x10/0x3f", { tos: 0x90 }, "yes"],
  ["-m pkttype --pkt-type unicast", {}, "yes"],
  ["-m pkttype --pkt-type broadcast", { type: "broadcast" }, "yes"],
  ["-m pkttype ! --pkt-type multicast", {}, "yes"],
  ["-m iprange --src-range 10.0.0.1-10.0.0.9", {}, "yes"],
  ["-m iprange --src-range 10.0.0.2-10.0.0.9", {}, "no"],
  ["-m iprange ! --dst-range 200.0.0.0-201.0.0.0", {}, "yes"],
  ["-m mac --mac-source 02:00:00:00:00:01", { macSrc: "02:00:00:00:00:01" }, "yes"],
  ["-m mac ! --mac-source 02:00:00:00:00:01", { macSrc: "02:00:00:00:00:02" }, "yes"],
  ["-m mac ! --mac-source 02:00:00:00:00:01", { macSrc: null }, "no"],
  ["-m devgroup --src-group 0x3", {}, "no"],
  ["-m devgroup --src-group 0x3", {}, "yes", { state: { iif: device("a", { group: 3 }) } }],
]);

const typed = (type: "local" | "unicast" | "unknown"): { state: Partial<TestState> } => ({
  state: { services: { addrType: () => type } as unknown as TestState["services"] },
});

cases("address types", [
  ["-m addrtype --dst-type LOCAL", {}, "yes", typed("local")],
  ["-m addrtype --dst-type LOCAL", {}, "no", typed("unicast")],
  ["-m addrtype ! --dst-type LOCAL", {}, "yes", typed("unicast")],
  ["-m addrtype --src-type LOCAL,UNICAST", {}, "yes", typed("unicast")],
  ["-m addrtype --src-type LOCAL ! --dst-type LOCAL", {}, "no", typed("local")],
  [
    "-m addrtype --src-type LOCAL",
    {},
    "routes or addresses that give the address its type were not recorded",
    typed("unknown"),
  ],
]);

cases(
  "IPv6 address types (match_type6)",
  [
    ["-m addrtype --dst-type UNICAST", { src: "::1", dst: "fd00::1" }, "yes", typed("local")],
    ["-m addrtype --dst-type MULTICAST", { src: "::1", dst: "ff02::1" }, "yes", typed("local")],
    ["-m addrtype --dst-type UNICAST", { src: "::1", dst: "ff02::1" }, "no", typed("local")],
    ["-m addrtype --dst-type LOCAL", { src: "::1", dst: "fd00::1" }, "yes", typed("local")],
    ["-m addrtype --src-type UNICAST", { src: "::ffff:1.2.3.4", dst: "fd00::1" }, "no", typed("local")],
  ],
  { family: "ip6" },
);

cases("reverse path and sockets", [
  ["-m rpfilter --invert", {}, "no"],
  ["-m rpfilter", {}, "yes"],
  [
    "-m rpfilter --validmark --invert",
    {},
    "yes",
    { state: { services: { rpfilter: () => false } as unknown as TestState["services"] } },
  ],
  ["-m socket", {}, "no"],
  ["-m socket", {}, "yes", { state: { services: { socket: () => true } as unknown as TestState["services"] } }],
  [
    "-m socket",
    {},
    "the node's sockets were not recorded",
    { state: { services: { socket: () => "unknown" } as unknown as TestState["services"] } },
  ],
]);

cases("owners", [
  ["-m owner --uid-owner 0", { locallyMade: false }, "no"],
  ["-m owner ! --uid-owner 0", { locallyMade: false }, "yes"],
  ["-m owner --uid-owner 0", { uid: 0 }, "yes"],
  ["-m owner --uid-owner 0-99", { uid: 100 }, "no"],
  ["-m owner ! --uid-owner 0-99", { uid: 100 }, "yes"],
  ["-m owner --uid-owner 0", {}, "no"],
  ["-m owner --uid-owner 0", { socket: "program" }, "the user that sends the packet is not known"],
  ["-m owner --gid-owner 0", { socket: "program", gid: 0 }, "yes"],
  ["-m owner --socket-exists", { socket: "program" }, "yes"],
  ["-m owner ! --socket-exists", { socket: "program" }, "no"],
  ["-m owner --socket-exists", { locallyMade: false }, "no"],
]);

const bridged = (inside: string | null, out: string | null): { state: Partial<TestState> } => ({
  state: { bridged: true, physIn: inside === null ? null : device(inside), physOut: out === null ? null : device(out) },
});

cases("bridge ports (physdev_mt)", [
  ["-m physdev --physdev-is-bridged", {}, "no"],
  ["-m physdev ! --physdev-is-bridged", {}, "yes"],
  ["-m physdev --physdev-is-bridged", {}, "yes", bridged("veth1", "veth2")],
  ["-m physdev --physdev-is-bridged", {}, "no", bridged("veth1", null)],
  ["-m physdev --physdev-in veth1", {}, "yes", bridged("veth1", null)],
  ["-m physdev --physdev-in veth+", {}, "yes", bridged("veth1", null)],
  ["-m physdev ! --physdev-in veth1", {}, "no", bridged("veth1", null)],
  ["-m physdev --physdev-out veth2", {}, "no", bridged("veth1", null)],
  ["-m physdev ! --physdev-out veth2", {}, "no", bridged("veth1", null)],
  ["-m physdev ! --physdev-out veth2", {}, "yes"],
  ["-m physdev --physdev-is-in", {}, "yes", bridged("veth1", null)],
  ["-m physdev ! --physdev-is-in", {}, "no", bridged("veth1", null)],
]);

cases("accounting, limits and what is not modelled", [
  ["-m nfacct --nfacct-name ct_state_invalid_dropped_pkts", {}, "yes"],
  ["-m nfacct --nfacct-name other", {}, "whether the accounting object other has a quota is not recorded"],
  ["-m limit --limit 5/min", {}, "the limit of 5/min may be reached or not"],
  ['-m comment --comment "a \\"quoted\\" word"', {}, "yes"],
  ["-m realm --realm 0x1", {}, "routing realms are not modelled"],
  ['-m string --string "x" --algo bm --to 65535', {}, "match string is not modelled"],
  ['-m string --string "x" --algo bm --to 65535 -p udp', {}, "no"],
]);
