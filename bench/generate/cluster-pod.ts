/** The files of a pod's namespace. */
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
import { DNS_IP, POD_MTU, type PlannedNode, type PlannedPod } from "./cluster-plan.ts";
import type { SysctlPrinter } from "./sysctls.ts";

/** Index of a pod's port on its node. */
export const portIndex = (pod: PlannedPod): number => 5 + pod.index;

/** What nft prints where there is no table. */
export const NO_TABLES =
  '{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}]}\n';
export const CONNTRACK_STATS = [0, 1]
  .map(
    (cpu) =>
      `cpu=${cpu}   \tfound=0 invalid=0 insert=0 insert_failed=0 drop=0 early_drop=0 error=0 search_restart=0 clash_resolve=0 chaintoolong=0 \n`,
  )
  .join("");

function links(pod: PlannedPod): PrintedLink[] {
  const peer = { index: portIndex(pod), netnsid: 0 };
  return [
    { index: 2, name: "eth0", mac: pod.mac, mtu: POD_MTU, address: `${pod.ip}/24`, info: { info_kind: "veth" }, peer },
  ];
}

/** Its sockets: the port that the Service's endpoints have, over TCP and UDP as CoreDNS and others do. */
function sockets(pod: PlannedPod): string {
  const { service } = pod;
  if (service === null) return "";
  const dns = service.name === "kube-dns";
  const port = service.endpoints[0]?.port ?? 0;
  const protocols = dns ? ["udp", "tcp"] : [service.protocol];
  const cgroup = `/k8s.io/${pod.sandbox}`;
  return protocols
    .map((protocol, i) => {
      const state = protocol === "udp" ? "udp UNCONN 0      0   " : "tcp LISTEN 0      4096";
      return `${state}   *:${port} *:* ino:${100000 + pod.index * 2 + i} sk:${1000 + i} cgroup:${cgroup} v6only:0 <->\n`;
    })
    .join("");
}

/** The names of the files in a pod's namespace, those of counters left out: `nstat` and `ip -s` decide nothing here. */
export const POD_FILES = [
  "addr.json",
  "bridge-link.json",
  "conntrack-stats.txt",
  "fdb.json",
  "neigh-proxy.json",
  "neigh.json",
  "netns.json",
  "nexthop.json",
  "nft.json",
  "nsid.json",
  "resolv.conf",
  "route4.json",
  "route6.json",
  "rule4.json",
  "rule6.json",
  "sockets.txt",
  "sysctl.txt",
  "tc.json",
] as const;

/** The text of one of POD_FILES; undefined for any other name. */
export function podFile(node: PlannedNode, pod: PlannedPod, name: string, sysctls: SysctlPrinter): string | undefined {
  switch (name) {
    case "addr.json":
      return addrJson(links(pod));
    case "bridge-link.json":
    case "neigh-proxy.json":
    case "nexthop.json":
      return NONE_JSON;
    case "conntrack-stats.txt":
      return CONNTRACK_STATS;
    case "fdb.json":
      return json(groupFdb("eth0", pod.mac));
    case "neigh.json":
      return json([
        ...(pod.index % 2 === 0 ? [{ dst: node.bridgeIp, dev: "eth0", lladdr: node.bridgeMac, state: ["STALE"] }] : []),
        ...groupNeighbours("eth0"),
      ]);
    case "netns.json":
      return json({
        inode: pod.inode,
        pid: 2000 + pod.index * 40,
        path: `/run/netns/${pod.netns}`,
        pod: { namespace: pod.namespace, name: pod.name },
      });
    case "nft.json":
      return NO_TABLES;
    case "nsid.json":
      return json([{ nsid: 0 }]);
    case "resolv.conf":
      return `search ${pod.namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${DNS_IP}\noptions ndots:5\n`;
    case "route4.json":
      return route4Json(links(pod), [
        { dst: "default", gateway: node.bridgeIp, dev: "eth0" },
        { dst: CLUSTER_CIDR, gateway: node.bridgeIp, dev: "eth0" },
      ]);
    case "route6.json":
      return route6Json(links(pod));
    case "rule4.json":
      return RULE4_JSON;
    case "rule6.json":
      return RULE6_JSON;
    case "sockets.txt":
      return sockets(pod);
    case "sysctl.txt":
      return sysctls.print([{ name: "eth0", mtu: POD_MTU }], {
        "net.ipv4.conf.eth0.arp_notify": "1",
        "net.ipv6.conf.eth0.accept_dad": "0",
        // What the pod's own connections leave behind.
        "net.netfilter.nf_conntrack_count": "0",
      });
    case "tc.json":
      return tcJson(links(pod));
    default:
      return undefined;
  }
}
