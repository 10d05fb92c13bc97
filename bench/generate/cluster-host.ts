/** The files of a node beside its pods' namespaces: its root namespace, its configuration, how the commands ended. */
import { API_PORT, POD_MTU, type ClusterPlan, type Flow, type PlannedNode } from "./cluster-plan.ts";
import { CONNTRACK_STATS, portIndex } from "./cluster-pod.ts";
import {
  addrJson,
  groupFdb,
  groupNeighbours,
  json,
  NONE_JSON,
  route4Json,
  route6Json,
  RULE4_JSON,
  RULE6_JSON,
  tcJson,
  type PrintedLink,
} from "./ip-print.ts";
import { CLUSTER_CIDR } from "./kube-proxy-iptables.ts";
import type { RulesPrinter } from "./cluster-rules.ts";
import type { SysctlPrinter } from "./sysctls.ts";

const UPLINK_MTU = 1500;
export const UPLINK = "eth0";

function portData(no: number): object {
  return {
    state: "forwarding",
    priority: 32,
    cost: 2,
    hairpin: true,
    guard: false,
    root_block: false,
    fastleave: false,
    learning: true,
    flood: true,
    id: `0x${(0x8000 + no).toString(16)}`,
    no: `0x${no.toString(16)}`,
    mcast_flood: true,
    bcast_flood: true,
    mcast_to_unicast: false,
    neigh_suppress: false,
    vlan_tunnel: false,
    isolated: false,
    locked: false,
  };
}

function hostLinks(node: PlannedNode): PrintedLink[] {
  const vxlan = {
    id: 1,
    local: node.ip,
    link: UPLINK,
    port_range: { low: 0, high: 0 },
    port: 8472,
    learning: false,
    ttl: 0,
    df: "unset",
    ageing: 300,
    udp_csum: true,
    udp_zero_csum6_tx: false,
    udp_zero_csum6_rx: false,
  };
  const bridge = {
    stp_state: 0,
    ageing_time: 30000,
    vlan_filtering: 0,
    mcast_snooping: 1,
    nf_call_iptables: 0,
    nf_call_ip6tables: 0,
    nf_call_arptables: 0,
  };
  return [
    {
      index: 2,
      name: UPLINK,
      mac: node.uplinkMac,
      mtu: UPLINK_MTU,
      address: `${node.ip}/16`,
      info: { info_kind: "veth" },
      peer: { index: 10 + node.number, netnsid: 0 },
    },
    {
      index: 3,
      name: "flannel.1",
      mac: node.vtepMac,
      mtu: POD_MTU,
      address: `${node.vtepIp}/32`,
      operstate: "UNKNOWN",
      info: { info_kind: "vxlan", info_data: vxlan },
    },
    {
      index: 4,
      name: "cni0",
      mac: node.bridgeMac,
      mtu: POD_MTU,
      address: `${node.bridgeIp}/24`,
      info: { info_kind: "bridge", info_data: bridge },
    },
    ...node.pods.map((pod) => ({
      index: portIndex(pod),
      name: pod.veth,
      mac: pod.vethMac,
      mtu: POD_MTU,
      info: { info_kind: "veth", info_slave_kind: "bridge", info_slave_data: portData(pod.index + 1) },
      peer: { index: 2, netnsid: pod.index + 1 },
      master: "cni0",
    })),
  ];
}

const bridgeLinkJson = (node: PlannedNode): string =>
  json(
    node.pods.map((pod) => ({
      ifindex: portIndex(pod),
      link: "eth0",
      ifname: pod.veth,
      flags: ["BROADCAST", "MULTICAST", "UP", "LOWER_UP"],
      mtu: POD_MTU,
      master: "cni0",
      ...portData(pod.index + 1),
    })),
  );

function fdbJson(node: PlannedNode, peers: readonly PlannedNode[]): string {
  const bridged = { flags: [], master: "cni0" };
  return json([
    ...groupFdb(UPLINK, node.uplinkMac),
    ...peers.map((peer) => ({
      mac: peer.vtepMac,
      ifname: "flannel.1",
      dst: peer.ip,
      flags: ["self"],
      state: "permanent",
    })),
    ...groupFdb("cni0", node.bridgeMac),
    { mac: node.bridgeMac, ifname: "cni0", ...bridged, state: "permanent" },
    ...node.pods.flatMap((pod) => [
      { mac: pod.mac, ifname: pod.veth, ...bridged, state: "" },
      { mac: pod.vethMac, ifname: pod.veth, ...bridged, state: "permanent" },
      ...groupFdb(pod.veth, pod.vethMac),
    ]),
  ]);
}

function neighJson(node: PlannedNode, peers: readonly PlannedNode[]): string {
  const entry = (dst: string, dev: string, lladdr: string, state: string): object => ({
    dst,
    dev,
    lladdr,
    state: [state],
  });
  return json([
    ...peers.map((peer) => entry(peer.vtepIp, "flannel.1", peer.vtepMac, "PERMANENT")),
    ...peers.map((peer, i) => entry(peer.ip, UPLINK, peer.uplinkMac, i % 3 === 0 ? "REACHABLE" : "STALE")),
    ...node.pods.map((pod) => entry(pod.ip, "cni0", pod.mac, "REACHABLE")),
    ...[UPLINK, "flannel.1", "cni0", ...node.pods.map((pod) => pod.veth)].flatMap(groupNeighbours),
  ]);
}

const established = (timeout: number, client: string, sport: number, to: string, dport: number): string =>
  `ipv4     2 tcp      6 ${timeout} ESTABLISHED src=${client} dst=${to} sport=${sport} dport=${dport}`;

const answered = (from: string, sport: number, to: string, dport: number): string =>
  ` src=${from} dst=${to} sport=${sport} dport=${dport} [ASSURED] mark=0 use=1\n`;

/** The lines of `conntrack -L -o extended`: what goes through Services, and everyone's connections to the API server. */
function conntrackLines(node: PlannedNode, plan: ClusterPlan): string[] {
  const [server] = plan.nodes;
  if (server === undefined) return [];
  const through = (flow: Flow): string =>
    established(86100, flow.client, flow.clientPort, flow.clusterIP, flow.port) +
    answered(flow.endpoint, flow.endpointPort, flow.client, flow.clientPort);
  const arriving = (flow: Flow): string =>
    established(86200, flow.client, flow.clientPort, flow.endpoint, flow.endpointPort) +
    answered(flow.endpoint, flow.endpointPort, flow.client, flow.clientPort);
  const toApi = (from: PlannedNode, i: number): string =>
    established(86390, from.ip, 50000 + i, server.ip, API_PORT) + answered(server.ip, API_PORT, from.ip, 50000 + i);
  // kubelet, kube-proxy and flanneld.
  const speakers = node === server ? plan.nodes : [node];
  return [
    ...speakers.flatMap((each) => [0, 1, 2].map((i) => toApi(each, i))),
    ...node.clients.map(through),
    ...node.servers.map(arriving),
  ];
}

function sockets(node: PlannedNode): string {
  const listen = (place: string, i: number, v6: boolean): string =>
    `tcp LISTEN 0      4096   ${place} ${v6 ? "*:*" : "0.0.0.0:*"} ino:${2000 + i} sk:${i + 10} cgroup:/ ${v6 ? "v6only:0 " : ""}<->\n`;
  const own = [10249, 10248, 34133].map((port, i) => listen(`127.0.0.1:${port}`, i, false));
  const all = [10250, 10256, ...(node.number === 0 ? [API_PORT] : [])].map((port, i) =>
    listen(`*:${port}`, i + 5, true),
  );
  return ["udp UNCONN 0      0      0.0.0.0:8472 0.0.0.0:* ino:1990 sk:1 cgroup:/ <->\n", ...own, ...all].join("");
}

/**
 * Base chains that iptables-nft registers for these rules, as nft.json has them. What else nft prints of iptables' tables is left out (it
 * would be three times the save): their rules are read from iptables-save.
 */
function nftJson(): string {
  const objects: object[] = [
    { metainfo: { version: "1.0.6", release_name: "Lester Gooch #5", json_schema_version: 1 } },
  ];
  const chain = (family: string, table: string, name: string, handle: number, type: string, prio: number): object => ({
    chain: { family, table, name, handle, type, hook: name.toLowerCase(), prio, policy: "accept" },
  });
  ["ip", "ip6"].forEach((family, i) => {
    objects.push(
      { table: { family, name: "mangle", handle: 1 + 3 * i } },
      { table: { family, name: "filter", handle: 2 + 3 * i } },
      chain(family, "filter", "OUTPUT", 2, "filter", 0),
      chain(family, "filter", "INPUT", 4, "filter", 0),
      chain(family, "filter", "FORWARD", 9, "filter", 0),
      { table: { family, name: "nat", handle: 3 + 3 * i } },
      chain(family, "nat", "POSTROUTING", 3, "nat", 100),
      chain(family, "nat", "OUTPUT", 13, "nat", -100),
      chain(family, "nat", "PREROUTING", 15, "nat", -100),
    );
  });
  return `${JSON.stringify({ nftables: objects })}\n`;
}

const NFT_JSON = nftJson();

/** The names of the files in the root namespace, counters of `nstat` and `ip -s` left out. */
export const HOST_FILES = [
  "addr.json",
  "bridge-link.json",
  "conntrack-stats.txt",
  "conntrack.txt",
  "fdb.json",
  "ip6tables-save.txt",
  "iptables-save.txt",
  "neigh-proxy.json",
  "neigh.json",
  "nexthop.json",
  "nft.json",
  "nsid.json",
  "route4.json",
  "route6.json",
  "rule4.json",
  "rule6.json",
  "sockets.txt",
  "sysctl.txt",
  "tc.json",
] as const;

/** The text of one of HOST_FILES; undefined for any other name. */
export function hostFile(
  plan: ClusterPlan,
  node: PlannedNode,
  name: string,
  rules: RulesPrinter,
  sysctls: SysctlPrinter,
): string | undefined {
  const peers = plan.nodes.filter((each) => each !== node);
  switch (name) {
    case "addr.json":
      return addrJson(hostLinks(node));
    case "bridge-link.json":
      return bridgeLinkJson(node);
    case "conntrack-stats.txt":
      return CONNTRACK_STATS;
    case "conntrack.txt":
      return conntrackLines(node, plan).join("");
    case "fdb.json":
      return fdbJson(node, peers);
    case "ip6tables-save.txt":
      return rules.ip6;
    case "iptables-save.txt":
      return rules.ip4(node.name);
    case "neigh-proxy.json":
    case "nexthop.json":
      return NONE_JSON;
    case "neigh.json":
      return neighJson(node, peers);
    case "nft.json":
      return NFT_JSON;
    case "nsid.json":
      return json([{ nsid: 0 }, ...node.pods.map((pod) => ({ nsid: pod.index + 1, name: pod.netns }))]);
    case "route4.json":
      return route4Json(hostLinks(node), [
        { dst: "default", gateway: "172.30.0.1", dev: UPLINK },
        ...peers.map((peer) => ({ dst: peer.block, gateway: peer.vtepIp, dev: "flannel.1", onlink: true })),
      ]);
    case "route6.json":
      return route6Json(hostLinks(node));
    case "rule4.json":
      return RULE4_JSON;
    case "rule6.json":
      return RULE6_JSON;
    case "sockets.txt":
      return sockets(node);
    case "sysctl.txt":
      return sysctlText(node, plan, sysctls);
    case "tc.json":
      return tcJson(hostLinks(node));
    default:
      return undefined;
  }
}

/** sysctl(8) writes a dot in a device's name as a slash. */
const confOf = (family: string, dev: string, name: string): string =>
  `net.${family}.conf.${dev.replaceAll(".", "/")}.${name}`;

function sysctlText(node: PlannedNode, plan: ClusterPlan, sysctls: SysctlPrinter): string {
  const links = hostLinks(node);
  // Who makes these devices keeps routers' advertisements off them (flannel, the bridge plugin).
  const silent = links
    .filter((link) => link.name !== UPLINK)
    .map((link) => [confOf("ipv6", link.name, "accept_ra"), "0"]);
  const forwarding = ["all", "default", "lo", ...links.map((link) => link.name)].map((dev) => [
    confOf("ipv4", dev, "forwarding"),
    "1",
  ]);
  const values = {
    ...Object.fromEntries(forwarding),
    "net.ipv4.ip_forward": "1",
    // kube-proxy's, in iptables mode.
    "net.ipv4.conf.all.route_localnet": "1",
    "net.ipv4.conf.all.accept_redirects": "0",
    ...Object.fromEntries(silent),
    "net.netfilter.nf_conntrack_count": String(conntrackLines(node, plan).length),
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": "3600",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "86400",
  };
  return sysctls.print(links, values, true);
}

/** Files of a node's own: configuration and command lines, by path below its folder. */
export function configFiles(node: PlannedNode): Map<string, string> {
  const { name } = node;
  const networks = "files/var/lib/cni/networks/cbr0";
  const conflist = {
    cniVersion: "1.0.0",
    name: "cbr0",
    plugins: [
      {
        type: "bridge",
        bridge: "cni0",
        mtu: POD_MTU,
        isGateway: true,
        isDefaultGateway: true,
        ipMasq: false,
        hairpinMode: true,
        ipam: { type: "host-local", ranges: [[{ subnet: node.block }]], routes: [{ dst: CLUSTER_CIDR }] },
      },
      { type: "portmap", capabilities: { portMappings: true } },
    ],
  };
  const kubeProxy = {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    mode: "iptables",
    clusterCIDR: CLUSTER_CIDR,
    hostnameOverride: name,
    conntrack: { maxPerCore: 0 },
  };
  const kubelet = {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    clusterDNS: ["10.96.0.10"],
    clusterDomain: "cluster.local",
    maxPods: 110,
  };
  return new Map([
    ["files/etc/cni/net.d/10-flannel.conflist", JSON.stringify(conflist)],
    [
      "files/run/flannel/subnet.env",
      `FLANNEL_NETWORK=${CLUSTER_CIDR}\nFLANNEL_SUBNET=${node.bridgeIp}/24\nFLANNEL_MTU=${POD_MTU}\nFLANNEL_IPMASQ=true\n`,
    ],
    ...node.pods.map((pod) => [`${networks}/${pod.ip}`, `${pod.sandbox}\r\neth0`] as const),
    [`${networks}/last_reserved_ip.0`, node.pods.at(-1)?.ip ?? ""],
    [`${networks}/lock`, ""],
    ["programs/flanneld.cmdline", `env NODE_NAME=${name} flanneld -kube-subnet-mgr -iface ${UPLINK} -ip-masq`],
    ["programs/kube-proxy.cmdline", `kube-proxy --config /etc/kubernetes/kube-proxy.yaml --v=2`],
    ["programs/kube-proxy.yaml", JSON.stringify(kubeProxy)],
    [
      "programs/kubelet.cmdline",
      `kubelet --config /etc/kubernetes/kubelet.yaml --hostname-override ${name} --node-ip ${node.ip} --v=2`,
    ],
    ["programs/kubelet.yaml", JSON.stringify(kubelet)],
  ]);
}

/** What the recorder runs in every namespace, by output file, in its order. */
const COMMANDS: readonly (readonly [file: string, command: string])[] = [
  ["addr.json", "ip -j -d addr"],
  ["route4.json", "ip -j -d -4 route show table all"],
  ["route6.json", "ip -j -d -6 route show table all"],
  ["rule4.json", "ip -j -4 rule"],
  ["rule6.json", "ip -j -6 rule"],
  ["neigh.json", "ip -j neigh show nud all"],
  ["neigh-proxy.json", "ip -j neigh show proxy"],
  ["fdb.json", "bridge -j -d fdb"],
  ["bridge-link.json", "bridge -j -d link"],
  ["vlan.json", "bridge -j -d vlan"],
  ["nexthop.json", "ip -j nexthop"],
  ["nsid.json", "ip -j netns list-id"],
  ["iptables-save.txt", "iptables-save -c"],
  ["ip6tables-save.txt", "ip6tables-save -c"],
  ["iptables-legacy-save.txt", "iptables-legacy-save -c"],
  ["ip6tables-legacy-save.txt", "ip6tables-legacy-save -c"],
  ["nft.json", "nft -j -a list ruleset"],
  ["nft.txt", "nft -a list ruleset"],
  ["ipset.txt", "ipset save"],
  ["ipvs.txt", "ipvsadm -S -n"],
  ["conntrack.txt", "conntrack -L -o extended"],
  ["conntrack6.txt", "conntrack -L -f ipv6 -o extended"],
  ["sockets.txt", "ss -H -O -lntuwe"],
  ["sysctl.txt", "sysctl -a -r ^net"],
  ["tc.json", "tc -j qdisc show"],
  ["conntrack-stats.txt", "conntrack -S"],
];

/** How these commands end on a machine without VLANs and IPVS. */
function ending(file: string, entries: number): { exit: number; stderr: string } {
  switch (file) {
    case "vlan.json":
      return { exit: 1, stderr: "RTNETLINK answers: Operation not supported\nDump terminated" };
    case "ipvs.txt":
      return {
        exit: 2,
        stderr:
          "Can't initialize ipvs: Protocol not available\nAre you sure that IP Virtual Server is built in the kernel or as module?",
      };
    case "conntrack.txt":
    case "conntrack6.txt":
      return { exit: 0, stderr: `conntrack v1.4.7 (conntrack-tools): ${entries} flow entries have been shown.` };
    default:
      return { exit: 0, stderr: "" };
  }
}

/** commands.json of a node. */
export function commandsJson(node: PlannedNode, plan: ClusterPlan): string {
  const dirs = ["host", ...node.pods.map((pod) => `netns/${pod.inode}`)];
  const records = dirs.flatMap((dir) =>
    COMMANDS.map(([file, command]) => {
      const entries = dir === "host" && file === "conntrack.txt" ? conntrackLines(node, plan).length : 0;
      return { file: `${dir}/${file}`, command, ...ending(file, entries), seconds: 0.004 };
    }),
  );
  return `${JSON.stringify(records, null, 0)}\n`;
}
