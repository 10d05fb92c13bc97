import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { makePod, makeService } from "../../../../test/support/snapshot.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Claim } from "../claim.ts";
import type { Machine, Site } from "../site.ts";
import { ipcacheMap, endpointMap } from "./address-maps.ts";
import { ipcacheDifferences, policyDifferences, serviceDifferences } from "./compare-maps.ts";
import { cilium } from "./index.ts";
import { policyMap } from "./policy-map.ts";
import { recordedMaps } from "./read-maps.ts";
import { backendMap, serviceMap } from "./service-map.ts";

const source = { file: "cluster/test.json", line: 1 };

/** Three nodes: n1 and n2 in one network, n3 in another; Cilium's settings are added to those of a plain installation. */
function site(settings: Record<string, string> = {}): Site {
  const numbers = [1, 2, 3];
  const ciliumNode = (n: number) => ({
    metadata: { name: `n${n}` },
    spec: {
      addresses: [
        { type: "InternalIP", ip: n === 3 ? "172.31.0.13" : `172.30.0.1${n}` },
        { type: "InternalIP", ip: `fd00:30::1${n}` },
        { type: "CiliumInternalIP", ip: `10.244.${n}.224` },
        { type: "CiliumInternalIP", ip: `fd00:244:${n}::e0` },
      ],
      ipam: { podCIDRs: [`10.244.${n}.0/24`, `fd00:244:${n}::/64`] },
      health: { ipv4: `10.244.${n}.200` },
    },
  });
  const labels = (namespace: string, app: string) => ({
    "k8s:app": app,
    "k8s:io.kubernetes.pod.namespace": namespace,
    "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": namespace,
  });
  const endpoint = (name: string, n: number, id: number, identity: number) => ({
    metadata: { namespace: name.startsWith("client") ? "ops" : "shop", name },
    status: {
      id,
      identity: { id: identity },
      networking: {
        addressing: [{ ipv4: `10.244.${n}.7${id % 10}` }],
        node: n === 3 ? "172.31.0.13" : `172.30.0.1${n}`,
      },
      "named-ports": [{ name: "http", port: 8080, protocol: "TCP" }],
    },
  });
  const policy = (name: string, spec: unknown) => ({ metadata: { namespace: "shop", name }, spec });
  const raw = new Map<string, unknown[]>([
    [
      "configmaps",
      [
        {
          metadata: { name: "cilium-config", namespace: "kube-system" },
          data: { "enable-ipv4": "true", "enable-ipv6": "false", ...settings },
        },
      ],
    ],
    ["ciliumnodes.cilium.io", numbers.map(ciliumNode)],
    [
      "ciliumendpoints.cilium.io",
      [endpoint("web-1", 1, 101, 5001), endpoint("web-2", 2, 202, 5001), endpoint("client-1", 1, 103, 5003)],
    ],
    [
      "ciliumidentities.cilium.io",
      [
        { metadata: { name: "5001" }, "security-labels": labels("shop", "web") },
        { metadata: { name: "5002" }, "security-labels": labels("shop", "db") },
        { metadata: { name: "5003" }, "security-labels": labels("ops", "client") },
      ],
    ],
    [
      "networkpolicies.networking.k8s.io",
      [
        policy("web", {
          podSelector: { matchLabels: { app: "web" } },
          policyTypes: ["Ingress"],
          ingress: [
            {
              from: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ops" } } }],
              ports: [{ port: "http" }],
            },
            {
              from: [
                { podSelector: { matchExpressions: [{ key: "app", operator: "In", values: ["db"] }] } },
                { ipBlock: { cidr: "203.0.113.0/24" } },
              ],
            },
            { ports: [{ port: 9000, endPort: 9007, protocol: "UDP" }] },
          ],
        }),
      ],
    ],
  ]);
  const pod = (namespace: string, name: string, n: number, ip: string, app: string) =>
    makePod(namespace, name, `n${n}`, [ip], {
      labels: { app },
      ports: [
        { name: "http", containerPort: 8080, hostPort: name === "web-1" ? 18080 : null, hostIP: null, protocol: "TCP" },
      ],
    });
  const slice = (addresses: [string, string][]): Cluster["endpointSlices"][number] => ({
    namespace: "shop",
    name: "web-1",
    labels: {},
    annotations: {},
    source,
    service: "web",
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: addresses.map(([address, node]) => ({
      addresses: [address],
      ready: true,
      serving: true,
      terminating: false,
      node,
      hostname: null,
      pod: null,
    })),
  });
  const web = makeService("shop", "web", ["10.96.0.7"], ["http/80"], {
    type: "LoadBalancer",
    externalTrafficPolicy: "Local",
    loadBalancerIPs: ["198.51.100.4"],
  });
  web.ports[0]!.nodePort = 30080;
  const machines = numbers.map((n): Machine => ({
    name: `n${n}`,
    place: `n${n}/host`,
    node: null,
    devices: [
      { index: 2, name: "eth0", mac: null, mtu: 1500, addresses: [n === 3 ? "172.31.0.13/24" : `172.30.0.1${n}/24`] },
    ],
    sandboxes:
      n === 1
        ? [
            {
              place: "n1/pod/shop/web-1",
              pod: { namespace: "shop", name: "web-1" },
              path: null,
              device: { index: 7, name: "eth0", mac: "02:00:00:00:00:07" },
              hostDevice: { index: 8, name: "lxc0a1b2c3d4e5f", mac: "02:00:00:00:00:08" },
            },
          ]
        : [],
    macOf: () => null,
    command: () => null,
    file: () => null,
    files: () => [],
  }));
  return {
    cluster: {
      pods: [
        pod("shop", "web-1", 1, "10.244.1.71", "web"),
        pod("shop", "web-2", 2, "10.244.2.72", "web"),
        pod("ops", "client-1", 1, "10.244.1.73", "client"),
      ],
      services: [web, makeService("shop", "headless", [], ["http/80"], { headless: true })],
      endpointSlices: [
        slice([
          ["10.244.1.71", "n1"],
          ["10.244.2.72", "n2"],
        ]),
      ],
      nodes: [],
      raw,
      missing: new Map(),
    },
    machines,
  };
}

const NATIVE = {
  "routing-mode": "native",
  "auto-direct-node-routes": "true",
  "ipv4-native-routing-cidr": "10.244.0.0/16",
};

/** Claims of a node in short, as `ip` and `iptables-save` would print them. */
function claims(of: Site, n = 1): Claim[] {
  return cilium.intend(of, of.machines[n - 1]!);
}
function routes(of: Site, at = "n1/host"): string[] {
  return claims(of).flatMap((claim) => {
    if (claim.kind !== "route" || claim.at !== at) return [];
    const { state } = claim;
    const [way] = state.ways;
    const words = [
      state.type === "unicast" ? state.dst : `${state.type} ${state.dst}`,
      ...(way?.via == null ? [] : [`via ${way.via}`]),
      `dev ${way?.dev}`,
      ...(state.table === 254 ? [] : [`table ${state.table}`]),
      ...(state.scope === undefined ? [] : [`scope ${state.scope}`]),
      ...(state.src == null ? [] : [`src ${state.src}`]),
      ...(state.mtu == null ? [] : [`mtu ${state.mtu}`]),
    ];
    return [words.join(" ")];
  });
}
function chain(of: Site, name: string): string[] {
  return claims(of).flatMap((claim) =>
    claim.kind === "chain" && claim.state.family === "ip" && claim.state.chain === name
      ? (claim.rules ?? []).map(String)
      : [],
  );
}

describe("a tunnel", () => {
  const of = site();
  test("routes of a node, as Cilium's nodes show them", () => {
    expect(routes(of)).toEqual([
      "10.244.1.224/32 dev cilium_host scope link",
      "10.244.1.0/24 via 10.244.1.224 dev cilium_host src 10.244.1.224",
      "10.244.2.0/24 via 10.244.1.224 dev cilium_host src 10.244.1.224 mtu 1450",
      "10.244.3.0/24 via 10.244.1.224 dev cilium_host src 10.244.1.224 mtu 1450",
      "local 0.0.0.0/0 dev lo table 2004",
    ]);
    expect(routes(of, "n1/pod/shop/web-1")).toEqual([
      "10.244.1.224/32 dev eth0 scope link",
      "0.0.0.0/0 via 10.244.1.224 dev eth0 mtu 1450",
    ]);
  });

  test("devices and rules", () => {
    const links = claims(of).flatMap((claim) =>
      claim.kind === "link" ? [`${claim.at} ${claim.state.name} ${claim.state.type} ${claim.state.mtu}`] : [],
    );
    expect(links).toEqual([
      "n1/host cilium_host veth 1500",
      "n1/host cilium_net veth 1500",
      "n1/host cilium_vxlan vxlan 1500",
      "n1/host lxc_health veth 1500",
      "n1/pod/shop/web-1 eth0 veth 1500",
      "n1/host lxc0a1b2c3d4e5f veth 1500",
    ]);
    expect(
      claims(of).flatMap((claim) =>
        claim.kind === "rule-lookup" ? [`${claim.state.priority}: ${claim.state.selector} ${claim.state.action}`] : [],
      ),
    ).toEqual(["9: from all fwmark 0x200/0xf00 lookup 2004", "100: from all lookup local"]);
  });

  test("masquerading, as a node of Cilium 1.1x with kube-proxy prints it", () => {
    expect(chain(of, "CILIUM_POST_nat")).toEqual([
      '-s 10.244.1.0/24 ! -d 10.244.1.0/24 ! -o cilium_+ -m comment --comment "cilium masquerade non-cluster" -j MASQUERADE',
      '-m mark --mark 0xa00/0xe00 -m comment --comment "exclude proxy return traffic from masquerade" -j ACCEPT',
      '! -s 10.244.1.0/24 ! -d 10.244.1.0/24 -o cilium_host -m comment --comment "cilium host->cluster masquerade" -j SNAT --to-source 10.244.1.224',
      '-s 127.0.0.1/32 -o cilium_host -m comment --comment "cilium host->cluster from 127.0.0.1 masquerade" -j SNAT --to-source 10.244.1.224',
      '-o cilium_host -m mark --mark 0xf00/0xf00 -m conntrack --ctstate DNAT -m comment --comment "hairpin traffic that originated from a local pod" -j SNAT --to-source 10.244.1.224',
    ]);
    expect(chain(site({ "enable-bpf-masquerade": "true" }), "CILIUM_POST_nat")).toEqual([]);
  });
});

describe("native routing", () => {
  const of = site(NATIVE);
  test("routes by the nodes' own addresses, to those in the same network only", () => {
    expect(routes(of)).toEqual([
      "10.244.1.224/32 dev cilium_host scope link",
      "10.244.1.0/24 via 10.244.1.224 dev cilium_host src 10.244.1.224",
      "10.244.2.0/24 via 172.30.0.12 dev eth0",
      "local 0.0.0.0/0 dev lo table 2004",
    ]);
    expect(routes(site({ ...NATIVE, "enable-endpoint-routes": "true" }))).toEqual([
      "10.244.2.0/24 via 172.30.0.12 dev eth0",
      "local 0.0.0.0/0 dev lo table 2004",
      "10.244.1.71/32 dev lxc0a1b2c3d4e5f scope link",
    ]);
    expect(routes(site({ ...NATIVE, "enable-envoy-config": "true" })).slice(-2)).toEqual([
      "10.244.1.224/32 dev cilium_host table 2005 scope link",
      "0.0.0.0/0 via 10.244.1.224 dev cilium_host table 2005",
    ]);
  });

  test("masquerading spares the nodes, as a kind cluster prints it", () => {
    expect(chain(of, "CILIUM_POST_nat").slice(0, 2)).toEqual([
      '-s 10.244.1.0/24 -m set --match-set cilium_node_set_v4 dst -m comment --comment "exclude traffic to cluster nodes from masquerade" -j ACCEPT',
      '-s 10.244.1.0/24 ! -d 10.244.0.0/16 ! -o cilium_+ -m comment --comment "cilium masquerade non-cluster" -j MASQUERADE',
    ]);
    expect(claims(of).find((claim) => claim.kind === "set")).toMatchObject({
      state: { name: "cilium_node_set_v4", elements: ["172.30.0.11", "172.30.0.12", "172.31.0.13"] },
    });
  });

  test("the filter chains and the feeders", () => {
    expect(chain(site({ ...NATIVE, "enable-endpoint-routes": "true" }), "CILIUM_FORWARD")).toEqual([
      '-o cilium_host -m comment --comment "cilium: any->cluster on cilium_host forward accept" -j ACCEPT',
      '-i cilium_host -m comment --comment "cilium: cluster->any on cilium_host forward accept (nodeport)" -j ACCEPT',
      '-i lxc+ -m comment --comment "cilium: cluster->any on lxc+ forward accept" -j ACCEPT',
      '-i cilium_net -m comment --comment "cilium: cluster->any on cilium_net forward accept (nodeport)" -j ACCEPT',
      '-o lxc+ -m comment --comment "cilium: any->cluster on lxc+ forward accept" -j ACCEPT',
      '-i lxc+ -m comment --comment "cilium: cluster->any on lxc+ forward accept (nodeport)" -j ACCEPT',
    ]);
    const feeders = claims(of).flatMap((claim) =>
      claim.kind === "rule" && String(claim.state).includes("feeder") ? [claim.chain.chain] : [],
    );
    expect(feeders.toSorted()).toEqual([
      "FORWARD",
      "INPUT",
      "OUTPUT",
      "OUTPUT",
      "OUTPUT",
      "POSTROUTING",
      "POSTROUTING",
      "PREROUTING",
      "PREROUTING",
      "PREROUTING",
    ]);
    expect(claims(site({ ...NATIVE, "install-iptables-rules": "false" })).some((claim) => claim.kind === "chain")).toBe(
      false,
    );
  });
});

test("IPv6: no gateway of the host's own, half of the chains", () => {
  const of = site({ "enable-ipv6": "true" });
  expect(routes(of)).toContain("fd00:244:2::/64 dev cilium_host src fd00:244:1::e0 mtu 1450");
  const six = claims(of).flatMap((claim) =>
    claim.kind === "chain" && claim.state.family === "ip6" ? [claim.state.chain] : [],
  );
  expect(six).toHaveLength(7);
  expect(six).not.toContain("CILIUM_PRE_nat");
});

test("where Cilium does not run nothing is claimed; a tunnel that it does not have is told", () => {
  const of = site();
  expect(cilium.intend(of, { ...of.machines[0]!, name: "router" })).toEqual([]);
  expect(() => claims(site({ "tunnel-protocol": "gre" }))).toThrow(
    "cilium-config: tunnel-protocol should be vxlan or geneve, not gre",
  );
});

const canTest = spawnSync("unshare", ["-n", "iptables-restore", "--version"]).status === 0;
test.runIf(canTest)("iptables-restore takes the rules", () => {
  const installations: Record<string, string>[] = [
    {},
    { ...NATIVE, "enable-endpoint-routes": "true", "install-no-conntrack-iptables-rules": "true" },
    { "enable-ipsec": "true" },
  ];
  for (const settings of installations) {
    const tables = new Map<string, string[]>();
    const lines = (table: string): string[] => tables.get(table) ?? tables.set(table, []).get(table)!;
    for (const claim of claims(site(settings))) {
      if (claim.kind === "chain" && claim.state.backend === "iptables" && claim.state.family === "ip") {
        lines(claim.state.table).unshift(`:${claim.state.chain} - [0:0]`);
        for (const rule of claim.rules ?? []) lines(claim.state.table).push(`-A ${claim.state.chain} ${String(rule)}`);
      }
      if (claim.kind === "rule" && claim.chain.family === "ip")
        lines(claim.chain.table).push(`-A ${claim.chain.chain} ${String(claim.state)}`);
    }
    const text = [...tables].map(([table, rules]) => `*${table}\n${rules.join("\n")}\nCOMMIT\n`).join("");
    const done = spawnSync(
      "unshare",
      ["-n", "sh", "-c", "ipset create cilium_node_set_v4 hash:ip; iptables-restore --test"],
      { input: text, encoding: "utf8" },
    );
    expect(done.status, done.stderr).toBe(0);
  }
});

describe("BPF maps", () => {
  const of = site({ "kube-proxy-replacement": "true" });
  const n1 = of.machines[0]!;
  const LB = {
    "10.96.0.7:80/TCP (0)": ["0.0.0.0:0 (1) (0) [ClusterIP, non-routable]"],
    "10.96.0.7:80/TCP (1)": ["10.244.1.71:8080/TCP (1) (1)"],
    "10.96.0.7:80/TCP (2)": ["10.244.2.72:8080/TCP (1) (2)"],
    "0.0.0.0:30080/TCP": [
      "0.0.0.0:0 (2) (0) [NodePort, Local, two-scopes, non-routable]",
      "10.244.1.71:8080/TCP (2) (1)",
    ],
    "0.0.0.0:30080/TCP/i": [
      "0.0.0.0:0 (3) (0) [NodePort, Local, two-scopes, non-routable]",
      "10.244.1.71:8080/TCP (3) (1)",
      "10.244.2.72:8080/TCP (3) (2)",
    ],
    "172.30.0.11:30080/TCP": ["0.0.0.0:0 (2) (0) [NodePort, Local, two-scopes]", "10.244.1.71:8080/TCP (2) (1)"],
    "172.30.0.11:30080/TCP/i": [
      "0.0.0.0:0 (3) (0) [NodePort, Local, two-scopes]",
      "10.244.2.72:8080/TCP (3) (2)",
      "10.244.1.71:8080/TCP (3) (1)",
    ],
    "198.51.100.4:80/TCP": ["0.0.0.0:0 (4) (0) [LoadBalancer, Local, two-scopes]", "10.244.1.71:8080/TCP (4) (1)"],
    "198.51.100.4:80/TCP/i": [
      "0.0.0.0:0 (5) (0) [LoadBalancer, Local, two-scopes]",
      "10.244.1.71:8080/TCP (5) (1)",
      "10.244.2.72:8080/TCP (5) (2)",
    ],
    "0.0.0.0:18080/TCP": ["0.0.0.0:0 (6) (0) [HostPort, non-routable]", "10.244.1.71:8080/TCP (6) (1)"],
    "172.30.0.11:18080/TCP": ["0.0.0.0:0 (7) (0) [HostPort]", "10.244.1.71:8080/TCP (7) (1)"],
  };
  const POLICY = [
    { Flags: 0, Key: { Prefixlen: 40, Identity: 1, TrafficDirection: 0, Nexthdr: 0, DestPortNetwork: 0 } },
    { Flags: 0, Key: { Prefixlen: 64, Identity: 5003, TrafficDirection: 0, Nexthdr: 6, DestPortNetwork: 0x901f } },
    { Flags: 0, Key: { Prefixlen: 40, Identity: 5002, TrafficDirection: 0, Nexthdr: 0, DestPortNetwork: 0 } },
    { Flags: 0, Key: { Prefixlen: 40, Identity: 16777218, TrafficDirection: 0, Nexthdr: 0, DestPortNetwork: 0 } },
    { Flags: 0, Key: { Prefixlen: 61, Identity: 0, TrafficDirection: 0, Nexthdr: 17, DestPortNetwork: 0x2823 } },
    { Flags: 0, Key: { Prefixlen: 40, Identity: 0, TrafficDirection: 1, Nexthdr: 0, DestPortNetwork: 0 } },
  ];
  const IPCACHE = {
    "0.0.0.0/0": ["identity=2 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>"],
    "203.0.113.0/24": ["identity=16777218 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>"],
    "10.244.2.72/32": ["identity=5001 encryptkey=0 tunnelendpoint=172.30.0.12 flags=hastunnel"],
  };
  const files: Record<string, string> = {
    "nodes/n1/bpf/lb.json": JSON.stringify(LB),
    "nodes/n1/bpf/ipcache.json": JSON.stringify(IPCACHE),
    "nodes/n1/bpf/policy-101.json": JSON.stringify(POLICY),
    "nodes/n1/bpf/endpoint.json": JSON.stringify({
      "10.244.1.71:0": ["id=101 sec_id=5001 flags=0x0000 ifindex=8 mac=02:00:00:00:00:07 nodemac=02:00:00:00:00:08"],
      "172.30.0.11:0": ["(localhost)"],
    }),
    "nodes/n1/bpf/tunnel.json": "[]",
  };
  const recorded = recordedMaps({ files: Object.keys(files), text: (path) => files[path] }, "n1");

  test("recorded services are those that the objects ask for", () => {
    expect(recorded.problems.map((each) => each.message)).toEqual([
      "nodes/n1/bpf/tunnel.json:1: should be an object of keys and their values",
    ]);
    expect(serviceDifferences(serviceMap(of, n1)!, recorded.services!)).toEqual([]);
    expect(backendMap(recorded.services!)).toEqual(["10.244.1.71:8080", "10.244.2.72:8080"]);
    const stale = { ...LB, "10.96.0.7:80/TCP (2)": ["10.244.9.9:8080/TCP (1) (2)"] };
    const other = recordedMaps(
      { files: [], text: (path) => (path.endsWith("lb.json") ? JSON.stringify(stale) : undefined) },
      "n1",
    );
    expect(serviceDifferences(serviceMap(of, n1)!, other.services!)).toEqual([
      {
        map: "services",
        key: "10.96.0.7:80/TCP",
        intended: "ClusterIP 10.244.1.71:8080, 10.244.2.72:8080",
        actual: "ClusterIP 10.244.1.71:8080, 10.244.9.9:8080",
      },
    ]);
  });

  test("without kube-proxy's replacement only cluster addresses", () => {
    expect(serviceMap(site(), n1)!.map((each) => each.kind)).toEqual(["ClusterIP"]);
  });

  test("the policy of a pod: identities, a named port, a range, addresses; egress is open", () => {
    const pod = of.cluster.pods[0]!;
    const map = policyMap(of, n1, pod)!;
    expect([map.endpoint, map.enforced]).toEqual([101, { ingress: true, egress: false }]);
    expect(policyDifferences(map, recorded.policies.get(101)!, recorded.ipcache!)).toEqual([]);
    const without = recorded.policies.get(101)!.slice(2);
    expect(policyDifferences(map, without, recorded.ipcache!).map((each) => each.intended)).toEqual([
      "allow ingress identity 5003 TCP 8080",
      "allow ingress identity 1",
    ]);
    expect(policyMap(of, n1, of.cluster.pods[2]!)!.entries.map((each) => each.direction)).toEqual([
      "ingress",
      "egress",
      "ingress",
    ]);
  });

  test("addresses: pods, nodes and what is behind the tunnel; the node's own endpoints", () => {
    const intended = ipcacheMap(of, n1)!;
    expect(ipcacheDifferences(intended, recorded.ipcache!).map((each) => each.key)).not.toContain("10.244.2.72/32");
    expect(intended).toContainEqual({ prefix: "10.244.2.0/24", identity: 2, tunnel: "172.30.0.12" });
    expect(intended).toContainEqual({ prefix: "172.30.0.11/32", identity: 1, tunnel: null });
    expect(recorded.endpoints).toEqual([
      { ip: "10.244.1.71", id: 101, ifindex: 8, mac: "02:00:00:00:00:07", nodeMac: "02:00:00:00:00:08" },
      { ip: "172.30.0.11", id: null, ifindex: null, mac: null, nodeMac: null },
    ]);
    expect(endpointMap(of, n1)).toContainEqual(recorded.endpoints![0]);
  });
});
