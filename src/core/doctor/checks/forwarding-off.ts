/**
 * Forwarding is off on one interface although it is on for the machine: setting net.ipv4.ip_forward changes every interface once, and
 * whoever restarts an interface (systemd-networkd) may set it back. Of the interface by which a packet comes in, ip_forward() asks
 * IN_DEV_FORWARD (net/ipv4/route.c, ip_route_input_slow).
 */
import type { Namespace } from "../../model/namespace.ts";
import { sysctlConf, sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { decidedBy } from "../decided.ts";

function suspicions(chart: Chart, host: Namespace, family: "ipv4" | "ipv6"): Suspicion[] {
  const { sysctls } = host;
  const overall = family === "ipv4" ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  if (sysctlNumber(sysctls, overall, 0) === 0) return [];
  return host.links.flatMap((link): Suspicion[] => {
    if (link.kind.kind === "loopback" || !link.up) return [];
    const key = sysctlConf(family, link.name, "forwarding");
    const source = sysctlSource(sysctls, key);
    if (source === null || sysctlNumber(sysctls, key, 1) !== 0) return [];
    return [
      {
        id: "forwarding-off",
        at: host.place,
        summary: `${host.node} does not forward ${family === "ipv4" ? "IPv4" : "IPv6"} packets that come in by ${link.name}, although ${overall} is on`,
        evidence: [
          chart.evidence(source),
          ...[sysctlSource(sysctls, overall)].flatMap((each) => (each === null ? [] : [chart.evidence(each)])),
        ],
        remedy: [`sysctl -w ${key}=1`],
        hurts: decidedBy(chart, [source]),
        otherwise: family === "ipv4" ? "warning" : "info",
      },
    ];
  });
}

export const forwardingOff: Check = {
  ids: ["forwarding-off"],
  depth: "machine",
  look: (chart): Diagnosis => ({
    suspicions: chart.hosts.flatMap((host) => [...suspicions(chart, host, "ipv4"), ...suspicions(chart, host, "ipv6")]),
  }),
};
