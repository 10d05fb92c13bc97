/** What kube-proxy puts in its ipsets and on kube-ipvs0 (pkg/proxy/ipvs/proxier.go, syncProxyRules). */
import { inPrefix, parseIp, parsePrefix } from "../../../model/address.ts";
import type { KubeProxyConfig } from "../config.ts";
import type { IpFamily } from "../node-ips.ts";
import { isLocal, type ServicePort } from "../service-ports.ts";
import { SET_NAMES, type SetName } from "./sets.ts";

/** A load balancer's address that this node itself may not use. */
export interface NoNodeAccess {
  ip: string;
  /** tcp, udp or sctp. */
  protocol: string;
  port: number;
}

export interface IpvsEntries {
  sets: Record<SetName, Set<string>>;
  /** Addresses of kube-ipvs0. */
  bound: Set<string>;
  noNodeAccess: NoNodeAccess[];
}

export interface EntryOptions {
  config: KubeProxyConfig;
  family: IpFamily;
  /** The node's own addresses: those are not bound again. */
  nodeAddresses: readonly string[];
  /** Those that answer node ports. */
  nodePortAddresses: readonly string[];
}

/** `ipset save` leaves out the length of a single address, and takes no prefix of every address. */
const netOf = (range: string): string => range.replace(/^(.*:.*)\/128$|^([0-9.]+)\/32$/, "$1$2");

/** One load balancer address: portal, firewall and who may pass it. */
function loadBalancer(port: ServicePort, ip: string, entries: IpvsEntries, { config, family }: EntryOptions): void {
  const { sets } = entries;
  const protocol = port.protocol.toLowerCase();
  const entry = `${ip},${protocol}:${port.port}`;
  sets["LOAD-BALANCER"].add(entry);
  if (port.externalLocal) sets["LOAD-BALANCER-LOCAL"].add(entry);
  if (port.sourceRanges.length === 0) return;
  sets["LOAD-BALANCER-FW"].add(entry);
  const node = parseIp(config.nodeIps.ips[family]);
  let nodeMay = false;
  for (const range of port.sourceRanges) {
    const prefix = parsePrefix(range);
    if (prefix === null) continue;
    // The kernel refuses a network of zero length in a set, so kube-proxy's wish for it changes nothing.
    if (prefix.len > 0) sets["LOAD-BALANCER-SOURCE-CIDR"].add(`${entry},${netOf(range)}`);
    if (node !== null && inPrefix(node, prefix)) nodeMay = true;
  }
  if (nodeMay) sets["LOAD-BALANCER-SOURCE-IP"].add(`${entry},${ip}`);
  else entries.noNodeAccess.push({ ip, protocol, port: port.port });
}

function nodePort(port: ServicePort, sets: IpvsEntries["sets"], addresses: readonly string[]): void {
  const add = (name: SetName, local: SetName, entry: string): void => {
    sets[name].add(entry);
    if (port.externalLocal) sets[local].add(entry);
  };
  switch (port.protocol) {
    case "TCP":
      return add("NODE-PORT-TCP", "NODE-PORT-LOCAL-TCP", String(port.nodePort));
    case "UDP":
      return add("NODE-PORT-UDP", "NODE-PORT-LOCAL-UDP", String(port.nodePort));
    case "SCTP":
      // A bitmap of ports knows no SCTP, so each address of the node has an entry.
      for (const ip of addresses)
        add("NODE-PORT-SCTP-HASH", "NODE-PORT-LOCAL-SCTP-HASH", `${ip},sctp:${port.nodePort}`);
  }
}

/** Gathers the entries of every set, the addresses to bind, and the addresses that this node may not use. */
export function ipvsEntries(ports: readonly ServicePort[], options: EntryOptions): IpvsEntries {
  const sets = Object.fromEntries(SET_NAMES.map((name) => [name, new Set<string>()])) as IpvsEntries["sets"];
  const entries: IpvsEntries = { sets, bound: new Set(), noNodeAccess: [] };
  const own = new Set(options.nodeAddresses);
  const bind = (ip: string): void => {
    if (!own.has(ip)) entries.bound.add(ip);
  };
  for (const port of ports) {
    const protocol = port.protocol.toLowerCase();
    for (const endpoint of port.endpoints) {
      if (!isLocal(endpoint, options.config)) continue;
      sets["LOOP-BACK"].add(`${endpoint.address},${protocol}:${endpoint.port},${endpoint.address}`);
    }
    sets["CLUSTER-IP"].add(`${port.clusterIP},${protocol}:${port.port}`);
    entries.bound.add(port.clusterIP);
    for (const ip of port.externalIPs) {
      sets[port.externalLocal ? "EXTERNAL-IP-LOCAL" : "EXTERNAL-IP"].add(`${ip},${protocol}:${port.port}`);
      bind(ip);
    }
    for (const ip of port.loadBalancerIPs) {
      loadBalancer(port, ip, entries, options);
      bind(ip);
    }
    if (port.nodePort !== null) {
      // Without an address for node ports the Service port's health check is left out too.
      if (options.nodePortAddresses.length === 0) continue;
      nodePort(port, sets, options.nodePortAddresses);
    }
    if (port.healthCheckNodePort !== null) sets["HEALTH-CHECK-NODE-PORT"].add(String(port.healthCheckNodePort));
  }
  sets["IPVS-IPS"] = entries.bound;
  return entries;
}
