import { expect, test } from "vitest";
import { parseIp, parsePrefix } from "../../../model/address.ts";
import { emptyCluster } from "../../../parse/cluster.ts";
import { rangeSets } from "../../cni/host-local.ts";
import { makeMachine, makeNode, podWithPorts } from "../../cni/testing/site.ts";
import type { Machine, Site } from "../../site.ts";
import { localSize, nextLocal, releaseLocal, type LocalRange, type LocalState } from "./host-local.ts";
import { readHostLocal } from "./host-local-read.ts";
import { localLeaks, unrecordedAddresses } from "./leaks.ts";
import { podCidrs } from "./pod-cidrs.ts";

const range = (subnet: string, given: Record<string, string> = {}): LocalRange => {
  const { start, end, gateway } = rangeSets({ subnet, ...given }, "test")[0]![0]!;
  return { prefix: parsePrefix(subnet)!, first: start, last: end, gateway };
};
const state = (sets: LocalState["sets"]): LocalState => ({ node: "n1", network: "net", sets, taken: new Map() });

function take(start: LocalState, n: number): { got: (string | null)[]; state: LocalState } {
  const got: (string | null)[] = [];
  let current = start;
  for (let i = 0; i < n; i++) {
    const found = nextLocal(current, 0);
    got.push(found.address);
    current = found.state;
  }
  return { got, state: current };
}

/** A machine with these files and podCIDRs. */
function machine(
  name: string,
  files: Record<string, string>,
  podCIDRs: string[],
  commands: Record<string, string> = {},
): Machine {
  return makeMachine({ node: makeNode(name, "192.0.2.11", podCIDRs), devices: [], files, commands });
}

// plugins/ipam/host-local/backend/allocator/allocator_test.go: ranges of a /29, the address after the last one given.
test.each([
  ["10.0.0.0/29", null, "10.0.0.2"],
  ["10.0.0.0/29", "10.0.0.5", "10.0.0.6"],
  ["10.0.0.0/29", "10.0.0.6", "10.0.0.2"],
  ["10.0.0.0/29", "10.0.0.20", "10.0.0.2"],
  ["2001:db8:1::/64", "2001:db8:1::9", "2001:db8:1::a"],
])("%s after %s: %s", (cidr, last, next) => {
  const set = { ranges: [range(cidr)], last: last === null ? null : parseIp(last) };
  expect(nextLocal(state([set]), 0).address).toBe(next);
});

test("round the range, past what is taken, until nothing is left", () => {
  const { got, state: full } = take(state([{ ranges: [range("10.0.0.0/29")], last: null }]), 6);
  expect(got).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", null]);
  expect(take(releaseLocal(full, "10.0.0.4"), 2).got).toEqual(["10.0.0.4", null]);
});

test("what is given back waits for its turn", () => {
  const { state: two } = take(state([{ ranges: [range("10.0.0.0/29")], last: null }]), 2);
  expect(take(releaseLocal(two, "10.0.0.2"), 4).got).toEqual(["10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.2"]);
});

test("the ranges of a set follow each other; start, end and gateway are as told", () => {
  const first = range("192.168.1.0/29", { rangeStart: "192.168.1.5", rangeEnd: "192.168.1.6" });
  const second = range("192.168.2.0/30", { gateway: "192.168.2.2" });
  const set = { ranges: [first, second], last: null };
  expect(localSize(set)).toBe(3n);
  expect(take(state([set]), 4).got).toEqual(["192.168.1.5", "192.168.1.6", "192.168.2.1", null]);
});

test("reads the configuration and the files that host-local keeps", () => {
  const conflist = {
    name: "cbr0",
    plugins: [{ type: "bridge", ipam: { type: "host-local", ranges: [[{ subnet: "10.1.0.0/24" }]] } }],
  };
  const read = readHostLocal(
    machine(
      "n1",
      {
        "/etc/cni/net.d/.gitkeep": "",
        "/etc/cni/net.d/10-x.conflist": JSON.stringify(conflist),
        "/var/lib/cni/networks/cbr0/10.1.0.9": "abc\r\neth0",
        "/var/lib/cni/networks/cbr0/last_reserved_ip.0": "10.1.0.9",
        "/var/lib/cni/networks/cbr0/lock": "",
        "/var/lib/cni/networks/other/10.1.0.10": "def\neth0",
      },
      [],
    ),
  )!;
  expect([...read.taken]).toEqual([["10.1.0.9", { container: "abc", device: "eth0" }]]);
  expect(nextLocal(read, 0).address).toBe("10.1.0.10");
  const flannel = { name: "cbr0", plugins: [{ type: "flannel", delegate: {} }] };
  const files = {
    "/etc/cni/net.d/a.conflist": JSON.stringify(flannel),
    "/run/flannel/subnet.env": "FLANNEL_SUBNET=10.2.3.1/24\n",
  };
  expect(nextLocal(readHostLocal(machine("n1", files, []))!, 0).address).toBe("10.2.3.2");
  const calico = { name: "k8s", plugins: [{ type: "calico", ipam: { type: "host-local", subnet: "usePodCidr" } }] };
  const pod = readHostLocal(
    machine("n1", { "/etc/cni/net.d/a.conflist": JSON.stringify(calico) }, ["fd00::/64", "10.5.0.0/24"]),
  )!;
  expect(nextLocal(pod, 0).address).toBe("10.5.0.2");
});

test("addresses that no pod has, and pods whose address is free for the next one", () => {
  const ipam = { type: "host-local", subnet: "10.9.0.0/29" };
  const files = {
    "/etc/cni/net.d/a.conf": JSON.stringify({ name: "net", type: "bridge", ipam }),
    "/var/lib/cni/networks/net/10.9.0.2": "aaa\r\neth0",
    "/var/lib/cni/networks/net/10.9.0.3": "bbb\r\neth0",
  };
  const local = readHostLocal(machine("n1", files, []))!;
  const pods = [podWithPorts("n1", "a", ["10.9.0.2"]), podWithPorts("n1", "b", ["10.9.0.5"])];
  // The same address on another node is another network's.
  const cluster = { ...emptyCluster(), pods: [...pods, podWithPorts("n2", "c", ["10.9.0.3"])] };
  expect(localLeaks(cluster, local)).toMatchObject([{ address: "10.9.0.3", from: "net", node: "n1", handle: "bbb" }]);
  expect(unrecordedAddresses(cluster, null, new Map([["n1", local]]))).toMatchObject([
    { address: "10.9.0.5", name: "b" },
  ]);
});

test("podCIDRs that are missing, outside and overlapping", () => {
  const command = {
    "kube-controller-manager": "kube-controller-manager --allocate-node-cidrs --cluster-cidr=10.0.0.0/22,fd00::/56",
  };
  const machines = [
    machine("n1", {}, ["10.0.0.0/24", "fd00::/64"], command),
    machine("n2", {}, ["10.0.0.128/25"]),
    machine("n3", {}, ["10.9.0.0/24"]),
    machine("n4", {}, []),
  ];
  const site: Site = { cluster: { ...emptyCluster(), nodes: machines.map((each) => each.node!) }, machines };
  const { cluster, problems } = podCidrs(site);
  expect(cluster).toEqual([
    { cidr: "10.0.0.0/22", nodeMask: 24, size: 4n, used: 2 },
    { cidr: "fd00::/56", nodeMask: 64, size: 256n, used: 1 },
  ]);
  expect(problems.map(({ node, kind }) => [node, kind])).toEqual([
    ["n2", "overlaps"],
    ["n3", "outside"],
    ["n4", "missing"],
  ]);
});
