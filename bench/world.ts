/**
 * The world that walks are measured in: two nodes of a flannel cluster with 110 pods each (kubelet's default limit) and
 * the rules of kube-proxy for any number of Services whose endpoints are these pods. Made as the files of a snapshot and
 * loaded like any other; devices, routes, neighbours and forwarding entries are those of recorded flannel nodes.
 */
import type { Snapshot } from "../src/core/model/snapshot.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import {
  dotted,
  generateKubeProxyIptables,
  kubeProxyServices,
  podAddress,
  type KubeProxyOptions,
  type KubeService,
} from "./generate/kube-proxy-iptables.ts";
import { generateKubeProxyNft } from "./generate/kube-proxy-nft.ts";
import { commandRecords, namespaceFiles, type LinkText, type NamespaceText } from "./generate/namespace-files.ts";

export type ProxyMode = "iptables" | "nftables";
/** What carries pods' packets between the nodes: flannel's VXLAN, or plain routes (host-gw). */
export type Network = "vxlan" | "host-gw";

export const NODES = ["a", "b"] as const;
export const PODS_PER_NODE = 110;
const ENDPOINTS = 5;

/** What the generators are asked for, so that walks and the kernel meet the same rules. */
export function rulesOptions(services: number): KubeProxyOptions {
  return { services, endpointsPerService: ENDPOINTS, nodes: NODES.length, podsPerNode: PODS_PER_NODE };
}

export interface BenchWorld {
  snapshot: Snapshot;
  services: readonly KubeService[];
  /** Place of the pods that flows come from: those of node a. */
  clients: readonly string[];
}

const nodeIp = (node: number): string => `172.30.0.${10 + node}`;
const podIp = (node: number, pod: number): string => dotted(podAddress(node, pod, PODS_PER_NODE));
/** The bridge has the first address of the node's block, flannel.1 the block's own. */
const blockIp = (node: number): string => dotted(podAddress(node, -2, PODS_PER_NODE));
const bridgeIp = (node: number): string => dotted(podAddress(node, -1, PODS_PER_NODE));

const hex = (n: number): string => n.toString(16).padStart(2, "0");
/** A locally administered MAC for each device. */
const mac = (kind: number, node: number, pod: number): string => `02:${hex(kind)}:00:00:${hex(node)}:${hex(pod)}`;
const uplinkMac = (node: number): string => mac(1, node, 0);
const bridgeMac = (node: number): string => mac(2, node, 0);
const vtepMac = (node: number): string => mac(3, node, 0);
const portMac = (node: number, pod: number): string => mac(4, node, pod);
const podMac = (node: number, pod: number): string => mac(5, node, pod);

const FIRST_PORT = 5;
const netnsName = (pod: number): string => `cni-${pod}`;

function podNamespace(node: number, pod: number, mtu: number): NamespaceText {
  return {
    links: [
      {
        index: 2,
        name: "eth0",
        mac: podMac(node, pod),
        mtu,
        addresses: [`${podIp(node, pod)}/24`],
        info: { info_kind: "veth" },
        peer: { index: FIRST_PORT + pod, netnsid: 0 },
      },
    ],
    routes: [["default", bridgeIp(node), "eth0"]],
    neighbours: [{ dst: bridgeIp(node), dev: "eth0", lladdr: bridgeMac(node), state: "REACHABLE" }],
    fdb: [],
    nsids: [{ nsid: 0 }],
    sockets: [
      "udp UNCONN 0      0      *:5353 *:* ino:1 sk:1 cgroup:/ v6only:0 <->",
      "tcp LISTEN 0      4096   *:8080 *:* ino:2 sk:2 cgroup:/ v6only:0 <->",
    ],
    sysctls: {},
  };
}

function hostLinks(node: number, pods: readonly number[], vxlan: boolean, mtu: number): LinkText[] {
  const link = (index: number, name: string, at: string, size: number, address: string, kind: string): LinkText => ({
    index,
    name,
    mac: at,
    mtu: size,
    addresses: [address],
    info: { info_kind: kind },
  });
  const links: LinkText[] = [
    { ...link(2, "eth0", uplinkMac(node), 1500, `${nodeIp(node)}/24`, "veth"), peer: { index: 2, netnsid: 999 } },
    {
      ...link(4, "cni0", bridgeMac(node), mtu, `${bridgeIp(node)}/24`, "bridge"),
      info: { info_kind: "bridge", info_data: { vlan_filtering: 0, nf_call_iptables: 0, nf_call_ip6tables: 0 } },
    },
    ...pods.map((pod) => ({
      index: FIRST_PORT + pod,
      name: `veth${pod}`,
      mac: portMac(node, pod),
      mtu,
      addresses: [],
      info: { info_kind: "veth", info_slave_kind: "bridge" },
      peer: { index: 2, netnsid: 1 + pod },
      master: "cni0",
    })),
  ];
  if (vxlan) {
    const data = { id: 1, local: nodeIp(node), link: "eth0", port: 8472, learning: false, ttl: 0, df: "unset" };
    links.push({
      ...link(3, "flannel.1", vtepMac(node), mtu, `${blockIp(node)}/32`, "vxlan"),
      info: { info_kind: "vxlan", info_data: data },
    });
  }
  return links;
}

function hostNamespace(
  node: number,
  network: Network,
  mtu: number,
  rules: Readonly<Record<string, string>>,
): NamespaceText {
  const vxlan = network === "vxlan";
  const pods = Array.from({ length: PODS_PER_NODE }, (_, pod) => pod);
  const others = NODES.map((_, i) => i).filter((i) => i !== node);
  const bridged = { flags: [], master: "cni0" };
  return {
    links: hostLinks(node, pods, vxlan, mtu),
    routes: [
      ["default", "172.30.0.1", "eth0"],
      ...others.map((i) => [`${blockIp(i)}/24`, vxlan ? blockIp(i) : nodeIp(i), vxlan ? "flannel.1" : "eth0"] as const),
    ],
    neighbours: [
      ...others.map((i) => ({ dst: nodeIp(i), dev: "eth0", lladdr: uplinkMac(i), state: "REACHABLE" })),
      ...(vxlan
        ? others.map((i) => ({ dst: blockIp(i), dev: "flannel.1", lladdr: vtepMac(i), state: "PERMANENT" }))
        : []),
      ...pods.map((pod) => ({ dst: podIp(node, pod), dev: "cni0", lladdr: podMac(node, pod), state: "STALE" })),
    ],
    fdb: [
      ...(vxlan
        ? others.map((i) => ({
            mac: vtepMac(i),
            ifname: "flannel.1",
            dst: nodeIp(i),
            flags: ["self"],
            state: "permanent",
          }))
        : []),
      { mac: bridgeMac(node), ifname: "cni0", ...bridged, state: "permanent" },
      ...pods.flatMap((pod) => [
        { mac: podMac(node, pod), ifname: `veth${pod}`, ...bridged, state: "" },
        { mac: portMac(node, pod), ifname: `veth${pod}`, ...bridged, state: "permanent" },
      ]),
    ],
    nsids: [{ nsid: 0 }, ...pods.map((pod) => ({ nsid: 1 + pod, name: netnsName(pod) }))],
    sockets: [
      ...(vxlan ? ["udp UNCONN 0      0      0.0.0.0:8472 0.0.0.0:* ino:1 sk:1 cgroup:/ <->"] : []),
      "tcp LISTEN 0      4096   *:10250 *:* ino:2 sk:2 cgroup:/ v6only:0 <->",
      "tcp LISTEN 0      4096   *:10256 *:* ino:3 sk:3 cgroup:/ v6only:0 <->",
    ],
    sysctls: {
      "net.bridge.bridge-nf-call-iptables": 1,
      "net.bridge.bridge-nf-call-ip6tables": 1,
      "net.ipv4.ip_forward": 1,
      ...Object.fromEntries(
        ["all", "default", "lo", "eth0", "cni0", "flannel/1", ...pods.map((pod) => `veth${pod}`)].map((dev) => [
          `net.ipv4.conf.${dev}.forwarding`,
          1,
        ]),
      ),
      // kube-proxy's, in iptables mode.
      ...("iptables-save.txt" in rules ? { "net.ipv4.conf.all.route_localnet": 1 } : {}),
    },
    rules,
  };
}

/**
 * Base chains that iptables-nft registers for kube-proxy's rules, as nft.json has them. The rest of what nft prints of
 * iptables' tables is left out: their rules are read from iptables-save.
 */
function baseChainsOfIptables(): string {
  const table = (name: string, handle: number): object => ({ table: { family: "ip", name, handle } });
  const chain = (inTable: string, name: string, handle: number, type: string, prio: number): object => ({
    chain: { family: "ip", table: inTable, name, handle, type, hook: name.toLowerCase(), prio, policy: "accept" },
  });
  const nftables = [
    { metainfo: { version: "1.0.6", json_schema_version: 1 } },
    table("mangle", 1),
    table("filter", 2),
    chain("filter", "INPUT", 4, "filter", 0),
    chain("filter", "FORWARD", 9, "filter", 0),
    chain("filter", "OUTPUT", 2, "filter", 0),
    table("nat", 4),
    chain("nat", "PREROUTING", 15, "nat", -100),
    chain("nat", "OUTPUT", 13, "nat", -100),
    chain("nat", "POSTROUTING", 3, "nat", 100),
  ];
  return `${JSON.stringify({ nftables })}\n`;
}

/** The ruleset files of each node: in iptables mode the same text, in nftables mode it has the node's own address. */
function ruleFiles(mode: ProxyMode, services: readonly KubeService[], count: number): Record<string, string>[] {
  if (mode === "iptables") {
    const text = generateKubeProxyIptables(rulesOptions(count));
    return NODES.map(() => ({ "iptables-save.txt": text, "nft.json": baseChainsOfIptables() }));
  }
  return NODES.map((_, node) => {
    const { text, json } = generateKubeProxyNft(services, nodeIp(node));
    return { "nft.txt": text, "nft.json": json };
  });
}

/** The files of the snapshot, by path. */
export function worldFiles(mode: ProxyMode, network: Network, count: number): Map<string, string> {
  const services = kubeProxyServices(rulesOptions(count));
  const rules = ruleFiles(mode, services, count);
  const mtu = network === "vxlan" ? 1450 : 1500;
  const files = new Map<string, string>();
  const json = (path: string, value: unknown): void => {
    files.set(path, `${JSON.stringify(value)}\n`);
  };
  json("snapshot.json", { format: "kubewalk.snapshot/v1", takenAt: "2026-11-20T21:55:35Z", nodes: NODES });
  const attached = NODES.map((name) => [name, "eth0"]);
  json("fabric.json", {
    format: "kubewalk.fabric/v1",
    segments: [{ name: "br0", attached }],
    routers: [],
    external: [],
  });
  NODES.forEach((name, node) => {
    const add = (dir: string, ns: NamespaceText): void => {
      for (const [file, text] of namespaceFiles(ns)) files.set(`nodes/${name}/${dir}/${file}`, text);
    };
    const records = [...commandRecords("host")];
    add("host", hostNamespace(node, network, mtu, rules[node]!));
    for (let pod = 0; pod < PODS_PER_NODE; pod++) {
      const inode = 4026530000 + pod;
      const dir = `netns/${inode}`;
      add(dir, podNamespace(node, pod, mtu));
      json(`nodes/${name}/${dir}/netns.json`, {
        inode,
        pid: 1000 + pod,
        path: `/run/netns/${netnsName(pod)}`,
        pod: { namespace: "bench", name: `pod-${pod}` },
      });
      records.push(...commandRecords(dir));
    }
    json(`nodes/${name}/commands.json`, records);
  });
  return files;
}

/** Makes and loads the world. Throws when something in it could not be read. */
export function makeWorld(mode: ProxyMode, network: Network, count: number): BenchWorld {
  const files = worldFiles(mode, network, count);
  const snapshot = assembleSnapshot({ paths: () => files.keys(), read: (path) => files.get(path) });
  const missing = snapshot.namespaces.flatMap((ns) =>
    [...ns.missing].map(([what, why]) => `${ns.place} ${what}: ${why}`),
  );
  const wrong = [...snapshot.problems.map((p) => p.message), ...missing];
  if (wrong.length > 0) throw new Error(`the world of the benchmark is not whole: ${wrong.slice(0, 3).join("; ")}`);
  return {
    snapshot,
    services: kubeProxyServices(rulesOptions(count)),
    clients: Array.from({ length: PODS_PER_NODE }, (_, pod) => `a/pod/bench/pod-${pod}`),
  };
}
