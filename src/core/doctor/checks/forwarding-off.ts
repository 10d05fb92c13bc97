/**
 * Forwarding is off on one interface although it is on for the machine: setting net.ipv4.ip_forward changes every interface once, and
 * whoever restarts an interface (systemd-networkd) may set it back. Of the interface by which a packet comes in, ip_forward() asks
 * IN_DEV_FORWARD (net/ipv4/route.c, ip_route_input_slow). Or it is off for the whole machine: someone set net.ipv4.ip_forward back, which
 * switches every interface. IPv6 asks the machine alone (net.ipv6.conf.all.forwarding, net/ipv6/ip6_output.c, ip6_forward).
 */
import type { Link } from "../../model/link.ts";
import { formatIp } from "../../model/address.ts";
import type { Namespace } from "../../model/namespace.ts";
import type { Source } from "../../model/source.ts";
import { sysctlConf, sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { decidedBy } from "../decided.ts";
import { deathsOf, hurtsOf } from "../deaths.ts";
import { podNetworks } from "../pod-networks.ts";
import { gatewaysOf, routedPods } from "../routed-pods.ts";

/** Lines of evidence and commands of one finding, at most. */
const MOST_LINES = 5;
const MOST_COMMANDS = 20;

const OVERALL = { 4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding" } as const;

/** Devices that do not forward what comes in by them, with the setting. Ports of a bridge take nothing in themselves. */
function offDevices(host: Namespace): { link: Link; key: string; source: Source }[] {
  return host.links.flatMap((link) => {
    if (link.kind.kind === "loopback" || !link.up || link.master !== null) return [];
    const key = sysctlConf("ipv4", link.name, "forwarding");
    const source = sysctlSource(host.sysctls, key);
    return source === null || sysctlNumber(host.sysctls, key, 1) !== 0 ? [] : [{ link, key, source }];
  });
}

/** Whether traffic of the cluster comes in by a device: it has the node's address, it is a tunnel, or pods are behind it. */
function isOfCluster(chart: Chart, host: Namespace, link: Link): boolean {
  const addresses = new Set(chart.dir.nodes.get(host.node)?.addresses.map((each) => each.address) ?? []);
  if (link.addresses.some((each) => addresses.has(formatIp(each.ip)))) return true;
  if (link.kind.kind === "vxlan" || link.kind.kind === "ipip") return true;
  const machine = chart.site.machines.find((each) => each.place === host.place);
  const veths = new Set(machine?.sandboxes.map((each) => each.hostDevice?.name));
  return veths.has(link.name) || host.links.some((each) => each.master === link.name && veths.has(each.name));
}

/** Pods behind a device that does not forward are not answered for gateways that the node itself does not have (arp_fwd_proxy). */
function unanswered(chart: Chart, host: Namespace, links: readonly Link[]): Hurt[] {
  const names = new Set(links.map((link) => link.name));
  const pods = new Map(
    routedPods(chart)
      .filter((each) => each.host === host && names.has(each.veth.name))
      .map((each) => [each.ns.place, gatewaysOf(each.ns).map(formatIp)]),
  );
  if (pods.size === 0) return [];
  return hurtsOf(
    deathsOf(chart).filter(
      (death) =>
        death.disposition === "neighbour-unreachable" &&
        (pods.get(death.at) ?? []).some((gateway) => death.text.includes(`${gateway} on `)),
    ),
  );
}

function whole(chart: Chart, host: Namespace, v: 4 | 6): Suspicion[] {
  const source = sysctlSource(host.sysctls, OVERALL[v]);
  if (source === null || sysctlNumber(host.sysctls, OVERALL[v], 1) !== 0) return [];
  const off = v === 4 ? offDevices(host) : [];
  if (v === 4 && off.length === 0) return [];
  // Without pod addresses of the family nothing is to be forwarded.
  const used =
    podNetworks(chart)
      .byNode.get(host.node)
      ?.some((each) => each.prefix.ip.v === v) ?? false;
  const sources = [source, ...off.map((each) => each.source)];
  return [
    {
      id: "forwarding-off",
      at: host.place,
      summary: `${host.node} forwards no IPv${v} packets, neither from its pods nor to them: ${OVERALL[v]} is off`,
      evidence: sources.slice(0, 4).map((each) => chart.evidence(each)),
      remedy: [`sysctl -w ${OVERALL[v]}=1`, `# and see that /etc/sysctl.d on ${host.node} does not set it back`],
      hurts: [
        ...decidedBy(chart, sources),
        ...unanswered(
          chart,
          host,
          off.map((each) => each.link),
        ),
      ],
      otherwise: used ? "warning" : null,
    },
  ];
}

function single(chart: Chart, host: Namespace): Suspicion[] {
  const overall = sysctlSource(host.sysctls, OVERALL[4]);
  if (sysctlNumber(host.sysctls, OVERALL[4], 0) === 0) return [];
  const off = offDevices(host);
  const ours = off.filter(({ link }) => isOfCluster(chart, host, link));
  const others = off.filter((each) => !ours.includes(each));
  const one = (devices: typeof off, otherwise: Suspicion["otherwise"]): Suspicion[] =>
    devices.length === 0
      ? []
      : [
          {
            id: "forwarding-off",
            at: host.place,
            summary: `${host.node} does not forward IPv4 packets that come in by ${nameList(devices.map((each) => each.link.name))}, although ${OVERALL[4]} is on`,
            evidence: [
              ...devices.slice(0, MOST_LINES).map((each) => chart.evidence(each.source)),
              ...(overall === null ? [] : [chart.evidence(overall)]),
            ],
            remedy: devices.slice(0, MOST_COMMANDS).map((each) => `sysctl -w ${each.key}=1`),
            hurts: [
              ...decidedBy(
                chart,
                devices.map((each) => each.source),
              ),
              ...unanswered(
                chart,
                host,
                devices.map((each) => each.link),
              ),
            ],
            otherwise,
          },
        ];
  return [...one(ours, "warning"), ...one(others, "info")];
}

function nameList(all: readonly string[]): string {
  const shown = all.slice(0, 3).join(", ");
  return all.length > 3 ? `${shown} and ${all.length - 3} more` : shown;
}

function look(chart: Chart): Diagnosis {
  const unknown = chart.hosts.flatMap((host) => {
    const why = host.missing.get("sysctl");
    return why === undefined
      ? []
      : [{ id: "forwarding-off", at: host.place, why: `whether it forwards was not recorded: ${why}` }];
  });
  return {
    suspicions: chart.hosts.flatMap((host) => [
      ...whole(chart, host, 4),
      ...whole(chart, host, 6),
      ...single(chart, host),
    ]),
    unknown,
  };
}

export const forwardingOff: Check = { ids: ["forwarding-off"], depth: "machine", look };
