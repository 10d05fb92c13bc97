import { expect, test } from "vitest";
import { makeService } from "../../../../test/support/snapshot.ts";
import type { Cluster, Endpoint } from "../../model/cluster.ts";
import { emptyCluster } from "../../parse/cluster.ts";
import { bgpAnnouncements, electionOrder, l2Announcements } from "./announce.ts";
import { frrConfig } from "./frr-config.ts";
import { addressPools, poolOf } from "./objects.ts";

const source = { file: "x", line: 1 };

/** Three nodes; `objects` by plural and name. Services `cluster` and `local` have endpoints on n2, `dead` has none. */
function clusterOf(objects: Record<string, Record<string, object>>): Cluster {
  const cluster = emptyCluster();
  cluster.nodes = ["n1", "n2", "n3"].map((name) => ({
    namespace: "",
    name,
    labels: { zone: name === "n3" ? "b" : "a" },
    annotations: {},
    source,
    addresses: [],
    podCIDRs: [],
  }));
  const balancer = (name: string, ip: string, externalTrafficPolicy: string) =>
    makeService("shop", name, ["10.96.0.1"], [], {
      type: "LoadBalancer",
      loadBalancerIPs: [ip],
      externalTrafficPolicy,
    });
  cluster.services = [
    balancer("cluster", "172.16.1.10", "Cluster"),
    balancer("local", "172.16.1.11", "Local"),
    balancer("dead", "172.16.1.12", "Cluster"),
    balancer("elsewhere", "203.0.113.1", "Cluster"),
  ];
  const endpoint: Endpoint = {
    addresses: ["10.244.2.2"],
    ready: true,
    serving: true,
    terminating: false,
    node: "n2",
    hostname: null,
    pod: null,
  };
  cluster.endpointSlices = ["cluster", "local"].map((service) => ({
    namespace: "shop",
    name: `${service}-x`,
    labels: {},
    annotations: {},
    source,
    service,
    addressType: "IPv4",
    ports: [],
    endpoints: [endpoint],
  }));
  for (const [plural, specs] of Object.entries({
    ipaddresspools: { pool: { addresses: ["172.16.1.0/24"] } },
    ...objects,
  }))
    cluster.raw.set(
      `${plural}.metallb.io`,
      Object.entries(specs).map(([name, spec]) => ({ metadata: { name, labels: { name } }, spec })),
    );
  return cluster;
}

// sha256sum of `n1#172.16.1.10` and so on.
test("the order of election is that of the hashes", () => {
  expect(electionOrder(["n1", "n2", "n3"], "172.16.1.10")).toEqual(["n1", "n2", "n3"]);
  expect(electionOrder(["n1", "n2", "n3"], "fd00::1")).toEqual(["n2", "n3", "n1"]);
});

test("pools of prefixes and of ranges", () => {
  const pools = addressPools(
    clusterOf({
      ipaddresspools: { a: { addresses: ["10.0.0.0/30"] }, b: { addresses: ["10.0.1.5 - 10.0.1.9", "fd00::/120"] } },
    }),
  );
  expect(
    ["10.0.0.3", "10.0.1.4", "10.0.1.5", "10.0.1.9", "10.0.1.10", "fd00::ff"].map(
      (ip) => poolOf(pools, ip)?.name ?? null,
    ),
  ).toEqual(["a", null, "b", "b", null, "b"]);
});

test("layer 2: one node each; with Local only one that has an endpoint; none without endpoints", () => {
  const cluster = clusterOf({ l2advertisements: { l2: { ipAddressPools: ["pool"] } } });
  const said = l2Announcements(cluster).map(({ service, node, because }) => [service.name, node, because]);
  expect(said).toEqual([
    ["cluster", ["n1", "n2", "n3"][0], null],
    ["local", "n2", null],
    ["dead", null, "no endpoint can serve"],
  ]);
  cluster.nodes[1]!.labels["node.kubernetes.io/exclude-from-external-load-balancers"] = "";
  expect(l2Announcements(cluster)[1]).toMatchObject({
    node: null,
    because: expect.stringContaining("Local") as string,
  });
});

test("layer 2: selectors of nodes and pools, devices", () => {
  const selector = [{ matchExpressions: [{ key: "zone", operator: "NotIn", values: ["a"] }] }];
  const cluster = clusterOf({
    l2advertisements: {
      here: {
        ipAddressPoolSelectors: [{ matchLabels: { name: "pool" } }],
        nodeSelectors: selector,
        interfaces: ["eth1", "eth0"],
      },
      other: { ipAddressPools: ["another"] },
    },
  });
  expect(l2Announcements(cluster)[0]).toMatchObject({ node: "n3", standby: [], interfaces: ["eth0", "eth1"] });
});

const PEER = {
  myASN: 100,
  peerASN: 200,
  peerAddress: "10.2.2.254",
  sourceAddress: "10.1.1.254",
  routerID: "10.1.1.254",
  holdTime: "1s",
  keepaliveTime: "1s",
  ebgpMultiHop: true,
  passwordSecret: { name: "password" },
};

test("BGP: every node with a session tells of Cluster, those with an endpoint of Local; aggregated, to some peers", () => {
  const cluster = clusterOf({
    bgppeers: {
      tor: PEER,
      far: { ...PEER, peerAddress: "10.2.2.255", nodeSelectors: [{ matchLabels: { zone: "a" } }] },
    },
    bgpadvertisements: { one: {}, wide: { aggregationLength: 24, peers: ["far"] } },
  });
  const said = bgpAnnouncements(cluster).map((each) => `${each.node} ${each.prefix} ${each.peers.join()}`);
  expect(said).toEqual([
    "n1 172.16.1.10/32 far,tor",
    "n1 172.16.1.0/24 far",
    "n2 172.16.1.10/32 far,tor",
    "n2 172.16.1.0/24 far",
    "n2 172.16.1.11/32 far,tor",
    "n2 172.16.1.0/24 far",
    "n3 172.16.1.10/32 tor",
  ]);
});

// internal/bgp/frr/testdata/TestTwoAdvertisements.golden with these addresses, names and password; FRR passes over blank lines.
test("FRR's configuration of a node with two announcements, one of them with a community", () => {
  const cluster = clusterOf({
    ipaddresspools: { a: { addresses: ["172.16.1.10/32"] }, b: { addresses: ["172.16.1.11/32"] } },
    bgppeers: { tor: PEER },
    bgpadvertisements: {
      one: { ipAddressPools: ["a"], communities: ["mine"] },
      two: { ipAddressPools: ["b"] },
    },
    communities: { c: { communities: [{ name: "mine", value: "1111:2222" }] } },
  });
  expect(frrConfig(cluster, "n2")).toBe(`log file /etc/frr/frr.log informational
log timestamp precision 3
hostname n2
ip nht resolve-via-default
ipv6 nht resolve-via-default
route-map 10.2.2.254-in deny 20
route-map 10.2.2.254-out permit 1
  match ip address prefix-list 10.2.2.254-1111:2222-ipv4-community-prefixes
  set community 1111:2222 additive
  on-match next
ip prefix-list 10.2.2.254-1111:2222-ipv4-community-prefixes seq 1 permit 172.16.1.10/32
ip prefix-list 10.2.2.254-pl-ipv4 seq 1 permit 172.16.1.10/32
ip prefix-list 10.2.2.254-pl-ipv4 seq 2 permit 172.16.1.11/32
ipv6 prefix-list 10.2.2.254-pl-ipv4 seq 3 deny any
route-map 10.2.2.254-out permit 2
  match ip address prefix-list 10.2.2.254-pl-ipv4
route-map 10.2.2.254-out permit 3
  match ipv6 address prefix-list 10.2.2.254-pl-ipv4
router bgp 100
  no bgp ebgp-requires-policy
  no bgp network import-check
  no bgp default ipv4-unicast
  bgp graceful-restart preserve-fw-state
  bgp router-id 10.1.1.254
  neighbor 10.2.2.254 remote-as 200
  neighbor 10.2.2.254 ebgp-multihop
  neighbor 10.2.2.254 port 179
  neighbor 10.2.2.254 timers 1 1
  neighbor 10.2.2.254 password of-secret-password
  neighbor 10.2.2.254 update-source 10.1.1.254
  address-family ipv4 unicast
    neighbor 10.2.2.254 activate
    neighbor 10.2.2.254 route-map 10.2.2.254-in in
    neighbor 10.2.2.254 route-map 10.2.2.254-out out
  exit-address-family
  address-family ipv4 unicast
    network 172.16.1.10/32
    network 172.16.1.11/32
  exit-address-family
`);
  expect(frrConfig(clusterOf({}), "n2")).toBeNull();
});
