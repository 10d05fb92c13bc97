/** Names, host-local's files, forwarded ports and the choice of a configuration. */
import { describe, expect, test } from "vitest";
import { parseIp, type Ip } from "../../model/address.ts";
import type { Pod } from "../../model/cluster.ts";
import type { Claim } from "../claim.ts";
import { cniNetworkOf, parseCniNetwork } from "./conflist.ts";
import { containerIds } from "./container-ids.ts";
import { flannelDelegate } from "./flannel-delegate.ts";
import { rangeSets, reservationsOf } from "./host-local.ts";
import { cni } from "./index.ts";
import { chainName, maskComment } from "./names.ts";
import { peerRoutes } from "./peer-routes.ts";
import { dnatRules, entryRules } from "./portmap-iptables.ts";
import { portMappings } from "./port-mappings.ts";
import { portmapConf } from "./portmap-conf.ts";
import { makeDevice, makeMachine, makeNode, makeSite, podWithPorts, type MachineText } from "./testing/site.ts";

const ip = (text: string): Ip => {
  const found = parseIp(text);
  if (found === null) throw new Error(`${text} is no address`);
  return found;
};

const node = makeNode("n1", "192.0.2.11", ["10.244.0.0/24"]);
const machine = (more: Partial<MachineText> = {}) =>
  makeMachine({ node, devices: [makeDevice("eth0", ["192.0.2.11/24"])], ...more });

/** Values that utils_test.go of the plugins holds, and one that a real cluster had. */
test("chains are named by network and container", () => {
  expect(chainName("test", "1234")).toBe("CNI-2bbe0c48b91a7d1b8a6753a8");
  expect(chainName("test", "1234", "SN-")).toBe("CNI-SN-2bbe0c48b91a7d1b8a675");
  const id = "cfb8ee03e493a8eca49be5efff534ea290cfede19d812485608ef5659add29c6";
  expect(chainName("kwnet", id)).toBe("CNI-31da6ddf933c6c87faf19ee0");
  expect(maskComment("net", "id")).toBe('name: "net" id: "id"');
});

describe("the runtime's network", () => {
  const conf = (name: string): string => JSON.stringify({ cniVersion: "1.0.0", name, plugins: [{ type: "bridge" }] });

  test("is the first valid file by name", () => {
    const files = {
      "/etc/cni/net.d/00-broken.conflist": "{",
      "/etc/cni/net.d/05-empty.conflist": '{"name":"x","plugins":[]}',
      "/etc/cni/net.d/06-notes.txt": conf("notes"),
      "/etc/cni/net.d/20-second.conflist": conf("second"),
      "/etc/cni/net.d/10-first.conf": '{"name":"first","type":"ptp"}',
      "/etc/cni/net.d/01.d/00-deep.conflist": conf("deep"),
    };
    expect(cniNetworkOf(machine({ files }))).toMatchObject({ name: "first", plugins: [{ type: "ptp" }] });
    expect(cniNetworkOf(machine())).toBeNull();
  });

  test.each([
    ["[]", /should be a JSON object/],
    ['{"plugins":[{"type":"a"}]}', /"name" is missing/],
    ['{"name":"n","plugins":[{}]}', /plugin 1 has no "type"/],
    ['{"name":"n","plugins":"a"}', /"plugins" should be a list/],
  ])("refuses %s", (text, message) => {
    expect(() => parseCniNetwork(text, "a.conflist")).toThrow(message);
  });
});

describe("host-local", () => {
  const ipam = { subnet: "10.9.0.0/29", ranges: [[{ subnet: "fd00::/64", rangeEnd: "fd00::9", gateway: "fd00::9" }]] };
  const sets = rangeSets(ipam, "test");
  const files = {
    "/var/lib/cni/networks/net/10.9.0.2": "aaa\r\neth0",
    "/var/lib/cni/networks/net/10.9.0.3": "bbb\r\neth0",
    "/var/lib/cni/networks/net/fd00::2": "old-format",
    "/var/lib/cni/networks/net/last_reserved_ip.0": "10.9.0.3",
    "/var/lib/cni/networks/net/lock": "",
    "/var/lib/cni/networks/other/10.9.0.4": "ccc\r\neth0",
  };

  test("ranges fill in what is left out", () => {
    expect(sets.flat().map((each) => [each.start.key, each.end.key])).toEqual([
      [ip("10.9.0.1").key, ip("10.9.0.6").key],
      [ip("fd00::1").key, ip("fd00::9").key],
    ]);
  });

  test("keeps a file for each address of a network", () => {
    expect(reservationsOf(machine({ files }), "net")).toEqual([
      { ip: "10.9.0.2", containerId: "aaa", ifname: "eth0" },
      { ip: "10.9.0.3", containerId: "bbb", ifname: "eth0" },
      { ip: "fd00::2", containerId: "old-format", ifname: null },
    ]);
  });

  test("its files, libcni's cache and Calico's annotation know a pod's sandbox", () => {
    const cache = {
      kind: "cniCacheV1",
      containerId: "from-cache",
      networkName: "net",
      cniArgs: [
        ["K8S_POD_NAMESPACE", "shop"],
        ["K8S_POD_NAME", "cached"],
      ],
    };
    const all = {
      ...files,
      "/var/lib/cni/results/net-from-cache-eth0": JSON.stringify(cache),
      "/var/lib/cni/results/torn": "{",
    };
    const idOf = containerIds(machine({ files: all }), "net");
    expect(idOf(podWithPorts("n1", "cached", ["10.9.0.2"]))).toBe("from-cache");
    expect(idOf(podWithPorts("n1", "other", ["10.9.0.2"]))).toBe("aaa");
    const annotations = { "cni.projectcalico.org/containerID": "from-calico" };
    expect(idOf({ ...podWithPorts("n1", "calico", ["10.9.0.2"]), annotations })).toBe("from-calico");
    expect(idOf(podWithPorts("n1", "unknown", ["10.9.0.9"]))).toBeNull();
  });
});

describe("portmap", () => {
  const conf = portmapConf({ type: "portmap", conf: {}, what: "test" });
  const at4 = { ip: ip("10.9.0.5"), len: 24, gateway: null };
  const at6 = { ip: ip("fd00::5"), len: 64, gateway: null };

  test("marks what comes back by the host, then sends it to the pod", () => {
    const mappings = portMappings(podWithPorts("n1", "a", [], ["80:8080/tcp", "81:8081/sctp@192.0.2.1"]));
    expect(dnatRules(conf, at4, mappings)).toEqual([
      "-s 10.9.0.0/24 -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK",
      "-s 127.0.0.1/32 -p tcp -m tcp --dport 80 -j CNI-HOSTPORT-SETMARK",
      "-p tcp -m tcp --dport 80 -j DNAT --to-destination 10.9.0.5:8080",
      "-s 10.9.0.0/24 -d 192.0.2.1/32 -p sctp -m sctp --dport 81 -j CNI-HOSTPORT-SETMARK",
      "-s 127.0.0.1/32 -d 192.0.2.1/32 -p sctp -m sctp --dport 81 -j CNI-HOSTPORT-SETMARK",
      "-d 192.0.2.1/32 -p sctp -m sctp --dport 81 -j DNAT --to-destination 10.9.0.5:8081",
    ]);
    expect(dnatRules({ ...conf, masqAll: true, externalMarkChain: "KUBE-MARK-MASQ" }, at6, mappings)).toEqual([
      "-p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ",
      "-p tcp -m tcp --dport 80 -j DNAT --to-destination [fd00::5]:8080",
    ]);
  });

  test("leads there by protocol, 15 ports to a rule", () => {
    const ports = Array.from({ length: 16 }, (_, i) => `${100 + i}:1/udp`);
    const rules = entryRules(
      conf,
      "net",
      "id",
      false,
      portMappings(podWithPorts("n1", "a", [], [...ports, "80:80/tcp"])),
    );
    expect(rules.map((rule) => /-p (\w+)|x/.exec(rule)?.[1])).toEqual(["tcp", "udp", "udp"]);
    expect(rules[1]).toContain("--dports 100,101,102,103,104,105,106,107,108,109,110,111,112,113,114 -j CNI-DN-");
    expect(rules[2]).toContain("--dports 115 -j");
  });

  test("a sandbox without an id has a chain that its content tells, and no rule that leads there", () => {
    const plugins = [
      { type: "calico", ipam: { type: "calico-ipam" } },
      { type: "portmap", capabilities: { portMappings: true } },
    ];
    const files = { "/etc/cni/net.d/10.conflist": JSON.stringify({ name: "net", plugins }) };
    const pod = podWithPorts("n1", "a", ["10.9.0.5"], ["80:8080/tcp"]);
    const made = machine({ files, pods: [{ pod, hostDevice: "cali123" }] });
    const claims = cni.intend(makeSite([made], [pod]), made);
    const chain = (name: string): Claim | undefined =>
      claims.find((claim) => claim.kind === "chain" && claim.state.chain === name && claim.state.family === "ip");
    expect(chain("CNI-DN-shop/a")).toMatchObject({ hashed: "CNI-DN-" });
    expect(chain("CNI-HOSTPORT-DNAT")).toMatchObject({ rules: null });
    expect(claims).toContainEqual(
      expect.objectContaining({ kind: "sysctl", state: { key: "net.ipv4.conf.cali123.route_localnet", value: "1" } }),
    );
  });
});

test("flannel's own plugin calls bridge with what flanneld wrote", () => {
  const files = {
    "/run/flannel/subnet.env":
      "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_IPV6_NETWORK=fd00:244::/56\nFLANNEL_IPV6_SUBNET=fd00:244:0:3::1/64\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
  };
  const delegate = { hairpinMode: true, isDefaultGateway: true };
  const plugin = { type: "flannel", conf: { type: "flannel", delegate }, what: "test" };
  expect(flannelDelegate(machine({ files }), plugin)).toEqual({
    type: "bridge",
    what: "test, delegate bridge",
    conf: {
      type: "bridge",
      mtu: 1450,
      ipMasq: false,
      isGateway: true,
      hairpinMode: true,
      isDefaultGateway: true,
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: "10.244.3.0/24" }], [{ subnet: "fd00:244:0:3::/64" }]],
        routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00:244::/56" }],
      },
    },
  });
  expect(flannelDelegate(machine(), plugin)).toBeNull();
});

test("routes between the nodes of a plain bridge may be there", () => {
  const files = { "/etc/cni/net.d/10.conflist": '{"name":"n","plugins":[{"type":"bridge"}]}' };
  const first = machine({ files });
  const peer = makeMachine({ node: makeNode("n2", "192.0.2.12", ["10.244.1.0/24"]), devices: [] });
  const far = makeMachine({ node: makeNode("n3", "203.0.113.13", ["10.244.2.0/24"]), devices: [] });
  const site = makeSite([first, peer, far]);
  expect(peerRoutes(site, first)).toEqual([
    {
      owner: "machine",
      at: "n1/host",
      optional: true,
      kind: "route",
      state: {
        family: 4,
        table: 254,
        dst: "10.244.1.0/24",
        type: "unicast",
        metric: 0,
        ways: [{ via: "192.0.2.12", dev: "eth0" }],
      },
    },
  ]);
  const withFlannel = machine({ files: { ...files, "/run/flannel/subnet.env": "" } });
  expect(peerRoutes(makeSite([withFlannel, peer]), withFlannel)).toEqual([]);
});

test("what the host does for a pod stays while none of its containers runs", () => {
  const conflist = JSON.stringify({
    cniVersion: "1.0.0",
    name: "net",
    plugins: [
      {
        type: "bridge",
        isGateway: true,
        ipMasq: true,
        ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }]] },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  });
  const host = machine({
    files: {
      "/etc/cni/net.d/10-net.conflist": conflist,
      "/var/lib/cni/networks/net/10.9.0.2": "aaa\r\neth0",
      "/var/lib/cni/networks/net/10.9.0.3": "bbb\r\neth0",
    },
  });
  const crashing = podWithPorts("n1", "crashing", ["10.9.0.2"], ["18080:8080/tcp"]);
  // Its address was given to another since, and that one's sandbox is not this one's.
  const ended: Pod = { ...podWithPorts("n1", "ended", ["10.9.0.3"], ["18081:8080/tcp"]), phase: "Succeeded" };
  const released = podWithPorts("n1", "released", ["10.9.0.4"], ["18082:8080/tcp"]);
  const claims = cni.intend(makeSite([host], [crashing, ended, released]), host);
  const rules = claims.flatMap((claim) => (claim.kind === "rule" ? [String(claim.state)] : []));
  expect(rules).toContain(
    `-s 10.9.0.2/32 -m comment --comment "name: \\"net\\" id: \\"aaa\\"" -j ${chainName("net", "aaa")}`,
  );
  expect(rules.filter((rule) => rule.startsWith("-s "))).toHaveLength(1);
  const chains = claims.flatMap((claim) => (claim.kind === "chain" ? [claim] : []));
  expect(chains.find(({ state }) => state.chain === "CNI-HOSTPORT-DNAT")?.rules).toHaveLength(1);
  expect(chains.find(({ state }) => state.chain === chainName("net", "aaa", "DN-"))?.rules).toContain(
    "-p tcp -m tcp --dport 18080 -j DNAT --to-destination 10.9.0.2:8080",
  );
  expect(claims.filter(({ kind }) => kind === "link").map(({ at }) => at)).not.toContain("n1/pod/shop/crashing");
});
