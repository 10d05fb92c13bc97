import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { loadSnapshot } from "../../../host/snapshot/load.ts";
import { parseIp, parsePrefix } from "../../model/address.ts";
import { siteOf } from "../site-of.ts";
import { calicoAddress } from "./calico.ts";
import { hostView, type HostView, type ViewLink } from "./host-view.ts";
import { cloudNodeAddresses, kubeletNodeAddresses, parseNodeIp, type NodeAddress } from "./kubelet.ts";
import { nodeAddressDifferences, nodeAddressesOf } from "./of-machine.ts";
import { runtimecfgAddresses, type RuntimecfgInput } from "./runtimecfg.ts";

/** `eth0 192.0.2.1/24 fd00::1/64`, in the order of their index; a name with ! is down, an address with ~ deprecated. */
function links(...lines: string[]): ViewLink[] {
  return lines.map((line, at) => {
    const [name, ...addresses] = line.split(" ");
    return {
      index: at + 1,
      name: name!.replace("!", ""),
      up: !name!.endsWith("!"),
      loopback: name === "lo",
      addresses: addresses.map((text) => {
        const [ip, len] = text.replace("~", "").split("/");
        return {
          ip: parseIp(ip!)!,
          prefixLen: Number(len),
          deprecated: text.endsWith("~"),
          tentative: false,
          label: null,
        };
      }),
    };
  });
}

/** `0.0.0.0/0 via 192.0.2.254 eth0 100`. */
function routes(...lines: string[]): HostView["routes"] {
  return lines.map((line) => {
    const [dst, , via, dev, metric, protocol] = line.split(" ");
    return {
      dst: parsePrefix(dst!)!,
      gateway: via === "-" ? null : parseIp(via!),
      dev: dev!,
      metric: Number(metric ?? 0),
      prefSrc: null,
      protocol: protocol ?? "static",
    };
  });
}

const dual: HostView = {
  links: links(
    "lo 127.0.0.1/8 ::1/128",
    "eth0 1.2.3.4/24 5.6.7.8/24 abcd::1234/64 abcd::5678/64 fe80::1/64",
    "eth1 10.0.0.5/8",
  ),
  routes: routes("0.0.0.0/0 via 1.2.3.254 eth0 100", "::/0 via abcd::1 eth0 1024"),
};
const flags = { nodeIp: "", cloudProvider: "" as const, hostname: "node-1" };
const told = (nodeIp: string, view = dual): string => {
  const choice = kubeletNodeAddresses({ ...flags, nodeIp }, view);
  return (
    choice.error ??
    choice.addresses
      .filter((each) => each.type === "InternalIP")
      .map((each) => each.address)
      .join(",")
  );
};

describe("kubelet", () => {
  test.each([
    ["", "1.2.3.4"],
    ["0.0.0.0", "1.2.3.4"],
    ["::", "abcd::1234"],
    ["10.0.0.5", "10.0.0.5"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["1.2.3.4,abcd::5678", "1.2.3.4,abcd::5678"],
    ["abcd::5678, 5.6.7.8", "abcd::5678,5.6.7.8"],
    ["nonsense,1.2.3.4", "1.2.3.4"],
    ["9.10.11.12", `failed to validate nodeIP: node IP: "9.10.11.12" not found in the host's network interfaces`],
    ["127.0.0.1", "failed to validate nodeIP: nodeIP can't be loopback address"],
    ["fe80::1", "failed to validate nodeIP: nodeIP can't be a link-local unicast address"],
    [
      "1.2.3.4,abcd::ef01",
      `failed to validate secondaryNodeIP: node IP: "abcd::ef01" not found in the host's network interfaces`,
    ],
    ["1.2.3.4,5.6.7.8", `bad --node-ip "1.2.3.4,5.6.7.8": must contain either a single IP or a dual-stack pair of IPs`],
    [
      "1.2.3.4,::ffff:5.6.7.8",
      `bad --node-ip "1.2.3.4,::ffff:5.6.7.8": must contain either a single IP or a dual-stack pair of IPs`,
    ],
    ["0.0.0.0,abcd::5678", `bad --node-ip "0.0.0.0,abcd::5678": dual-stack node IP cannot include '0.0.0.0' or '::'`],
  ])("--node-ip=%s: %s", (nodeIp, expected) => expect(told(nodeIp)).toBe(expected));

  test("no default route, next hops of RFC 5549, a link that is down", () => {
    const without = { ...dual, routes: routes("10.0.0.0/8 via - eth1") };
    expect(told("", without)).toContain("there is no default route");
    const clos = {
      links: links("lo 127.0.0.1/8 192.0.2.9/32", "eth0 fe80::2/64"),
      routes: routes("0.0.0.0/0 via - eth0"),
    };
    expect(told("", clos)).toBe("192.0.2.9");
    const down = {
      links: links("lo 127.0.0.1/8", "eth0! 192.0.2.9/24"),
      routes: routes("0.0.0.0/0 via 192.0.2.1 eth0"),
    };
    expect(told("", down)).toContain("no device with a default route is up");
  });

  test("the node's name: an address, or what the resolver has for it", () => {
    expect(kubeletNodeAddresses({ ...flags, hostname: "10.0.0.5" }, dual).addresses[0]).toMatchObject({
      address: "10.0.0.5",
    });
    const lookUp = () => ["127.0.1.1", "abcd::1234", "10.0.0.5"];
    expect(kubeletNodeAddresses(flags, dual, lookUp).addresses[0]).toMatchObject({ address: "10.0.0.5" });
    expect(kubeletNodeAddresses({ ...flags, nodeIp: "::" }, dual, lookUp).addresses[0]).toMatchObject({
      address: "abcd::1234",
    });
  });

  test("an external cloud provider: annotation, hostname alone, addresses kept; what it makes of them", () => {
    const external = { ...flags, cloudProvider: "external" as const };
    expect(kubeletNodeAddresses(external, dual)).toMatchObject({ annotation: null, addresses: [{ type: "Hostname" }] });
    expect(kubeletNodeAddresses({ ...external, nodeIp: "1.2.3.4,abcd::1234" }, dual).annotation).toBe(
      "1.2.3.4,abcd::1234",
    );
    const kept: NodeAddress[] = [{ type: "ExternalIP", address: "203.0.113.1", because: "cloud" }];
    expect(kubeletNodeAddresses({ ...external, nodeIp: "1.2.3.4" }, dual, undefined, kept).addresses).toEqual(kept);
    const cloud = (["1.2.3.4", "5.6.7.8"] as const).map((address): NodeAddress => ({
      type: "InternalIP",
      address,
      because: "",
    }));
    expect(cloudNodeAddresses("5.6.7.8", [...cloud, ...kept]).addresses.map((each) => each.address)).toEqual([
      "5.6.7.8",
      "203.0.113.1",
    ]);
    expect(cloudNodeAddresses("9.9.9.9", cloud).error).toBe(
      "9.9.9.9 is not among the addresses that the cloud gives the node",
    );
  });

  test("what is no address is told and passed over", () => {
    expect(parseNodeIp("x,1.2.3.4").warnings).toEqual(['"x" of --node-ip is no address and is passed over']);
  });
});

describe("Calico's autodetection", () => {
  const view: HostView = {
    links: links(
      "lo 127.0.0.1/8",
      "eth0 172.30.0.11/24 fd00::11/64",
      "docker0 172.17.0.1/16",
      "cali123 169.254.1.1/32",
      "eth1 10.9.0.1/16",
    ),
    routes: routes("0.0.0.0/0 via 172.30.0.1 eth0", "10.9.0.0/16 via - eth1", "172.30.0.0/24 via - eth0"),
  };
  const ask = (method: string, version: 4 | 6 = 4, internalIps: string[] | null = ["172.30.0.11"]): string => {
    const found = calicoAddress({ method, version, internalIps }, view);
    return found.cidr ?? found.error;
  };
  test.each([
    // The last interface comes first.
    ["first-found", "10.9.0.1/16"],
    ["", "10.9.0.1/16"],
    ["interface=eth.*", "10.9.0.1/16"],
    ["interface=eth0,ens.*", "172.30.0.11/24"],
    ["skip-interface=eth1", "172.30.0.11/24"],
    ["cidr=172.16.0.0/12", "172.17.0.1/16"],
    ["cidr=172.30.0.0/24", "172.30.0.11/24"],
    ["can-reach=8.8.8.8", "172.30.0.11/24"],
    ["can-reach=10.9.4.4", "10.9.0.1/16"],
    ["kubernetes-internal-ip", "172.30.0.11/24"],
    ["interface=wlan.*", "interface=wlan.* finds no IPv4 address: there is no such interface"],
    ["cidr=192.0.2.0", 'cidr=192.0.2.0: "192.0.2.0" is no range'],
    ["nearest", "nearest is no way to find an address"],
  ])("%s: %s", (method, expected) => expect(ask(method)).toBe(expected));

  test("IPv6, and an InternalIP that no interface has", () => {
    expect(ask("first-found", 6)).toBe("fd00::11/64");
    expect(ask("kubernetes-internal-ip", 4, ["192.0.2.77"])).toBe(
      "kubernetes-internal-ip: no interface has the Node's InternalIP 192.0.2.77",
    );
    expect(ask("interface=(", 4)).toContain("interface=( is no regular expression: ");
  });
});

describe("runtimecfg", () => {
  const input: RuntimecfgInput = {
    vips: ["10.0.0.100"],
    preferIpv6: false,
    networkType: "OVNKubernetes",
    platform: "baremetal",
    userManagedLb: false,
  };
  const view: HostView = {
    links: links(
      "lo 127.0.0.1/8 ::1/128",
      "eth0 192.168.1.2/24 fd01::3/64",
      "eth1 10.0.0.100/24 10.0.0.4/24 fd69::2/125 fd00::4/64 fd00::5/64~",
    ),
    routes: routes(
      "0.0.0.0/0 via 192.168.1.1 eth0 101",
      "0.0.0.0/0 via 10.0.0.1 eth1 100",
      "::/0 via fd00::1 eth1 100",
    ),
  };
  const chosen = (more: Partial<RuntimecfgInput>, on = view): string => {
    const choice = runtimecfgAddresses({ ...input, ...more }, on);
    return choice.error ?? choice.addresses.map((each) => each.address).join(",");
  };
  test("the address in the VIP's network that is no VIP, and one of the other family on that link", () => {
    expect(runtimecfgAddresses(input, view)).toMatchObject({
      addresses: [{ address: "10.0.0.4" }, { address: "fd69::2" }],
      matchesVips: true,
      remoteWorker: false,
    });
    expect(chosen({ preferIpv6: true })).toBe("fd69::2,10.0.0.4");
  });
  test("without VIPs, or beyond their network: by default route, OVN's own address left out", () => {
    expect(chosen({ vips: [] })).toBe("10.0.0.4,fd00::4");
    expect(runtimecfgAddresses({ ...input, vips: ["203.0.113.1"] }, view)).toMatchObject({
      matchesVips: false,
      remoteWorker: true,
    });
    expect(chosen({ vips: [] }, { ...view, routes: [] })).toBe("runtimecfg finds no address that will do");
    expect(chosen({ vips: ["x"] })).toBe('the VIP "x" is no address');
  });
  test("a /128 of DHCPv6 counts with the length that a router advertises", () => {
    const v6: HostView = { links: links("eth0 fd00::5/128"), routes: routes("fd00::/64 via - eth0 100 ra") };
    expect(chosen({ vips: ["fd00::100"] }, v6)).toBe("fd00::5");
    expect(chosen({ vips: ["fd00::100"] }, { ...v6, routes: routes("fd00::/64 via - eth0 100 kernel") })).toBe(
      "runtimecfg finds no address that will do",
    );
  });
  test("two links in the VIP's network: either may be taken", () => {
    const two: HostView = { links: links("eth0 10.0.0.4/24", "eth1 10.0.0.5/24"), routes: [] };
    expect(runtimecfgAddresses(input, two).ambiguous).toEqual(["eth0", "eth1"]);
  });
});

const FIXTURES = fileURLToPath(new URL("../../../../../shared/fixtures", import.meta.url));
const recordings = existsSync(FIXTURES) ? readdirSync(FIXTURES).filter((name) => !name.includes(".")) : [];

describe("recorded Nodes have the addresses that their kubelet would choose", () => {
  test("there are recordings", (context) => {
    if (recordings.length === 0) context.skip(`no recordings in ${FIXTURES}`);
    expect(recordings.length).toBeGreaterThan(0);
  });
  for (const name of recordings)
    test(name, async () => {
      const snapshot = await loadSnapshot(`${FIXTURES}/${name}/snapshot`);
      let compared = 0;
      for (const machine of siteOf(snapshot).machines) {
        const host = snapshot.namespaces.find((ns) => ns.place === machine.place);
        if (machine.node === null || host === undefined) continue;
        const choice = nodeAddressesOf(machine, hostView(host));
        if (choice === null) throw new Error(`${machine.name}: no command line of kubelet`);
        expect(nodeAddressDifferences(choice, machine)).toEqual([]);
        compared++;
      }
      expect(compared).toBeGreaterThan(1);
    });
});
