// What felix/dataplane/linux/route_mgr.go, vxlan_mgr.go and Calico's BIRD write, as `ip route` prints it.
import { expect, test } from "vitest";
import type { Claim } from "../claim.ts";
import { calico } from "./index.ts";
import { hostDeviceName } from "./names.ts";
import { clusterOf, machine, node, pod, siteOf } from "./testing/world.ts";

type Json = Record<string, unknown>;

interface Given {
  pool: Json;
  nodes?: Json[];
  /** Blocks and the nodes that they are of; `borrowed` are offsets of addresses that others use. */
  blocks: { cidr: string; node: string; borrowed?: Record<number, string> }[];
  pods?: Json[];
  more?: Record<string, Json[]>;
  env?: Record<string, string>;
  eth0?: string[];
}

const NODES = [
  node("n1", "10.0.1.1/24", { IPv4VXLANTunnelAddr: "10.244.1.0", IPv4IPIPTunnelAddr: "10.244.1.1" }),
  node("n2", "10.0.1.2/24", { IPv4VXLANTunnelAddr: "10.244.2.0", IPv4IPIPTunnelAddr: "10.244.2.1" }),
  node("n3", "10.0.2.3/24", { IPv4VXLANTunnelAddr: "10.244.3.0", IPv4IPIPTunnelAddr: "10.244.3.1" }),
];
const WEB = hostDeviceName("cali", "shop", "web");
const BLOCKS = [1, 2, 3].map((n) => ({ cidr: `10.244.${n}.0/26`, node: `n${n}` }));

function block({ cidr, node: of, borrowed = {} }: Given["blocks"][number]): Json {
  const users = Object.entries(borrowed);
  const allocations = Array.from({ length: 64 }, (_, i) => {
    const at = users.findIndex(([offset]) => Number(offset) === i);
    return at < 0 ? null : at;
  });
  const attributes = users.map(([, user]) => ({ secondary: { node: user } }));
  return { metadata: { name: cidr }, spec: { cidr, affinity: `host:${of}`, allocations, attributes } };
}

function affinity({ cidr, node: of }: Given["blocks"][number]): Json {
  return { metadata: { name: `${of}-${cidr}` }, spec: { cidr, node: of, state: "confirmed", deleted: "false" } };
}

/** Claims for n1, with a router between its subnet and that of n3. */
function claims({
  pool,
  nodes = NODES,
  blocks,
  pods = [],
  more = {},
  env = {},
  eth0 = ["10.0.1.1/24"],
}: Given): Claim[] {
  const cluster = clusterOf({
    nodes,
    pods,
    "ippools.crd.projectcalico.org": [
      { metadata: { name: "pool" }, spec: { cidr: "10.244.0.0/16", natOutgoing: true, ...pool } },
    ],
    "ipamblocks.crd.projectcalico.org": blocks.map(block),
    "blockaffinities.crd.projectcalico.org": blocks.map(affinity),
    ...more,
  });
  const n1 = machine(cluster, "n1", [], env);
  n1.devices = [{ index: 2, name: "eth0", mac: null, mtu: 1500, addresses: eth0 }];
  return calico.intend(siteOf(cluster, [n1, machine(cluster, "router", ["10.0.1.254/24", "10.0.2.254/24"])]), n1);
}

function routes(given: Given): string[] {
  return claims(given).flatMap((claim) => {
    if (claim.kind !== "route") return [];
    const { dst, type, ways, protocol, metric, scope, mtu } = claim.state;
    const via = ways.map((way) => [
      way.via === null ? "" : `via ${way.via}`,
      `dev ${way.dev}`,
      way.onlink === true ? "onlink" : "",
    ]);
    return [
      [
        claim.optional === true ? "maybe" : "",
        type === "unicast" ? "" : type,
        dst,
        ...via.flat(),
        `proto ${protocol}`,
        scope === undefined ? "" : `scope ${scope}`,
        metric === 0 ? "" : `metric ${metric}`,
        typeof mtu === "number" ? `mtu ${mtu}` : "",
      ]
        .filter((part) => part !== "")
        .join(" "),
    ];
  });
}

const links = (given: Given): string[] =>
  claims(given).flatMap((claim) =>
    claim.kind === "link" ? [`${claim.state.name} ${claim.state.type} mtu ${claim.state.mtu}`] : [],
  );

test("VXLAN", () => {
  const given = { pool: { vxlanMode: "Always" }, blocks: BLOCKS };
  expect(routes(given)).toEqual([
    "blackhole 10.244.1.0/26 proto 80",
    "10.244.2.0/26 via 10.244.2.0 dev vxlan.calico onlink proto boot mtu 1450",
    "10.244.3.0/26 via 10.244.3.0 dev vxlan.calico onlink proto boot mtu 1450",
  ]);
  expect(links(given)).toEqual(["vxlan.calico vxlan mtu 1450"]);
});

test("VXLAN between subnets only", () => {
  expect(routes({ pool: { vxlanMode: "CrossSubnet" }, blocks: BLOCKS })).toEqual([
    "blackhole 10.244.1.0/26 proto 80",
    "10.244.2.0/26 via 10.0.1.2 dev eth0 onlink proto 80",
    "10.244.3.0/26 via 10.244.3.0 dev vxlan.calico onlink proto boot mtu 1450",
  ]);
});

test("IPIP, and between subnets only", () => {
  const given = { pool: { ipipMode: "Always" }, blocks: BLOCKS };
  expect(routes(given)).toEqual([
    "blackhole 10.244.1.0/26 proto 80",
    "10.244.2.0/26 via 10.0.1.2 dev tunl0 onlink proto 80 mtu 1480",
    "10.244.3.0/26 via 10.0.2.3 dev tunl0 onlink proto 80 mtu 1480",
  ]);
  expect(links(given)).toEqual(["tunl0 ipip mtu 1480"]);
  expect(routes({ pool: { ipipMode: "CrossSubnet" }, blocks: BLOCKS })).toContain(
    "10.244.2.0/26 via 10.0.1.2 dev eth0 onlink proto 80",
  );
});

test("routes of IPIP that BIRD writes", () => {
  const spec = { programClusterRoutes: "Enabled" };
  const more = {
    "felixconfigurations.crd.projectcalico.org": [
      { metadata: { name: "default" }, spec: { programClusterRoutes: "Disabled" } },
    ],
    "bgpconfigurations.crd.projectcalico.org": [{ metadata: { name: "default" }, spec }],
  };
  expect(routes({ pool: { ipipMode: "CrossSubnet" }, blocks: BLOCKS, more })).toEqual([
    "blackhole 10.244.1.0/26 proto bird",
    "10.244.2.0/26 via 10.0.1.2 dev eth0 proto bird metric 1024",
    "10.244.3.0/26 via 10.0.2.3 dev tunl0 onlink proto bird metric 1024",
  ]);
});

test("no tunnel: BIRD's routes, by a router where the other node's subnet is another", () => {
  expect(routes({ pool: {}, blocks: BLOCKS })).toEqual([
    "blackhole 10.244.1.0/26 proto bird",
    "10.244.2.0/26 via 10.0.1.2 dev eth0 proto bird metric 1024",
    "10.244.3.0/26 via 10.0.1.254 dev eth0 proto bird metric 1024",
  ]);
});

test("no BGP, no BIRD", () => {
  expect(routes({ pool: {}, blocks: BLOCKS, env: { CALICO_NETWORKING_BACKEND: "vxlan" } })).toEqual([]);
});

test("addresses out of another node's block", () => {
  const [own, theirs, third] = BLOCKS as [Given["blocks"][0], Given["blocks"][0], Given["blocks"][0]];
  const pods = [pod("shop", "web", "10.244.2.9", "n1")];
  const blocks = [{ ...own, borrowed: { 5: "n2" } }, { ...theirs, borrowed: { 9: "n1", 10: "n3" } }, third];
  expect(routes({ pool: {}, blocks, pods })).toEqual([
    `10.244.2.9/32 dev ${WEB} proto boot scope link metric 1024`,
    "blackhole 10.244.1.0/26 proto bird",
    "10.244.1.5/32 via 10.0.1.2 dev eth0 proto bird metric 1024",
    "10.244.2.0/26 via 10.0.1.2 dev eth0 proto bird metric 1024",
    "10.244.2.10/32 via 10.0.1.254 dev eth0 proto bird metric 1024",
    "10.244.3.0/26 via 10.0.1.254 dev eth0 proto bird metric 1024",
  ]);
});

test("both families", () => {
  const six = (n: string, ip: string): Json =>
    node(n, `${ip.replace("fd00::", "10.0.1.")}/24`, { IPv6Address: `${ip}/64` });
  const pods = [pod("shop", "web", ["10.244.1.9", "fd00:244::9"], "n1")];
  const more = {
    "ippools.crd.projectcalico.org": [
      { metadata: { name: "four" }, spec: { cidr: "10.244.0.0/16" } },
      { metadata: { name: "six" }, spec: { cidr: "fd00:244::/48" } },
    ],
  };
  const blocks = [
    { cidr: "fd00:244::/122", node: "n1" },
    { cidr: "fd00:244:0:1::/122", node: "n2" },
  ];
  const given = {
    pool: {},
    nodes: [six("n1", "fd00::1"), six("n2", "fd00::2")],
    blocks,
    pods,
    more,
    eth0: ["10.0.1.1/24", "fd00::1/64"],
  };
  expect(routes(given)).toEqual([
    `10.244.1.9/32 dev ${WEB} proto boot scope link metric 1024`,
    `fd00:244::9/128 dev ${WEB} proto boot metric 1024`,
    "fd00:244:0:1::/122 via fd00::2 dev eth0 proto bird metric 1024",
    "blackhole fd00:244::/122 proto bird metric 1024",
  ]);
});

test("routers of racks that tell of nodes in other ASes", () => {
  const nodes = NODES.map((each, i) => {
    const { metadata } = each as { metadata: { annotations: Json } };
    return {
      ...each,
      metadata: { ...metadata, annotations: { ...metadata.annotations, "projectcalico.org/ASNumber": `${65001 + i}` } },
    };
  });
  const more = {
    "bgpconfigurations.crd.projectcalico.org": [
      { metadata: { name: "default" }, spec: { nodeToNodeMeshEnabled: false } },
    ],
    "bgppeers.crd.projectcalico.org": ["10.0.1.254", "10.0.1.253"].map((peerIP) => ({
      metadata: { name: peerIP },
      spec: { peerIP, asNumber: 64600 },
    })),
  };
  expect(routes({ pool: {}, nodes, blocks: BLOCKS, more })).toEqual([
    "maybe 10.0.2.0/24 via 10.0.1.254 dev eth0 proto bird metric 2147483547",
    "blackhole 10.244.1.0/26 proto bird",
    "maybe 10.244.2.0/26 via 10.0.1.2 dev eth0 proto bird metric 2147483547",
    "maybe 10.244.3.0/26 via 10.0.1.253 dev eth0 via 10.0.1.254 dev eth0 proto bird metric 2147483547",
  ]);
});
