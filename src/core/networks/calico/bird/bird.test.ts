import { existsSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { makeService } from "../../../../../test/support/snapshot.ts";
import { loadSnapshot } from "../../../../host/snapshot/load.ts";
import { formatIp, formatPrefix } from "../../../model/address.ts";
import type { Cluster, Node, Service } from "../../../model/cluster.ts";
import { emptyCluster } from "../../../parse/cluster.ts";
import { siteOf } from "../../site-of.ts";
import type { Site } from "../../site.ts";
import { machine } from "../testing/world.ts";
import { functionName } from "./bgp-filter.ts";
import { birdFiles } from "./config.ts";
import { birdInput } from "./input.ts";
import { bgpRoutes, type BgpRoute } from "./routes.ts";
import { bgpSessions } from "./sessions.ts";

const source = { file: "x", line: 1 };

interface NodeSpec {
  address: string;
  labels?: Record<string, string>;
  as?: number;
  reflector?: string;
}

/** A cluster of these nodes and Calico objects (plural → name → spec). A node NAME has the block 10.244.N.0/26, N from 1. */
function clusterOf(nodes: Record<string, NodeSpec>, objects: Record<string, Record<string, object>> = {}): Cluster {
  const cluster = emptyCluster();
  cluster.nodes = Object.entries(nodes).map(([name, { address, labels = {}, as, reflector }]): Node => {
    const annotations: Record<string, string> = { "projectcalico.org/IPv4Address": address };
    if (as !== undefined) annotations["projectcalico.org/ASNumber"] = String(as);
    if (reflector !== undefined) annotations["projectcalico.org/RouteReflectorClusterID"] = reflector;
    return { namespace: "", name, labels, annotations, source, addresses: [], podCIDRs: [] };
  });
  const blocks = Object.keys(nodes).map((node, i) => [
    `${node}-b`,
    { cidr: `10.244.${i + 1}.0/26`, node, state: "confirmed", type: "host", deleted: "false" },
  ]);
  const all: Record<string, Record<string, object>> = {
    ippools: { pool: { cidr: "10.244.0.0/16", ipipMode: "Never", vxlanMode: "Never" } },
    blockaffinities: Object.fromEntries(blocks) as Record<string, object>,
    ...objects,
  };
  for (const [plural, specs] of Object.entries(all))
    cluster.raw.set(
      `${plural}.crd.projectcalico.org`,
      Object.entries(specs).map(([name, spec]) => ({ metadata: { name }, spec })),
    );
  return cluster;
}

/** Machines with one device each; `others` are routers with the addresses of theirs. */
function siteWith(cluster: Cluster, nodes: Record<string, NodeSpec>, others: Record<string, string[]> = {}): Site {
  const machines = [
    ...Object.entries(nodes).map(([name, { address }]) => machine(cluster, name, [address])),
    ...Object.entries(others).map(([name, addresses]) => machine(cluster, name, addresses)),
  ];
  return { cluster, machines };
}

const routesOn = (site: Site, name: string): BgpRoute[] =>
  bgpRoutes(
    site,
    site.machines.find((each) => each.name === name)!,
  );
/** `PREFIX via NEXTHOP,… METRIC` of what is learned. */
const learned = (site: Site, name: string): string[] =>
  routesOn(site, name)
    .filter(({ type }) => type === "unicast")
    .map(
      (r) =>
        `${r.prefix} via ${r.hops.map((hop) => hop.address + (hop.tunnel ? " tunl0" : "")).join(",")} ${r.metric}${r.written ? "" : " kept"}${r.certain ? "" : " ?"}`,
    );
const config = (cluster: Cluster, name: string, file: string): string => {
  const text = birdFiles(birdInput(cluster, name, file.startsWith("bird6") ? 6 : 4)!).get(file)!;
  return text;
};

const THREE = { n1: { address: "10.192.0.2/16" }, n2: { address: "10.192.0.3/16" }, n3: { address: "10.192.0.4/16" } };

test("a mesh: the end with the lower address connects, everybody has everybody's block", () => {
  const site = siteWith(clusterOf(THREE), THREE);
  expect(
    bgpSessions(site).map(({ ends, internal, problem }) => [
      ends.map((e) => `${e.machine}${e.passive ? " waits" : ""}`),
      internal,
      problem,
    ]),
  ).toEqual([
    [["n1 waits", "n2"], true, null],
    [["n1 waits", "n3"], true, null],
    [["n2 waits", "n3"], true, null],
  ]);
  expect(learned(site, "n1")).toEqual(["10.244.2.0/26 via 10.192.0.3 1024", "10.244.3.0/26 via 10.192.0.4 1024"]);
  expect(routesOn(site, "n1").find(({ type }) => type === "blackhole")).toMatchObject({
    prefix: "10.244.1.0/26",
    written: true,
  });
});

describe("route reflectors (confd/tests: explicit_peering/route_reflector)", () => {
  const nodes = { ...THREE, n1: { address: "10.192.0.2/16", labels: { rr: "true" }, reflector: "10.0.0.1" } };
  const objects = {
    bgpconfigurations: { default: { asNumber: 64532, nodeToNodeMeshEnabled: false } },
    bgppeers: {
      "bgppeer-1": { peerIP: "172.19.4.87", asNumber: 64533, nodeSelector: "has(rr)" },
      "bgppeer-other-nodes": { nodeSelector: "has(rr)", peerSelector: "!has(rr)" },
    },
  };
  const cluster = clusterOf(nodes, objects);

  test("the reflector has clients, they have it by the reverse peering", () => {
    const text = config(cluster, "n1", "bird.cfg");
    expect([...text.matchAll(/^protocol bgp (\S+)/gm)].map(([, name]) => name)).toEqual([
      "Node_10_192_0_3",
      "Node_10_192_0_4",
      "Node_172_19_4_87",
    ]);
    expect(text.match(/ {2}rr client;\n {2}rr cluster id 10\.0\.0\.1;/g)).toHaveLength(2);
    expect(text).toContain("    calico_export_to_bgp_peers(false);");
    const client = config(cluster, "n2", "bird.cfg");
    expect(client).toContain("protocol bgp Node_10_192_0_2 from bgp_template {\n  neighbor 10.192.0.2 as 64532;");
    expect(client).not.toContain("rr client");
  });

  test("clients have each other's blocks with the owner as next hop", () => {
    const site = siteWith(cluster, nodes);
    expect(learned(site, "n2")).toEqual(["10.244.1.0/26 via 10.192.0.2 1024", "10.244.3.0/26 via 10.192.0.4 1024"]);
  });

  test("without the reverse peering the session does not come up", () => {
    const manual = { ...objects.bgppeers["bgppeer-other-nodes"], reversePeering: "Manual" };
    const other = clusterOf(nodes, { ...objects, bgppeers: { one: manual } });
    const site = siteWith(other, nodes);
    expect(bgpSessions(site).map(({ problem }) => problem)).toEqual([
      "n2 has no peer 10.192.0.2, so it refuses n1",
      "n3 has no peer 10.192.0.2, so it refuses n1",
    ]);
    expect(learned(site, "n2")).toEqual([]);
  });

  test("two reflectors of one cluster give one route, not two ways", () => {
    const two = { ...nodes, n4: { address: "10.192.0.5/16", labels: { rr: "true" }, reflector: "10.0.0.1" } };
    const site = siteWith(clusterOf(two, { ...objects, bgppeers: { all: { peerSelector: "has(rr)" } } }), two);
    expect(learned(site, "n2")).toEqual([
      "10.244.1.0/26 via 10.192.0.2 1024",
      "10.244.3.0/26 via 10.192.0.4 1024",
      "10.244.4.0/26 via 10.192.0.5 1024",
    ]);
  });
});

test("an AS number of each node: routes of the mesh come without a preference", () => {
  const nodes = { n1: { address: "10.192.0.2/16", as: 65001 }, n2: { address: "10.192.0.3/16", as: 65002 } };
  expect(learned(siteWith(clusterOf(nodes), nodes), "n1")).toEqual(["10.244.2.0/26 via 10.192.0.3 2147483547"]);
});

test("two ToRs that tell the same are two ways; own AS in the path is refused unless it is allowed", () => {
  const nodes = { n1: { address: "10.1.0.11/24" }, n2: { address: "10.2.0.12/24" } };
  const peers = (more: object) => ({
    a: { peerIP: "10.1.0.1", asNumber: 65000, nodeSelector: "!has(x)", ...more },
    b: { peerIP: "10.1.0.2", asNumber: 65000, nodeSelector: "!has(x)", ...more },
  });
  const tors = { tor1: ["10.1.0.1/24", "10.2.0.1/24"], tor2: ["10.1.0.2/24", "10.2.0.2/24"] };
  const of = (more: object): Site =>
    siteWith(
      clusterOf(nodes, { bgpconfigurations: { default: { nodeToNodeMeshEnabled: false } }, bgppeers: peers(more) }),
      nodes,
      tors,
    );
  expect(learned(of({}), "n1")).toEqual(["10.2.0.0/24 via 10.1.0.1,10.1.0.2 2147483547 ?"]);
  expect(learned(of({ numAllowedLocalASNumbers: 1 }), "n1")).toEqual([
    "10.2.0.0/24 via 10.1.0.1,10.1.0.2 2147483547 ?",
    "10.244.2.0/26 via 10.1.0.1,10.1.0.2 2147483547 ?",
  ]);
});

test("who writes routes: BIRD those of plain pools, Felix the rest, unless it is told otherwise", () => {
  const pools = {
    a: { cidr: "10.244.1.0/24", ipipMode: "Always" },
    b: { cidr: "10.244.2.0/24", ipipMode: "CrossSubnet" },
    c: { cidr: "10.244.3.0/24", vxlanMode: "Always" },
    d: { cidr: "10.244.4.0/24", disableBGPExport: true },
  };
  const nodes = {
    n1: THREE.n1,
    n2: THREE.n2,
    n3: { address: "10.9.0.4/24" },
    n4: { address: "10.192.0.5/16" },
    n5: { address: "10.192.0.6/16" },
  };
  const site = (programClusterRoutes?: string): Site =>
    siteWith(clusterOf(nodes, { ippools: pools, bgpconfigurations: { default: { programClusterRoutes } } }), nodes);
  expect(learned(site(), "n4")).toEqual([
    "10.244.1.0/26 via 10.192.0.2 1024 kept",
    "10.244.2.0/26 via 10.192.0.3 1024 kept",
    "10.244.3.0/26 via 10.9.0.4 1024 kept",
    "10.244.5.0/26 via 10.192.0.6 1024",
  ]);
  expect(learned(site("Enabled"), "n4").slice(0, 3)).toEqual([
    "10.244.1.0/26 via 10.192.0.2 tunl0 1024",
    "10.244.2.0/26 via 10.192.0.3 1024",
    "10.244.3.0/26 via 10.9.0.4 1024 kept",
  ]);
  // confd's Test_processIPPools.
  const text = config(site("Enabled").cluster, "n4", "bird_ipam.cfg");
  expect(text).toContain('  if (net ~ 10.244.1.0/24) then { krt_tunnel="tunl0"; accept; }');
  expect(text).toContain(
    '  if (net ~ 10.244.2.0/24) then { if (defined(bgp_next_hop)&&(bgp_next_hop ~ 10.192.0.0/16)) then krt_tunnel=""; else krt_tunnel="tunl0"; accept; }',
  );
  expect(text).toContain("  if (net ~ 10.244.3.0/24) then { reject; } # VXLAN routes are handled by Felix.");
  expect(text).toContain("  if (net ~ 10.244.4.0/24) then { reject; } # BGP export is disabled.\n  if (internal_peer)");
  expect(config(site().cluster, "n4", "bird_ipam.cfg")).toContain(
    "  if (net ~ 10.244.1.0/24) then { reject; } # Cluster routes are handled by Felix.",
  );
});

test("communities, ports, filters, restarts and the rest of a peer's settings", () => {
  const objects = {
    bgpconfigurations: {
      default: {
        listenPort: 177,
        nodeToNodeMeshEnabled: false,
        communities: [{ name: "mine", value: "100:555:107" }],
        prefixAdvertisements: [{ cidr: "192.168.0.0/16", communities: ["mine", "5663:12", "100:6532"] }],
      },
    },
    bgpfilters: {
      ops: {
        importV4: [
          { action: "Accept", communities: { values: ["65000:100"] }, operations: [{ setPriority: { value: 256 } }] },
          {
            action: "Reject",
            peerType: "eBGP",
            matchOperator: "NotIn",
            cidr: "44.0.0.0/16",
            prefixLength: { min: 20 },
          },
        ],
        exportV4: [
          {
            action: "Accept",
            asPathPrefix: [65000, 65001],
            operations: [{ prependASPath: { prefix: [65000, 65001] } }],
          },
        ],
      },
    },
    bgppeers: {
      tor: {
        peerIP: "192.0.2.1:1179",
        asNumber: 65000,
        filters: ["ops"],
        ttlSecurity: 1,
        maxRestartTime: "2m0s",
        keepaliveTime: "30s",
        nextHopMode: "Keep",
        localASNumber: 65099,
        numAllowedLocalASNumbers: 2,
        sourceAddress: "None",
        reachableBy: "10.192.0.1",
      },
    },
  };
  const cluster = clusterOf(THREE, objects);
  const text = config(cluster, "n1", "bird.cfg");
  expect(text).toContain(`function apply_communities ()
{
      if ( net ~ 192.168.0.0/16 ) then {
          bgp_large_community.add((100, 555, 107));
          bgp_community.add((100, 6532));
          bgp_community.add((5663, 12));
      }
}`);
  expect(text).toContain("listen bgp port 177;");
  expect(text).toContain(`# v4 BGPFilter ops
function 'bgp_ops_importFilterV4'(bool is_same_as) {
  if (((65000, 100) ~ bgp_community)) then { bgp_local_pref = 2147483391; accept; }
  if (!is_same_as) then { if ((net !~ [ 44.0.0.0/16{20,32} ])) then { reject; } }
}
function 'bgp_ops_exportFilterV4'() {
  if ((bgp_path ~ [= 65000 65001 * =])) then { bgp_path.prepend(65001); bgp_path.prepend(65000); accept; }
}`);
  const peer = text.slice(text.indexOf("protocol bgp Global_192_0_2_1_port_1179"));
  for (const line of [
    "  local as 65099;\n  neighbor 192.0.2.1 port 1179 as 65000;\n  ttl security on;\n  multihop 1;",
    "    'bgp_ops_importFilterV4'(false);",
    "  graceful restart time 120;\n  keepalive time 30;\n  next hop keep;\n  allow local as 2;",
  ])
    expect(peer).toContain(line);
  expect(config(cluster, "n1", "bird_aggr.cfg")).toContain(
    "   # Static routes needed for global BGP peers.\n   route 192.0.2.1/32 via 10.192.0.1;",
  );
});

test("names of filters that are too long end in a hash", () => {
  expect(functionName("short", "import", 4)).toBe("'bgp_short_importFilterV4'");
  const long = functionName("x".repeat(60), "export", 6);
  expect(long).toMatch(/^'bgp_x{28}_[0-9A-F]{16}_exportFilterV6'$/);
});

test("Services: ranges from every node, single addresses where an endpoint is, nothing from excluded nodes", () => {
  const nodes = {
    n1: THREE.n1,
    n2: THREE.n2,
    n3: { ...THREE.n3, labels: { "node.kubernetes.io/exclude-from-external-load-balancers": "true" } },
  };
  const ranges = {
    serviceClusterIPs: [{ cidr: "10.101.0.0/16" }],
    serviceLoadBalancerIPs: [{ cidr: "80.15.0.0/24" }, { cidr: "80.16.0.7/32" }],
  };
  const cluster = clusterOf(nodes, { bgpconfigurations: { default: ranges } });
  const service = (name: string, ip: string, balancer: string, externalTrafficPolicy: string): Service =>
    makeService("shop", name, [ip], [], { type: "LoadBalancer", loadBalancerIPs: [balancer], externalTrafficPolicy });
  cluster.services = [
    service("local", "10.101.0.101", "80.15.0.10", "Local"),
    service("one", "10.101.0.102", "80.16.0.7", "Cluster"),
  ];
  const meta = { namespace: "shop", name: "s", labels: {}, annotations: {}, source };
  const endpoint = {
    addresses: ["10.244.1.1"],
    ready: true,
    serving: true,
    terminating: false,
    hostname: null,
    pod: null,
  };
  cluster.endpointSlices = [
    { ...meta, service: "local", addressType: "IPv4", ports: [], endpoints: [{ ...endpoint, node: "n1" }] },
  ];
  const announced = (name: string): string[] => [...birdInput(cluster, name, 4)!.services.announced];
  const common = ["10.101.0.0/16", "10.101.0.102/32", "80.15.0.0/24", "80.16.0.7/32"];
  expect(announced("n1")).toEqual([...common, "10.101.0.101/32", "80.15.0.10/32"].toSorted());
  expect(announced("n2")).toEqual(common);
  expect(announced("n3")).toEqual([]);
  expect(config(cluster, "n3", "bird_ipam.cfg")).toContain("  if ( net ~ 80.16.0.7/32 ) then { reject; }");
  const site = siteWith(cluster, nodes);
  expect(learned(site, "n3").filter((route) => route.startsWith("10.101."))).toEqual([
    "10.101.0.0/16 via 10.192.0.2,10.192.0.3 1024 kept",
    "10.101.0.101/32 via 10.192.0.2 1024 kept",
    "10.101.0.102/32 via 10.192.0.2,10.192.0.3 1024 kept",
  ]);
});

const recordings = "../shared/fixtures";
const folders = existsSync(recordings) ? readdirSync(recordings).filter((name) => name.startsWith("calico-bgp")) : [];

describe.skipIf(folders.length === 0)(`recordings of Calico's BIRD in ${recordings} (skipped when absent)`, () => {
  test.each(folders)("%s: every file that confd wrote, and every route that BIRD wrote", async (name) => {
    const snapshot = await loadSnapshot(`${recordings}/${name}/snapshot`);
    let files = 0;
    for (const node of snapshot.cluster.nodes) {
      for (const family of [4, 6] as const) {
        for (const [file, text] of birdFiles(birdInput(snapshot.cluster, node.name, family)!)) {
          const real = snapshot.text(`nodes/${node.name}/files/etc/calico/confd/config/${file}`);
          if (real === undefined) continue;
          files++;
          expect(text.trimEnd(), `${node.name} ${file}`).toBe(real.trimEnd());
        }
      }
    }
    expect(files).toBe(6 * snapshot.cluster.nodes.length);
    const site = siteOf(snapshot);
    for (const own of site.machines.filter(({ node }) => node !== null)) {
      const host = snapshot.namespaces.find((ns) => ns.place === own.place)!;
      const real = host.routes4
        .filter((route) => route.protocol === "bird")
        .map(
          (route) =>
            `${route.type} ${formatPrefix(route.dst)} ${route.metric} ${route.nexthops.map((hop) => (hop.gateway === null ? "" : formatIp(hop.gateway))).join()}`,
        );
      const mine = bgpRoutes(site, own).filter((route) => route.written);
      const text = (route: BgpRoute): string =>
        `${route.type} ${route.prefix} ${route.metric} ${route.hops.map((hop) => hop.way?.via).join()}`;
      expect(real.filter((each) => !mine.map(text).includes(each))).toEqual([]);
      expect(mine.filter((each) => each.certain && !real.includes(text(each)))).toEqual([]);
    }
  });
});
