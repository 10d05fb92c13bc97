/** kube-proxy's configuration on one machine, every default filled in. */
import type { Node } from "../../model/cluster.ts";
import { parseGoDuration } from "../go-duration.ts";
import { IntentError } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { localTraffic, type LocalTraffic } from "./local-traffic.ts";
import { nodeIps, type IpFamily, type NodeIps } from "./node-ips.ts";
import { nodePortAddresses, type NodePortAddresses } from "./node-port-addresses.ts";
import { kubeProxySettings, type Settings } from "./settings.ts";

export type { IpFamily } from "./node-ips.ts";

export type ProxyMode = "iptables" | "ipvs" | "nftables";

export interface KubeProxyConfig {
  mode: ProxyMode;
  /** Name of the Node that it serves: endpoints there are local. */
  nodeName: string;
  /** The Node object of that name; null when there is none. */
  node: Node | null;
  nodeIps: NodeIps;
  /** The node's zone (`topology.kubernetes.io/zone`); "" for none. */
  zone: string;
  /** By family. */
  localTraffic: Record<IpFamily, LocalTraffic | null>;
  nodePortAddresses: Record<IpFamily, NodePortAddresses>;
  /** Every packet to a Service's address is masqueraded. */
  masqueradeAll: boolean;
  /** Bit of the packet mark that asks for masquerading: 14 is 0x4000. */
  masqueradeBit: number;
  /** Node ports answer on 127.0.0.1 (iptables mode, IPv4 only). */
  localhostNodePorts: boolean;
  conntrack: {
    /** 0: the limit stays as it is, and `min` means nothing. */
    maxPerCore: number;
    min: number;
    /** Seconds; 0 leaves it as it is. */
    tcpEstablishedTimeout: number;
    tcpCloseWaitTimeout: number;
    udpTimeout: number;
    udpStreamTimeout: number;
    tcpBeLiberal: boolean;
  };
  ipvs: {
    /** rr when nothing is said. */
    scheduler: string;
    strictARP: boolean;
    /** Virtual servers that are not kube-proxy's. */
    excludeCIDRs: string[];
    /** Seconds; 0 leaves it as it is. */
    tcpTimeout: number;
    tcpFinTimeout: number;
    udpTimeout: number;
  };
  /** Whether feature gates are on; a gate that nobody set is absent. */
  featureGates: Record<string, boolean>;
}

const MODES = new Set<string>(["iptables", "ipvs", "nftables"]);

/** Reads typed values out of settings; a value of another type is an error that names its field. */
function reader(settings: Settings, where: string) {
  const find = (path: string): unknown =>
    path.split(".").reduce<unknown>((at, name) => (at as Settings | null | undefined)?.[name], settings) ?? undefined;
  const wrong = (path: string, value: unknown): never => {
    throw new IntentError(`${where}: ${path} cannot be ${JSON.stringify(value)}`);
  };
  return {
    wrong,
    text(path: string, otherwise: string): string {
      const value = find(path) ?? otherwise;
      return typeof value === "string" ? value : wrong(path, value);
    },
    /** Flags bring numbers as text. */
    number(path: string, otherwise: number): number {
      const value = find(path) ?? otherwise;
      const number = typeof value === "string" && value !== "" ? Number(value) : value;
      return typeof number === "number" && Number.isInteger(number) ? number : wrong(path, value);
    },
    flag(path: string, otherwise: boolean): boolean {
      const value = find(path) ?? otherwise;
      return typeof value === "boolean" ? value : wrong(path, value);
    },
    list(path: string): string[] {
      const value = find(path) ?? [];
      return Array.isArray(value) && value.every((each) => typeof each === "string") ? value : wrong(path, value);
    },
    seconds(path: string, otherwise: number): number {
      const value = find(path);
      if (value === undefined) return otherwise;
      const seconds = typeof value === "string" ? parseGoDuration(value) : null;
      return seconds === null ? wrong(path, value) : Math.trunc(seconds);
    },
    gates(path: string): Record<string, boolean> {
      const value = find(path) ?? {};
      return typeof value === "object" && !Array.isArray(value)
        ? (value as Record<string, boolean>)
        : wrong(path, value);
    },
  };
}

function compute(site: Site, machine: Machine): KubeProxyConfig | null {
  const found = kubeProxySettings(machine);
  if (found === null) return null;
  const read = reader(found.settings, found.where);
  const mode = read.text("mode", "") || "iptables";
  if (!MODES.has(mode)) read.wrong("mode", mode);
  const nodeName = read.text("hostnameOverride", "").trim().toLowerCase() || (machine.node?.name ?? machine.name);
  const node =
    machine.node?.name === nodeName
      ? machine.node
      : (site.cluster.nodes.find((each) => each.name === nodeName) ?? null);
  const ips = nodeIps(node, read.text("bindAddress", "") || "0.0.0.0");
  const given = read.list("nodePortAddresses");
  // Only the nftables mode takes the node's own addresses when nothing is said (server_linux.go, platformApplyDefaults).
  const portAddresses = given.length === 0 && mode === "nftables" ? ["primary"] : given;
  const traffic = {
    clusterCIDRs: read.text("clusterCIDR", "").split(","),
    podCIDRs: node?.podCIDRs ?? [],
    bridge: read.text("detectLocal.bridgeInterface", ""),
    prefix: read.text("detectLocal.interfaceNamePrefix", ""),
  };
  const local = read.text("detectLocalMode", "") || "ClusterCIDR";
  const own = mode === "nftables" ? "nftables" : "iptables";
  return {
    mode: mode as ProxyMode,
    nodeName,
    node,
    nodeIps: ips,
    zone: node?.labels["topology.kubernetes.io/zone"] ?? "",
    localTraffic: { 4: localTraffic(4, local, traffic), 6: localTraffic(6, local, traffic) },
    nodePortAddresses: { 4: nodePortAddresses(4, portAddresses, ips), 6: nodePortAddresses(6, portAddresses, ips) },
    masqueradeAll: read.flag(`${own}.masqueradeAll`, false),
    masqueradeBit: read.number(`${own}.masqueradeBit`, 14),
    localhostNodePorts: read.flag("iptables.localhostNodePorts", true),
    conntrack: {
      maxPerCore: read.number("conntrack.maxPerCore", 32 * 1024),
      min: read.number("conntrack.min", 128 * 1024),
      tcpEstablishedTimeout: read.seconds("conntrack.tcpEstablishedTimeout", 24 * 3600),
      tcpCloseWaitTimeout: read.seconds("conntrack.tcpCloseWaitTimeout", 3600),
      udpTimeout: read.seconds("conntrack.udpTimeout", 0),
      udpStreamTimeout: read.seconds("conntrack.udpStreamTimeout", 0),
      tcpBeLiberal: read.flag("conntrack.tcpBeLiberal", false),
    },
    ipvs: {
      scheduler: read.text("ipvs.scheduler", "") || "rr",
      strictARP: read.flag("ipvs.strictARP", false),
      excludeCIDRs: read.list("ipvs.excludeCIDRs"),
      tcpTimeout: read.seconds("ipvs.tcpTimeout", 0),
      tcpFinTimeout: read.seconds("ipvs.tcpFinTimeout", 0),
      udpTimeout: read.seconds("ipvs.udpTimeout", 0),
    },
    featureGates: read.gates("featureGates"),
  };
}

/** A pure memo: a machine's configuration is asked for by every part of kube-proxy. */
const known = new WeakMap<Machine, { site: Site; config: KubeProxyConfig | null }>();

/**
 * The configuration that kube-proxy has on this machine, from its command line and configuration file, with the defaults of v1.34
 * (pkg/proxy/apis/config/v1alpha1/defaults.go, cmd/kube-proxy/app/server_linux.go). Null when it does not run there.
 * Throws IntentError when a setting cannot be what it is.
 */
export function kubeProxyConfig(site: Site, machine: Machine): KubeProxyConfig | null {
  const memo = known.get(machine);
  if (memo?.site === site) return memo.config;
  const config = compute(site, machine);
  known.set(machine, { site, config });
  return config;
}

/** Whether node ports answer on 127.0.0.1: only where no `nodePortAddresses` leave loopback out (iptables/proxier.go, NewProxier). */
export function localhostNodePorts(config: KubeProxyConfig): boolean {
  return config.mode === "iptables" && config.localhostNodePorts && config.nodePortAddresses[4].loopback4;
}
