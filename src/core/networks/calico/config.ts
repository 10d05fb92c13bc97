/** What Felix's configuration and the cluster's pools say of one machine, read once. */
import { felixParameters, type Parameters } from "./felix-parameters.ts";
import { kubeProxySettings } from "../kube-proxy/settings.ts";
import { IntentError } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { serviceRanges, settingsOf } from "./bird/settings.ts";
import { list, object, text as string, whole } from "../raw.ts";
import { ACCEPT, marksOf, REJECT, RETURN, type Marks } from "./iptables-rule.ts";
import { ipPools, type IpPool } from "./pools.ts";

/** A port that host endpoints leave open whatever policies say. */
export interface FailsafePort {
  protocol: string;
  port: number;
  /** Only from or to these networks; null for all. */
  net: string | null;
}

/** What IPv4 and IPv6 have each for itself. */
export type ByFamily<T> = Readonly<Record<4 | 6, T>>;

export interface CalicoConfig {
  /** What filters: iptables, or a dataplane whose rules are not modelled here. */
  dataplane: "iptables" | "nftables" | "bpf";
  /** Families that Felix handles. */
  families: (4 | 6)[];
  pools: readonly IpPool[];
  /** Ranges of Services that are told to BGP peers: Felix drops what comes for them and is no Service's. */
  serviceRanges: string[];
  /** Tunnels in use. */
  ipip: boolean;
  vxlan: ByFamily<boolean>;
  /** Whether Felix writes the routes to other nodes' blocks, by how their pools are carried; those of VXLAN are always its own. */
  routes: { ipip: boolean; plain: boolean };
  vxlanPort: number;
  vxlanVni: number;
  /** Metric of workloads' routes. */
  metric: ByFamily<number>;
  /** Protocol of Felix's routes to workloads and through tunnels, and of the others. */
  deviceProtocol: string;
  routeProtocol: string;
  deviceSource4: string | null;
  devicePrefixes: string[];
  externalNodes: string[];
  marks: Marks;
  endpointToHost: string;
  /** Targets of allowed packets. */
  filterAllow: string;
  mangleAllow: string;
  /** Target of denied packets, and the word for it in comments. */
  deny: { target: ByFamily<string>; word: string };
  serviceLoop: "Drop" | "Reject" | "Disabled";
  logPrefix: string;
  floatingIPs: boolean;
  natAddress: string | null;
  natPorts: string | null;
  natInterface: string | null;
  natExcludesHosts: boolean;
  dropsInvalid: boolean;
  allowsVxlanFromPods: boolean;
  allowsIpipFromPods: boolean;
  forwarding: boolean;
  failsafeIn: FailsafePort[];
  failsafeOut: FailsafePort[];
  /** Greatest packets of tunnels and pods when nobody says; by what carries them. */
  mtu: { vxlan: ByFamily<number>; ipip: number; pods: number };
}

const isTrue = (text: string | null, otherwise: boolean): boolean =>
  text === null ? otherwise : ["true", "1", "yes", "y", "t"].includes(text.toLowerCase());

function integer(given: Parameters, field: string, otherwise: number): number {
  const text = given(field);
  if (text === null) return otherwise;
  const number = Number(text);
  if (!Number.isInteger(number)) throw new IntentError(`Felix's ${field} should be a number, not ${text}`);
  return number;
}

/** `tcp:22`, `tcp:10.0.0.0/8:22`, `22`, or the objects of FelixConfiguration (param_types.go, ProtoPortListParam). */
function failsafePorts(given: Parameters, field: string, otherwise: readonly string[]): FailsafePort[] {
  const text = given(field);
  if (text === "none") return [];
  if (text?.startsWith("[") === true) {
    let objects: unknown;
    try {
      objects = JSON.parse(text);
    } catch {
      throw new IntentError(`Felix's ${field} makes no sense: ${text}`);
    }
    return list(objects)
      .map(object)
      .map((each) => ({
        protocol: (string(each["protocol"]) ?? "tcp").toLowerCase(),
        port: whole(each["port"]) ?? 0,
        net: string(each["net"]),
      }));
  }
  return (text?.split(",") ?? otherwise).flatMap((each): FailsafePort[] => {
    const [, protocol, net, port] = /^\s*(?:(tcp|udp|sctp):)?(?:([^,]*):)?(\d+)\s*$/.exec(each) ?? [];
    if (port === undefined) return [];
    return [{ protocol: protocol ?? "tcp", port: Number(port), net: net?.replaceAll(/[[\]]/g, "") ?? null }];
  });
}

const SAFE_IN = "tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667".split(",");
const SAFE_OUT = "udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667".split(",");

/** Devices by which a host reaches others, for the greatest packet that it can send (MTUIfacePattern). */
const UPLINK = "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)";

function hostMtu(machine: Machine, pattern: string): number {
  let uplink: RegExp;
  try {
    uplink = new RegExp(pattern);
  } catch {
    throw new IntentError(`Felix's mtuIfacePattern is no regular expression: ${pattern}`);
  }
  const named = machine.devices.filter((device) => uplink.test(device.name)).map((device) => device.mtu);
  return named.length > 0 ? Math.min(...named) : 1500;
}

/** felix/dataplane/linux/int_dataplane.go, ConfigureDefaultMTUs and determinePodMTU. */
function mtus(
  given: Parameters,
  machine: Machine,
  uses: { vxlan: ByFamily<boolean>; ipip: boolean },
): CalicoConfig["mtu"] {
  const host = hostMtu(machine, given("mtuIfacePattern") ?? UPLINK);
  const vxlan = { 4: integer(given, "vxlanMTU", 0) || host - 50, 6: integer(given, "vxlanMTUV6", 0) || host - 70 };
  const ipip = integer(given, "ipipMTU", 0) || host - 20;
  const carried = [
    ...([4, 6] as const).filter((family) => uses.vxlan[family]).map((family) => vxlan[family]),
    ...(uses.ipip ? [ipip] : []),
  ];
  return { vxlan, ipip, pods: carried.length > 0 ? Math.min(...carried) : host };
}

/** Which pools' routes a value of programClusterRoutes means; unknown ones mean what is said by default. */
function programmed(value: string | null, otherwise: { ipip: boolean; plain: boolean }): CalicoConfig["routes"] {
  switch (value) {
    case "Disabled":
      return { ipip: false, plain: false };
    case "Enabled":
      return { ipip: true, plain: true };
    case "EnabledIPIPOnly":
      return { ipip: true, plain: false };
    case "EnabledNoEncapOnly":
      return { ipip: false, plain: true };
    default:
      return otherwise;
  }
}

function dataplane(given: Parameters, machine: Machine): CalicoConfig["dataplane"] {
  if (isTrue(given("bpfEnabled"), false)) return "bpf";
  const mode = given("nftablesMode") ?? "Auto";
  if (mode === "Enabled") return "nftables";
  // Auto does as kube-proxy does.
  return mode === "Auto" && kubeProxySettings(machine)?.settings["mode"] === "nftables" ? "nftables" : "iptables";
}

/** Names of route protocols as `ip route` prints them (iproute2's rt_protos). */
const PROTOCOLS: Record<string, string> = { "2": "kernel", "3": "boot", "4": "static", "12": "bird" };

const allowTarget = (action: string | null): string => (action?.toUpperCase() === "RETURN" ? RETURN : ACCEPT);

const denyTargets = (action: string | null): CalicoConfig["deny"] =>
  action?.toUpperCase() === "REJECT"
    ? { target: REJECT, word: "Reject" }
    : { target: { 4: "-j DROP", 6: "-j DROP" }, word: "Drop" };

/** Reads it all. Throws IntentError when a parameter makes no sense. */
export function calicoConfig(site: Site, machine: Machine): CalicoConfig {
  const given = felixParameters(site, machine);
  const pools = ipPools(site.cluster);
  const hasVxlanPool = (family: 4 | 6): boolean =>
    pools.some((pool) => pool.family === family && pool.carrier === "vxlan");
  const vxlan = { 4: isTrue(given("vxlanEnabled"), hasVxlanPool(4)), 6: hasVxlanPool(6) };
  const ipip = isTrue(
    given("ipipEnabled"),
    pools.some((pool) => pool.carrier === "ipip"),
  );
  const mask = integer(given, "iptablesMarkMask", 0xffff0000);
  const marks = marksOf(mask);
  if (marks === null) throw new IntentError(`Felix's iptablesMarkMask 0x${mask.toString(16)} has too few bits`);
  const protocol = String(integer(given, "deviceRouteProtocol", 3));
  const serviceLoop = given("serviceLoopPrevention") ?? "Drop";
  return {
    dataplane: dataplane(given, machine),
    families: isTrue(given("ipv6Support"), true) ? [4, 6] : [4],
    pools,
    serviceRanges: serviceRanges(settingsOf(site.cluster, machine.name)),
    ipip,
    vxlan,
    routes: programmed(given("programClusterRoutes"), { ipip: true, plain: false }),
    vxlanPort: integer(given, "vxlanPort", 4789),
    vxlanVni: integer(given, "vxlanVNI", 4096),
    metric: {
      4: integer(given, "ipv4NormalRoutePriority", 1024),
      6: integer(given, "ipv6NormalRoutePriority", 1024),
    },
    deviceProtocol: PROTOCOLS[protocol] ?? protocol,
    // A protocol that others use too would not tell Felix's routes from theirs (route_mgr.go, calculateRouteProtocol).
    routeProtocol: protocol === "3" ? "80" : (PROTOCOLS[protocol] ?? protocol),
    deviceSource4: given("deviceRouteSourceAddress"),
    devicePrefixes: (given("interfacePrefix") ?? "cali").split(","),
    externalNodes: given("externalNodesList")?.split(",") ?? [],
    marks,
    endpointToHost: (given("defaultEndpointToHostAction") ?? "DROP").toUpperCase(),
    filterAllow: allowTarget(given("iptablesFilterAllowAction")),
    mangleAllow: allowTarget(given("iptablesMangleAllowAction")),
    deny: denyTargets(given("iptablesFilterDenyAction")),
    serviceLoop: serviceLoop === "Reject" || serviceLoop === "Disabled" ? serviceLoop : "Drop",
    logPrefix: given("logPrefix") ?? "calico-packet",
    floatingIPs: given("floatingIPs") === "Enabled",
    natAddress: given("natOutgoingAddress"),
    natPorts: given("natPortRange")?.replace(":", "-") ?? null,
    natInterface: given("iptablesNATOutgoingInterfaceFilter"),
    natExcludesHosts: given("natOutgoingExclusions") === "IPPoolsAndHostIPs",
    dropsInvalid: !isTrue(given("disableConntrackInvalidCheck"), false),
    allowsVxlanFromPods: isTrue(given("allowVXLANPacketsFromWorkloads"), false),
    allowsIpipFromPods: isTrue(given("allowIPIPPacketsFromWorkloads"), false),
    forwarding: given("ipForwarding") !== "Disabled",
    failsafeIn: failsafePorts(given, "failsafeInboundHostPorts", SAFE_IN),
    failsafeOut: failsafePorts(given, "failsafeOutboundHostPorts", SAFE_OUT),
    mtu: mtus(given, machine, { vxlan, ipip }),
  };
}
