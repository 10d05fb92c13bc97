import { describe, expect, test } from "vitest";
import { makeLink, makeNamespace } from "../../../../test/support/snapshot.ts";
import { parseIp, parsePrefix } from "../../model/address.ts";
import type { Route } from "../../model/route.ts";
import type { Machine, MachineFile } from "../site.ts";
import { notApplied } from "./compare.ts";
import { readConnection } from "./connection-read.ts";
import { readNmstate, selects } from "./nmstate-read.ts";
import { desiredOf, POLICIES } from "./of-machine.ts";

const PATH = "nodes/worker-6/files/etc/NetworkManager/system-connections/default_connection.nmconnection";
const told = (problems: readonly { kind: string; text: string; source: { line: number } }[]): string[] =>
  problems.map((each) => `${each.source.line} ${each.kind}: ${each.text}`);

const profile = (address: string, more = ""): string => `[connection]
id=Wired Connection
uuid=1969ebe8-b753-40fb-9e29-a73b7d075737
type=ethernet
interface-name=ens3

[ipv4]
address1=${address}
dns=192.99.99.53;
method=manual

[ipv6]
method=disabled
${more}`;

const route = (dst: string, via: string | null, dev: string, metric = 100): Route => ({
  dst: parsePrefix(dst)!,
  type: "unicast",
  table: 254,
  protocol: "static",
  scope: "global",
  metric,
  tos: 0,
  prefSrc: null,
  mtu: null,
  mtuLock: false,
  from: null,
  nexthops: [
    {
      gateway: via === null ? null : parseIp(via),
      dev,
      weight: 1,
      onlink: false,
      dead: false,
      linkdown: false,
      encap: null,
    },
  ],
  nhid: null,
  pref: null,
  source: { file: "route4.json", line: 1 },
});

describe("NetworkManager's profiles", () => {
  test("the mistake of a shell that takes a backslash away", () => {
    const { state } = readConnection(profile("10.10.99.9924,192.168.111.111"), PATH);
    expect(told(state.problems)).toEqual(["8 impossible: Invalid IPv4 address '10.10.99.9924'"]);
  });

  test("a gateway beyond the address's network is taken and leads nowhere", () => {
    const { state } = readConnection(profile("10.10.99.99/24,192.168.111.111"), PATH);
    expect(told(state.problems)).toEqual([
      "8 doubtful: The next hop 192.168.111.111 is in no network of ens3: 10.10.99.99/24",
    ]);
    expect(state.routes).toMatchObject([{ destination: "0.0.0.0/0", via: "192.168.111.111", dev: "ens3" }]);
  });

  test("a profile as an installer leaves it: nothing wrong, nothing fixed", () => {
    const connection = readConnection(
      "[connection]\nid=ens192\nuuid=a0aeaa9a\ntype=ethernet\nautoconnect-priority=-999\ninterface-name=ens192\npermissions=\ntimestamp=1628204789\n\n[ethernet]\nmac-address-blacklist=\n\n[ipv4]\ndns-search=\nmethod=auto\n\n[ipv6]\naddr-gen-mode=eui64\ndns-search=\nmethod=auto\n\n[proxy]\n",
      PATH,
    );
    expect(connection).toMatchObject({ interface: "ens192", priority: -999, autoconnect: true });
    expect(connection.state.problems).toEqual([]);
    expect(connection.state.links[0]!.ipv4).toMatchObject({ dynamic: true, addresses: [] });
  });

  test("everything that cannot be, each with its line", () => {
    const text = `stray=1
[connection]
id=x
interface-name=eth0
no equals sign
[ethernet]
mtu=lots
cloned-mac-address=02:00:00:00:00:zz
[ipv4]
method=manual
gateway=10.0.0.1
never-default=true
dns=8.8.8.8;nope;
route1=10.9.0.0/33,10.0.0.1
route2=10.8.0.0/16,10.0.0.2,50
route2_options=table=100
[ipv6]
method=perhaps
address1=fd00::1
[vlan]
id=5000
`;
    const { state } = readConnection(text, PATH);
    expect(told(state.problems)).toEqual([
      '1 impossible: "stray=1" stands before the first section',
      '5 impossible: "no equals sign" is neither a section nor a key with its value',
      "7 impossible: Invalid mtu 'lots': it is 68 to 65535",
      "8 impossible: Invalid MAC address '02:00:00:00:00:zz'",
      "21 impossible: Invalid VLAN id '5000': it is 0 to 4095",
      "10 impossible: ipv4 has the method manual and no address",
      "11 impossible: ipv4 has a gateway, and never-default forbids one",
      "14 impossible: Invalid destination '10.9.0.0/33' of a route",
      "13 impossible: Invalid IPv4 address 'nope'",
      "18 impossible: ipv6.method: 'perhaps' is none of auto, dhcp, manual, disabled, ignore, link-local, shared",
      "19 doubtful: The address fd00::1 has no prefix length; 64 is taken",
    ]);
    expect(state.routes).toMatchObject([{ destination: "10.8.0.0/16", via: "10.0.0.2", metric: 50, table: 100 }]);
  });
});

const BOND = `apiVersion: nmstate.io/v1
kind: NodeNetworkConfigurationPolicy
metadata:
  name: bond0-eth1-eth2-policy
spec:
  nodeSelector:
    kubernetes.io/hostname: node01
  desiredState:
    interfaces:
      - name: bond0
        type: bond
        state: up
        ipv4:
          enabled: true
          address:
            - ip: 192.0.2.251
              prefix-length: 24
        link-aggregation:
          mode: active-backup
          slaves:
            - eth1
            - eth2
        mtu: 1450
      - name: bond0.20
        type: vlan
        state: up
        vlan: { base-iface: bond0, id: 20 }
      - name: eth9
        state: absent
    routes:
      config:
        - destination: 198.51.100.0/24
          next-hop-address: 192.0.2.1
          next-hop-interface: bond0
          metric: 150
    dns-resolver:
      config:
        search: [example.com]
        server: [192.0.2.1]
`;

describe("nmstate", () => {
  const [policy] = readNmstate(BOND, POLICIES);
  const port = (index: number, name: string, more = {}) =>
    makeLink(index, name, [], { kind: { kind: "ethernet" }, master: "bond0", ...more });
  const good = [
    port(2, "eth1"),
    port(3, "eth2"),
    makeLink(4, "bond0", ["192.0.2.251/24"], { kind: { kind: "bond", mode: "active-backup" }, mtu: 1450 }),
    makeLink(5, "bond0.20", [], { kind: { kind: "vlan", id: 20, protocol: "802.1Q" }, lower: "bond0" }),
  ];
  const RESOLV = "search example.com\nnameserver 192.0.2.1\n";

  test("a policy, and which nodes it is for", () => {
    expect(policy!.state.problems).toEqual([]);
    expect(selects(policy!, { "kubernetes.io/hostname": "node01" })).toBe(true);
    expect(selects(policy!, {})).toBe(false);
    expect(
      readNmstate(
        JSON.stringify({
          kind: "List",
          items: [
            {
              kind: "NodeNetworkConfigurationPolicy",
              metadata: { name: "p" },
              spec: { desiredState: { interfaces: [] } },
            },
          ],
        }),
        POLICIES,
      )[0],
    ).toMatchObject({ state: { name: "NodeNetworkConfigurationPolicy p" } });
  });

  test("applied: no difference", () => {
    const host = makeNamespace("node01/host", good, { routes4: [route("198.51.100.0/24", "192.0.2.1", "bond0", 150)] });
    expect(notApplied(policy!.state, host, RESOLV)).toEqual([]);
    expect(notApplied(policy!.state, host, "nameserver 127.0.0.53\n")).toEqual([]);
  });

  test("not applied: each wish with its line", () => {
    const host = makeNamespace(
      "node01/host",
      [
        port(2, "eth1"),
        port(3, "eth2", { master: null }),
        makeLink(4, "bond0", ["192.0.2.7/24"], { kind: { kind: "bond", mode: "balance-rr" } }),
        makeLink(6, "eth9", []),
      ],
      { routes4: [route("198.51.100.0/24", "192.0.2.254", "bond0", 150)] },
    );
    expect(
      notApplied(policy!.state, host, "nameserver 192.0.2.9\n").map(
        (each) => `${each.source.line} ${each.what}: ${each.desired} / ${each.actual}`,
      ),
    ).toEqual([
      "23 mtu of bond0: 1450 / 1500",
      "19 bond mode of bond0: active-backup / balance-rr",
      "22 port eth2 of bond0: enslaved to bond0 / enslaved to nothing",
      "16 IPv4 address of bond0: 192.0.2.251/24 / 192.0.2.7/24",
      "24 device bond0.20: vlan / null",
      "29 device eth9: absent / veth",
      "32 route to 198.51.100.0/24: via 192.0.2.1 dev bond0 metric 150 / via 192.0.2.254 dev bond0 metric 150",
      "39 DNS server: 192.0.2.1 / 192.0.2.9",
      "38 DNS search: example.com / null",
    ]);
  });

  test("what cannot be", () => {
    const text = `interfaces:
  - name: eth1
    type: ethernet
    ipv4:
      enabled: true
      address:
        - ip: 10.10.99.9924
          prefix-length: 24
        - ip: 10.0.0.255
          prefix-length: 24
        - ip: 10.0.0.1
  - name: a-name-that-is-too-long
    state: sideways
  - name: v
    type: vlan
routes:
  config:
    - destination: 0.0.0.0/0
      next-hop-address: 192.168.111.111
      next-hop-interface: eth1
`;
    expect(told(readNmstate(text, "f")[0]!.state.problems)).toEqual([
      "7 impossible: Invalid IPv4 address '10.10.99.9924'",
      "11 impossible: The address 10.0.0.1 has no prefix-length",
      '12 impossible: "a-name-that-is-too-long" is longer than the 15 characters of a device\'s name',
      "13 impossible: Invalid state 'sideways' of a-name-that-is-too-long: it is up, down, absent or ignore",
      "14 impossible: v is a VLAN without an id",
      "9 doubtful: 10.0.0.255/24 is the network's broadcast address",
      "18 doubtful: The next hop 192.168.111.111 is in no network of eth1: 10.0.0.255/24",
    ]);
    expect(() => readNmstate("interfaces:\n  - name: x\n   bad", "f")).toThrow(/^f:3: /);
  });
});

test("a machine's files and policies together", () => {
  const files: Record<string, string> = {
    "/etc/NetworkManager/system-connections/ens3.nmconnection": profile("192.0.2.6/24,192.0.2.1"),
    "/etc/NetworkManager/system-connections/off.nmconnection": profile("192.0.2.60/24").replace(
      "type=ethernet",
      "type=ethernet\nautoconnect=false",
    ),
    "/etc/NetworkManager/system-connections/any.nmconnection":
      "[connection]\nid=any\ntype=ethernet\nautoconnect-priority=-1\n[ipv4]\nmethod=auto\n",
    "/etc/nmstate/broken.yml": "interfaces: [",
  };
  const machine: Machine = {
    name: "worker-6",
    place: "worker-6/host",
    node: {
      namespace: "",
      name: "worker-6",
      labels: { "kubernetes.io/hostname": "node01" },
      annotations: {},
      source: { file: "", line: 1 },
      addresses: [],
      podCIDRs: [],
    },
    devices: [
      { index: 2, name: "ens3", mac: null, mtu: 1500, addresses: [] },
      { index: 3, name: "ens4", mac: null, mtu: 1500, addresses: [] },
    ],
    sandboxes: [],
    macOf: () => null,
    command: () => null,
    file: (path): MachineFile | null =>
      files[path] === undefined
        ? null
        : { text: files[path], source: { file: `nodes/worker-6/files${path}`, line: 1 } },
    files: (prefix) =>
      Object.keys(files)
        .filter((path) => path.startsWith(prefix))
        .toSorted(),
  };
  const host = makeNamespace("worker-6/host", [
    makeLink(2, "ens3", ["192.99.99.123/24"]),
    makeLink(3, "ens4", ["192.0.2.77/24"]),
  ]);
  const desired = desiredOf(machine, host, BOND);
  expect(desired.states.map((state) => [state.name, state.links.map((link) => link.name)])).toEqual([
    ["Wired Connection", ["ens3"]],
    ["any", ["ens4"]],
    ["NodeNetworkConfigurationPolicy bond0-eth1-eth2-policy", ["bond0", "bond0.20", "eth9"]],
  ]);
  expect(desired.undecided).toEqual([]);
  expect(desired.problems.map((each) => each.source.file)).toEqual(["nodes/worker-6/files/etc/nmstate/broken.yml"]);
  // Changed in the file, and never brought up again.
  expect(
    notApplied(desired.states[0]!, host, null).map((each) => `${each.what}: ${each.desired} / ${each.actual}`),
  ).toEqual([
    "IPv4 address of ens3: 192.0.2.6/24 / 192.99.99.123/24",
    "route to 0.0.0.0/0: via 192.0.2.1 dev ens3 / null",
  ]);
});
