/**
 * Nobody answers pods for their gateway. Calico's is 169.254.1.1, which no machine has: the node answers for it on the pod's veth by proxy
 * ARP, which needs proxy_arp and forwarding on that device and a route that covers the address (arp_process and arp_fwd_proxy,
 * net/ipv4/arp.c). A pod that still knows the MAC goes on until its entry expires.
 */
import { formatIp, type Ip } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import { sysctlConf, sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import { neighbourLine } from "../../show/lines.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { gatewaysOf, routedPods, type RoutedPod } from "../routed-pods.ts";
import type { Evidence } from "../types.ts";

/** More lines of evidence than this are left out. */
const MOST_LINES = 6;

interface Silent {
  routed: RoutedPod;
  gateway: Ip;
  reason: "proxy-arp" | "route";
}

/** Why the node does not answer for a pod's gateway; null when it does, or when forwarding is what is missing (a fault of its own). */
function reasonOf(chart: Chart, { host, veth }: RoutedPod, gateway: Ip): Silent["reason"] | null {
  if (gateway.v === 6 || host.missing.has("sysctl") || host.missing.has("addr")) return null;
  const ns = chart.world.byPlace.get(host.place);
  if (ns === undefined || ns.owner(gateway) !== null) return null;
  const on = (dev: string): boolean => sysctlNumber(host.sysctls, sysctlConf("ipv4", dev, "proxy_arp"), 1) !== 0;
  const given = host.proxyNeighbours.some(
    (each) => each.ip.key === gateway.key && (each.dev === null || each.dev === veth.name),
  );
  const all = sysctlNumber(host.sysctls, sysctlConf("ipv4", "all", "proxy_arp"), 0) !== 0;
  if (!on(veth.name) && !all && !given) return "proxy-arp";
  const flow = {
    dst: gateway,
    src: null,
    iif: null,
    oif: null,
    mark: 0,
    tos: 0,
    proto: 0,
    sport: 0,
    dport: 0,
    uid: null,
  };
  const found = ns.fib(4).lookup(flow);
  return found.unknown === null && found.route === null ? "route" : null;
}

/** Whether the pod has the gateway's MAC for good. */
function knowsForGood(ns: Namespace, gateway: Ip): boolean {
  return ns.neighbours.some(
    (each) => each.ip.key === gateway.key && (each.state === "PERMANENT" || each.state === "NOARP"),
  );
}

function isDeathOf(death: Death, silent: readonly Silent[]): boolean {
  return (
    death.disposition === "neighbour-unreachable" &&
    silent.some(({ routed, gateway }) => routed.ns.place === death.at && death.text.includes(formatIp(gateway)))
  );
}

function evidence(chart: Chart, { routed: { host, veth, ns }, gateway, reason }: Silent): Evidence[] {
  const key = sysctlConf("ipv4", veth.name, "proxy_arp");
  const setting = sysctlSource(host.sysctls, key);
  const entry = ns.neighbours.find((each) => each.ip.key === gateway.key);
  return [
    ...(reason === "proxy-arp" && setting !== null ? [chart.evidence(setting)] : []),
    ...(reason === "route"
      ? [
          chart.evidence(
            { file: `${host.dir}/route4.json`, line: 1 },
            `no route to ${formatIp(gateway)}, not even a default route`,
          ),
        ]
      : []),
    ...(entry === undefined ? [] : [chart.evidence(entry.source, `${ns.place}: ${neighbourLine(entry, false)}`)]),
  ];
}

function suspicion(chart: Chart, host: Namespace, silent: readonly Silent[]): Suspicion {
  const [first] = silent;
  const gateway = formatIp(first!.gateway);
  const deaths = deathsOf(chart).filter((death) => isDeathOf(death, silent));
  const pods = silent.length === 1 ? `pod ${first!.routed.pod.id}` : `${silent.length} of its pods`;
  const why =
    first!.reason === "proxy-arp"
      ? "proxy ARP is off on their devices"
      : "it has no route that covers the address, and proxy ARP answers for nothing else";
  const later = deaths.length > 0 ? "" : "; they lose their network as soon as they forget its MAC";
  return {
    id: "pod-gateway-silent",
    at: host.place,
    summary: `${host.node} does not answer ${pods} for their gateway ${gateway}: ${why}${later}`,
    evidence: silent.flatMap((each) => evidence(chart, each)).slice(0, MOST_LINES),
    remedy:
      first!.reason === "proxy-arp"
        ? silent.slice(0, 20).map(({ routed }) => `sysctl -w ${sysctlConf("ipv4", routed.veth.name, "proxy_arp")}=1`)
        : ["# give the node its default route again:", "ip route add default via GATEWAY dev UPLINK"],
    hurts: hurtsOf(deaths),
    otherwise: "warning",
  };
}

function look(chart: Chart): Diagnosis {
  const byHost = new Map<string, Silent[]>();
  for (const routed of routedPods(chart)) {
    for (const gateway of gatewaysOf(routed.ns)) {
      const reason = reasonOf(chart, routed, gateway);
      if (reason === null || knowsForGood(routed.ns, gateway)) continue;
      const key = `${routed.host.place} ${reason}`;
      const list = byHost.get(key);
      const silent = { routed, gateway, reason };
      if (list === undefined) byHost.set(key, [silent]);
      else list.push(silent);
    }
  }
  return { suspicions: [...byHost.values()].map((silent) => suspicion(chart, silent[0]!.routed.host, silent)) };
}

export const podGatewaySilent: Check = { ids: ["pod-gateway-silent"], depth: "machine", look };
