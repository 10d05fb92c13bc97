/** A small cluster for tests of names and of the command: three nodes, a host outside, pods and Services of each kind. */
import { parseIp } from "../../src/core/model/address.ts";
import type { Endpoint, EndpointSlice, Pod, Service } from "../../src/core/model/cluster.ts";
import type { Link } from "../../src/core/model/link.ts";
import type { Namespace } from "../../src/core/model/namespace.ts";
import type { Snapshot } from "../../src/core/model/snapshot.ts";

const source = { file: "cluster/test.json", line: 1 };
const meta = (namespace: string, name: string) => ({ namespace, name, labels: {}, annotations: {}, source });

/** A link that is up and holds `addresses` (`ADDRESS/LENGTH`). */
export function makeLink(index: number, name: string, addresses: string[], more: Partial<Link> = {}): Link {
  return {
    index,
    name,
    flags: ["UP", "LOWER_UP"],
    up: true,
    carrier: true,
    noarp: false,
    mtu: 1500,
    mac: `02:00:00:00:00:${index.toString(16).padStart(2, "0")}`,
    kind: name === "lo" ? { kind: "loopback" } : { kind: "veth" },
    peerIndex: null,
    lower: null,
    peerNetnsId: null,
    master: null,
    addresses: addresses.map((text) => {
      const [ip, len] = text.split("/") as [string, string];
      return {
        ip: parseIp(ip)!,
        prefixLen: Number(len),
        peer: null,
        scope: ip.startsWith("fe80") ? "link" : ip === "127.0.0.1" ? "host" : "global",
        secondary: false,
        tentative: false,
        deprecated: false,
        dadFailed: false,
        noPrefixRoute: false,
        label: null,
      };
    }),
    port: null,
    vlans: [],
    xdp: false,
    group: 0,
    source,
    ...more,
  };
}

/** A namespace with nothing but links; `place` is canonical. */
export function makeNamespace(place: string, links: Link[], more: Partial<Namespace> = {}): Namespace {
  const [node, kind, a, b] = place.split("/") as [string, string, string?, string?];
  const dir = kind === "host" ? `nodes/${node}/host` : `nodes/${node}/netns/${more.inode ?? a}`;
  return {
    place,
    node,
    pod: kind === "pod" ? { namespace: a!, name: b! } : null,
    inode: null,
    path: null,
    dir,
    links: [makeLink(1, "lo", ["127.0.0.1/8"]), ...links],
    routes4: [],
    routes6: [],
    rules4: [],
    rules6: [],
    neighbours: [],
    proxyNeighbours: [],
    fdb: [],
    nsids: [],
    xtables: [],
    nft: null,
    ipsets: [],
    ipvs: [],
    conntrack: [],
    sockets: [],
    sysctls: { file: `${dir}/sysctl.txt`, values: new Map() },
    tc: [],
    recent: [],
    missing: new Map(),
    ...more,
  };
}

export function makePod(
  namespace: string,
  name: string,
  node: string | null,
  ips: string[],
  more: Partial<Pod> = {},
): Pod {
  const base = { hostNetwork: false, hostIPs: [], phase: "Running", ready: true, terminating: false, ports: [] };
  return { ...meta(namespace, name), node, ips, ...base, ...more };
}

export function makeService(
  namespace: string,
  name: string,
  clusterIPs: string[],
  ports: string[],
  more: Partial<Service> = {},
): Service {
  return {
    ...meta(namespace, name),
    type: "ClusterIP",
    clusterIPs,
    headless: false,
    externalName: null,
    externalIPs: [],
    loadBalancerIPs: [],
    ports: ports.map((text) => {
      const [portName, port, protocol] = text.split("/") as [string, string, string?];
      return {
        name: portName,
        port: Number(port),
        protocol: protocol ?? "TCP",
        targetPort: Number(port),
        nodePort: null,
      };
    }),
    selector: {},
    sessionAffinity: "None",
    externalTrafficPolicy: "Cluster",
    internalTrafficPolicy: "Cluster",
    ...more,
  };
}

function makeSlice(
  namespace: string,
  service: string,
  family: 4 | 6,
  endpoints: [address: string, ready: boolean, hostname?: string][],
): EndpointSlice {
  return {
    ...meta(namespace, `${service}-${family}`),
    service,
    addressType: family === 4 ? "IPv4" : "IPv6",
    ports: [],
    endpoints: endpoints.map(([address, ready, hostname]): Endpoint => ({
      addresses: [address],
      ready,
      serving: ready,
      terminating: false,
      node: null,
      hostname: hostname ?? null,
      pod: null,
    })),
  };
}

/** The cluster itself; `texts` are extra files of the snapshot. */
export function makeSnapshot(texts: Record<string, string> = {}): Snapshot {
  const pod = (place: string, inode: number, ...addresses: string[]): Namespace =>
    makeNamespace(place, [makeLink(2, "eth0", addresses)], { inode });
  const files: Record<string, string> = {
    "nodes/n1/netns/101/resolv.conf":
      "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
    "nodes/n1/netns/103/resolv.conf": "nameserver 203.0.113.10\n",
    ...texts,
  };
  const ports = [{ name: "http", containerPort: 8080, hostPort: null, hostIP: null, protocol: "TCP" }];
  return {
    takenAt: "2026-01-02T03:04:05Z",
    nodes: ["n1", "n2", "n3"],
    info: { format: "kubewalk.snapshot/v1" },
    namespaces: [
      makeNamespace("n1/host", [makeLink(2, "eth0", ["172.30.0.11/24"]), makeLink(3, "cni0", ["10.244.0.1/24"])]),
      makeNamespace("n2/host", [makeLink(2, "eth0", ["172.30.0.12/24"])]),
      makeNamespace("outside/host", [makeLink(2, "eth0", ["203.0.113.10/24"])]),
      makeNamespace("fabric/host", [makeLink(2, "br0", ["172.30.0.1/24"]), makeLink(3, "kwo0", ["203.0.113.1/24"])]),
      pod("n1/pod/shop/client-1", 101, "10.244.0.3/24", "fd00:244::3/64"),
      pod("n1/pod/shop/web-abc-1", 102, "10.244.0.2/24"),
      pod("n1/pod/kube-system/coredns-1", 103, "10.244.0.4/24"),
      pod("n2/pod/shop/web-abc-2", 201, "10.244.1.2/24"),
      pod("n2/netns/202", 202, "10.99.0.1/24"),
    ],
    fabric: null,
    cluster: {
      pods: [
        makePod("shop", "client-1", "n1", ["10.244.0.3", "fd00:244::3"]),
        makePod("shop", "web-abc-1", "n1", ["10.244.0.2"], { ports }),
        makePod("shop", "web-abc-2", "n2", ["10.244.1.2"], { ports }),
        makePod("shop", "web-abc-3", "n3", ["10.244.2.2"], { ports }),
        makePod("shop", "edge", "n3", ["10.244.2.9"]),
        makePod("shop", "job-x", "n1", ["10.244.0.2"], { phase: "Succeeded" }),
        makePod("ops", "agent-1", "n1", ["172.30.0.11"], { hostNetwork: true }),
        makePod("ops", "client-1", "n3", ["10.244.2.7"]),
        makePod("ops", "new-1", null, [], { phase: "Pending" }),
        makePod("kube-system", "coredns-1", "n1", ["10.244.0.4"]),
      ],
      services: [
        makeService("shop", "web", ["10.96.26.216", "fd00:96::1"], ["http/80", "udp/81/UDP"]),
        makeService("shop", "edge", ["10.96.3.3"], ["/80"]),
        makeService("shop", "web-headless", [], ["http/8080"], { headless: true }),
        makeService("shop", "db", [], ["pg/5432"], { headless: true }),
        makeService("shop", "empty", [], ["/80"], { headless: true }),
        makeService("shop", "away", [], [], { type: "ExternalName", externalName: "db.example.com" }),
        makeService("shop", "alias", [], [], { type: "ExternalName", externalName: "web.shop.svc.cluster.local" }),
        makeService("shop", "circle", [], [], { type: "ExternalName", externalName: "circle.shop.svc.cluster.local" }),
        makeService("kube-system", "kube-dns", ["10.96.0.10"], ["dns/53/UDP", "dns-tcp/53/TCP"]),
      ],
      endpointSlices: [
        makeSlice("shop", "web", 4, [
          ["10.244.0.2", true],
          ["10.244.1.2", true],
        ]),
        makeSlice("shop", "web-headless", 4, [
          ["10.244.1.2", true],
          ["10.244.0.2", true],
          ["10.244.2.2", false],
        ]),
        makeSlice("shop", "web-headless", 6, [["fd00:244::2", true]]),
        makeSlice("shop", "db", 4, [
          ["10.244.2.50", true, "db-0"],
          ["10.244.2.51", true, "db-1"],
        ]),
        makeSlice("shop", "empty", 4, [["10.244.2.60", false]]),
      ],
      nodes: ["n1", "n2", "n3"].map((name, i) => ({
        ...meta("", name),
        addresses: [
          { type: "InternalIP", address: `172.30.0.1${i + 1}` },
          { type: "Hostname", address: name },
        ],
        podCIDRs: [],
      })),
      raw: new Map(),
      missing: new Map(),
    },
    problems: [],
    files: [],
    text: (file) => files[file],
    line: (at) => files[at.file]?.split("\n")[at.line - 1] ?? "",
  };
}
