import { describe, expect, test } from "vitest";
import { formatIp, formatPrefix } from "../model/address.ts";
import type { Ip } from "../model/address.ts";
import type { Link } from "../model/link.ts";
import { parseIpAddr } from "./ip-addr.ts";

const parse = (rows: string): Link[] => parseIpAddr(`[${rows}]\n`, "addr.json");

/** A link of which `ip -j -d addr` (iproute2 6.1) printed this beside the fields that every link has. */
const link = (fields: string): Link => parse(`{"ifindex":7,"ifname":"x","flags":["UP"],"mtu":1500,${fields}}`)[0]!;

/** Addresses as text, for comparison. */
const readable = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, v: unknown) =>
      typeof v === "object" && v !== null && "key" in v ? formatIp(v as Ip) : v,
    ),
  );

const kindOf = (info: string): unknown => readable(link(`"link_type":"ether","linkinfo":${info}`).kind);

describe("kinds, as iproute2 prints them", () => {
  const tunnel = { local: null, remote: null, ttl: 0, link: null, external: false, pmtudisc: true };
  const vxlan = {
    kind: "vxlan",
    id: 5,
    local: null,
    remote: null,
    link: null,
    port: 4789,
    learning: true,
    l2miss: false,
    l3miss: false,
    proxy: false,
    external: false,
    ttl: 0,
    df: "unset",
  };
  const cases: [info: string, kind: unknown][] = [
    ['{"info_kind":"veth"}', { kind: "veth" }],
    ['{"info_kind":"dummy"}', { kind: "dummy" }],
    ['{"info_kind":"wireguard"}', { kind: "wireguard" }],
    ['{"info_kind":"ifb"}', { kind: "ifb" }],
    [
      '{"info_kind":"tun","info_data":{"type":"tap","pi":false,"vnet_hdr":false,"multi_queue":false,"persist":true}}',
      { kind: "tun" },
    ],
    [
      '{"info_kind":"bridge","info_data":{"ageing_time":30000,"vlan_filtering":0,"bridge_id":"8000.c2:f:ee:6d:38:b6","nf_call_iptables":0,"nf_call_ip6tables":1}}',
      { kind: "bridge", vlanFiltering: false, defaultPvid: 0, nfCallIptables: false, nfCallIp6tables: true },
    ],
    [
      '{"info_kind":"bridge","info_data":{"vlan_filtering":1,"vlan_protocol":"802.1Q","vlan_default_pvid":7,"nf_call_iptables":1,"nf_call_ip6tables":0}}',
      { kind: "bridge", vlanFiltering: true, defaultPvid: 7, nfCallIptables: true, nfCallIp6tables: false },
    ],
    [
      '{"info_kind":"vxlan","info_data":{"id":42,"remote":"10.1.0.9","local":"10.1.0.1","link":"v0","port_range":{"low":0,"high":0},"port":8472,"learning":false,"proxy":true,"l2miss":true,"l3miss":true,"ttl":17,"df":"set","ageing":300,"udp_csum":true}}',
      {
        ...vxlan,
        id: 42,
        local: "10.1.0.1",
        remote: "10.1.0.9",
        link: "v0",
        port: 8472,
        learning: false,
        l2miss: true,
        l3miss: true,
        proxy: true,
        ttl: 17,
        df: "set",
      },
    ],
    [
      '{"info_kind":"vxlan","info_data":{"external":true,"id":0,"port_range":{"low":0,"high":0},"port":4789,"learning":false,"ttl":0,"df":"unset"}}',
      { ...vxlan, id: null, external: true, learning: false },
    ],
    [
      '{"info_kind":"vxlan","info_data":{"id":43,"group":"239.1.1.1","link":"v0","port":4790,"learning":true,"ttl":0,"df":"unset"}}',
      { ...vxlan, id: 43, remote: "239.1.1.1", link: "v0", port: 4790 },
    ],
    [
      '{"info_kind":"vxlan","info_data":{"id":44,"remote6":"2001:db8::2","local6":"2001:db8::1","port":4789,"learning":true,"df":"inherit"}}',
      { ...vxlan, id: 44, local: "2001:db8::1", remote: "2001:db8::2", df: "inherit" },
    ],
    [
      '{"info_kind":"ipip","info_data":{"proto":"ipip","remote":"any","local":"any","ttl":0,"pmtudisc":false}}',
      { kind: "ipip", ...tunnel, pmtudisc: false },
    ],
    [
      '{"info_kind":"ipip","info_data":{"proto":"ipip","remote":"10.0.0.2","local":"10.0.0.1","link":"eth0","ttl":64,"pmtudisc":true}}',
      { kind: "ipip", ...tunnel, remote: "10.0.0.2", local: "10.0.0.1", link: "eth0", ttl: 64 },
    ],
    ['{"info_kind":"ipip","info_data":{"external":true}}', { kind: "ipip", ...tunnel, external: true }],
    [
      '{"info_kind":"gre","info_data":{"remote":"any","local":"10.0.0.1","ttl":0,"pmtudisc":true,"ikey":"0.0.0.5"}}',
      { kind: "gre", ...tunnel, local: "10.0.0.1" },
    ],
    [
      '{"info_kind":"gretap","info_data":{"remote":"10.0.0.2","local":"any","ttl":0,"pmtudisc":false}}',
      { kind: "gretap", ...tunnel, remote: "10.0.0.2", pmtudisc: false },
    ],
    [
      '{"info_kind":"sit","info_data":{"proto":"ip6ip","remote":"any","local":"any","ttl":64,"pmtudisc":false,"prefix":"2002::","prefixlen":16}}',
      { kind: "sit", ...tunnel, ttl: 64, pmtudisc: false },
    ],
    [
      '{"info_kind":"ip6tnl","info_data":{"proto":"ip6ip6","remote":"::","local":"::","ttl":0,"encap_limit":0,"tclass":"0x00","flowlabel":"0x00000"}}',
      { kind: "ip6tnl", ...tunnel },
    ],
    [
      '{"info_kind":"ip6gre","info_data":{"remote":"2001:db8::2","local":"2001:db8::1","link":"eth0","ttl":64,"encap_limit":4}}',
      { kind: "ip6gre", ...tunnel, remote: "2001:db8::2", local: "2001:db8::1", link: "eth0", ttl: 64 },
    ],
    [
      '{"info_kind":"geneve","info_data":{"id":5,"remote":"10.1.0.9","ttl":7,"port":6082,"udp_csum":true}}',
      { kind: "geneve", id: 5, remote: "10.1.0.9", port: 6082, external: false, ttl: 7 },
    ],
    [
      '{"info_kind":"geneve","info_data":{"id":6,"remote6":"2001:db8::9","ttl":0,"port":6081}}',
      { kind: "geneve", id: 6, remote: "2001:db8::9", port: 6081, external: false, ttl: 0 },
    ],
    [
      '{"info_kind":"geneve","info_data":{"external":true}}',
      { kind: "geneve", id: null, remote: null, port: 6081, external: true, ttl: 0 },
    ],
    [
      '{"info_kind":"macvlan","info_data":{"mode":"bridge","bcqueuelen":1000,"usedbcqueuelen":1000}}',
      { kind: "macvlan", mode: "bridge" },
    ],
    ['{"info_kind":"macvtap","info_data":{"mode":"private","bcqueuelen":1000}}', { kind: "macvtap", mode: "private" }],
    ['{"info_kind":"ipvlan","info_data":{"mode":"l2"}}', { kind: "ipvlan", mode: "l2", flags: "bridge" }],
    [
      '{"info_kind":"ipvlan","info_data":{"mode":"l3s","private":true}}',
      { kind: "ipvlan", mode: "l3s", flags: "private" },
    ],
    [
      '{"info_kind":"vlan","info_data":{"protocol":"802.1ad","id":100,"flags":["REORDER_HDR"]}}',
      { kind: "vlan", id: 100, protocol: "802.1ad" },
    ],
    ['{"info_kind":"vrf","info_data":{"table":100}}', { kind: "vrf", table: 100 }],
    [
      '{"info_kind":"bond","info_data":{"mode":"active-backup","active_slave":"eth0","miimon":100}}',
      { kind: "bond", mode: "active-backup" },
    ],
    ['{"info_kind":"netkit","info_data":{"mode":"l3"}}', { kind: "other", name: "netkit" }],
    ['{"info_kind":"xfrm"}', { kind: "other", name: "xfrm" }],
    // An iproute2 that does not know the kind's attributes prints none.
    ['{"info_kind":"vxlan"}', { kind: "other", name: "vxlan" }],
    ['{"info_slave_kind":"bridge"}', { kind: "ethernet" }],
  ];
  test.each(cases)("%s", (info, kind) => expect(kindOf(info)).toEqual(kind));

  test("without linkinfo the link-layer type tells", () => {
    expect(link('"link_type":"loopback","address":"00:00:00:00:00:00"').kind).toEqual({ kind: "loopback" });
    expect(link('"link_type":"ether"').kind).toEqual({ kind: "ethernet" });
    expect(link('"link_type":"infiniband"').kind).toEqual({ kind: "other", name: "infiniband" });
  });
});

describe("flags", () => {
  const cases: [flags: string, up: boolean, carrier: boolean, noarp: boolean][] = [
    ['["LOOPBACK","UP","LOWER_UP"]', true, true, false],
    ['["NO-CARRIER","BROADCAST","MULTICAST","UP"]', true, false, false],
    // The carrier is there; only operstate has not followed as yet (linkwatch).
    ['["NO-CARRIER","BROADCAST","MULTICAST","UP","LOWER_UP"]', true, true, false],
    ['["POINTOPOINT","MULTICAST","NOARP"]', false, false, true],
    ['["BROADCAST","MULTICAST","UP","LOWER_UP","M-DOWN",80000]', true, true, false],
  ];
  test.each(cases)("%s", (flags, up, carrier, noarp) => {
    const [l] = parse(`{"ifindex":1,"ifname":"x","flags":${flags},"mtu":1500,"link_type":"ether"}`);
    expect([l?.up, l?.carrier, l?.noarp]).toEqual([up, carrier, noarp]);
  });
});

/** The first address of a link as one line. */
const address = (info: string): string => {
  const [a] = link(`"link_type":"ether","addr_info":[${info}]`).addresses;
  if (a === undefined) return "none";
  const marks = [
    a.secondary && "secondary",
    a.tentative && "tentative",
    a.deprecated && "deprecated",
    a.dadFailed && "dadfailed",
    a.noPrefixRoute && "noprefixroute",
  ];
  const peer = a.peer === null ? "" : ` peer ${formatPrefix(a.peer)}`;
  return `${formatIp(a.ip)}/${a.prefixLen}${peer} ${a.scope} ${a.label ?? "-"} ${marks.filter(Boolean).join()}`.trim();
};

describe("addresses", () => {
  const cases: [info: string, expected: string][] = [
    [
      '{"family":"inet","local":"127.0.0.1","prefixlen":8,"scope":"host","label":"lo","valid_life_time":4294967295}',
      "127.0.0.1/8 host lo",
    ],
    [
      '{"family":"inet","local":"10.1.0.2","prefixlen":24,"broadcast":"10.1.0.255","scope":"global","secondary":true,"label":"v0:x"}',
      "10.1.0.2/24 global v0:x secondary",
    ],
    [
      '{"family":"inet","local":"10.9.0.1","address":"10.9.0.2","prefixlen":32,"scope":"global","label":"v2"}',
      "10.9.0.1/32 peer 10.9.0.2/32 global v2",
    ],
    [
      '{"family":"inet","local":"10.9.1.1","address":"10.9.2.9","prefixlen":24,"scope":"link","label":"v2"}',
      "10.9.1.1/24 peer 10.9.2.0/24 link v2",
    ],
    [
      '{"family":"inet6","local":"2001:db8:1::1","prefixlen":64,"scope":"global","nodad":true,"deprecated":true,"noprefixroute":true}',
      "2001:db8:1::1/64 global - deprecated,noprefixroute",
    ],
    [
      '{"family":"inet6","local":"2001:db8::1","prefixlen":64,"scope":"global","tentative":true}',
      "2001:db8::1/64 global - tentative",
    ],
    [
      '{"family":"inet6","local":"2001:db8::1","prefixlen":64,"scope":"global","dadfailed":true,"tentative":true}',
      "2001:db8::1/64 global - tentative,dadfailed",
    ],
    [
      '{"family":"inet6","local":"2001:db8::1","prefixlen":64,"scope":"global","optimistic":true,"tentative":true}',
      "2001:db8::1/64 global -",
    ],
    [
      '{"family":"inet6","local":"2001:db8::1","prefixlen":64,"scope":"global","temporary":true,"dynamic":true}',
      "2001:db8::1/64 global -",
    ],
    [
      '{"family":"inet6","local":"2001:db8:2::1","address":"2001:db8:2::2","prefixlen":128,"scope":"global"}',
      "2001:db8:2::1/128 peer 2001:db8:2::2/128 global -",
    ],
    ["{}", "none"],
  ];
  test.each(cases)("%s", (info, expected) => expect(address(info)).toBe(expected));
});

describe("what a link leads to", () => {
  const veth = '"flags":["UP","LOWER_UP"],"mtu":1500,"link_type":"ether","linkinfo":{"info_kind":"veth"}';
  test("a veth pair in one namespace, and one end of another", () => {
    const links = parse(
      `{},{"ifindex":3,"link":"v2","ifname":"v3",${veth}},{"ifindex":4,"link":"v3","ifname":"v2",${veth}},{"ifindex":5,"link_index":2,"ifname":"v0",${veth},"link_netnsid":0},{"ifindex":6,"link":"if9","ifname":"v9",${veth}},{"ifindex":8,"link":null,"ifname":"t",${veth}}`,
    );
    expect(links.map((l) => [l.name, l.peerIndex, l.lower, l.peerNetnsId])).toEqual([
      ["v3", 4, "v2", null],
      ["v2", 3, "v3", null],
      ["v0", 2, null, 0],
      ["v9", 9, null, null],
      ["t", null, null, null],
    ]);
  });

  test("link-layer addresses: only MACs, in lower case", () => {
    expect(link('"link_type":"ether","address":"0A:00:00:00:00:01"').mac).toBe("0a:00:00:00:00:01");
    expect(link('"link_type":"ipip","address":"10.0.0.1"').mac).toBeNull();
    expect(link('"link_type":"none"').mac).toBeNull();
  });

  test("a bridge port", () => {
    const l = link(
      '"master":"br1","link_type":"ether","linkinfo":{"info_kind":"veth","info_slave_kind":"bridge","info_slave_data":{"state":"forwarding","priority":32,"cost":2,"hairpin":true,"guard":false,"learning":true,"flood":false,"mcast_flood":true,"bcast_flood":true,"neigh_suppress":false,"isolated":true,"locked":false}}',
    );
    expect(l.master).toBe("br1");
    expect(l.port).toMatchObject({
      state: "forwarding",
      hairpin: true,
      isolated: true,
      learning: true,
      flood: false,
      mcastFlood: true,
      locked: false,
    });
  });

  test("an XDP program", () => {
    expect(
      link('"link_type":"ether","xdp":{"mode":2,"prog":{"id":7,"tag":"3b185187f1855c4c"},"attached":[]}').xdp,
    ).toBe(true);
    expect(link('"link_type":"ether"').xdp).toBe(false);
  });
});

describe("malformed", () => {
  const cases: [rows: string, message: string][] = [
    ['{"ifname":"x"}', 'addr.json:1: "flags" is missing; it should be an array'],
    ['{"ifindex":"7","ifname":"x","flags":[],"mtu":1}', 'addr.json:1: "ifindex" should be an integer, not "7"'],
    ['\n{"ifindex":7,"ifname":"x","flags":[{}],"mtu":1}', "addr.json:2: every flag should be a string, not an object"],
    [
      '{"ifindex":7,"ifname":"x","flags":[],"mtu":1,"address":"?"}',
      'addr.json:1: "address" should be a link-layer address, not "?"',
    ],
    [
      '{"ifindex":7,"ifname":"x","flags":[],"mtu":1,"addr_info":[{"family":"inet","local":"1.2.3","prefixlen":8}]}',
      'addr.json:1: "local" should be an address, not "1.2.3"',
    ],
    [
      '{"ifindex":7,"ifname":"x","flags":[],"mtu":1,"addr_info":[{"family":"inet","local":"::1","prefixlen":8}]}',
      'addr.json:1: "local" is no address of family inet',
    ],
    [
      '{"ifindex":7,"ifname":"x","flags":[],"mtu":1,"addr_info":[{"family":"inet","local":"1.2.3.4","prefixlen":33}]}',
      'addr.json:1: "prefixlen" should be a whole number from 0 to 32, not 33',
    ],
    [
      '{"ifindex":7,"ifname":"x","flags":[],"mtu":1,"linkinfo":{"info_kind":"vlan","info_data":{}}}',
      'addr.json:1: "id" is missing',
    ],
    ["7", "addr.json:1: every element should be an object, not 7"],
  ];
  test.each(cases)("%s", (rows, message) => expect(() => parse(rows)).toThrow(message));
  test("a blank file holds no links", () => expect(parseIpAddr("\n", "addr.json")).toEqual([]));
});
