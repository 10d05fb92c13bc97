/**
 * Frames between two ports of a bridge do not meet iptables, because br_netfilter is off or not loaded: a client and its backend on one
 * bridge lose the answer, which goes straight from port to port with the backend's address and is never rewritten back
 * (br_nf_pre_routing, net/bridge/br_netfilter_hooks.c).
 */
import type { Link } from "../../model/link.ts";
import type { Namespace } from "../../model/namespace.ts";
import { sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, type Death } from "../deaths.ts";
import { usableEndpoints } from "../expect.ts";
import type { Evidence } from "../types.ts";

const keyOf = (v: 4 | 6): string => `net.bridge.bridge-nf-call-ip${v === 6 ? "6" : ""}tables`;

/** Whether a bridge's frames meet IP's rules: by the bridge's own setting or by the namespace's (brnf_call_iptables). */
function calls(host: Namespace, bridge: Link, v: 4 | 6): boolean {
  const { kind } = bridge;
  if (kind.kind !== "bridge") return true;
  return (v === 4 ? kind.nfCallIptables : kind.nfCallIp6tables) || sysctlNumber(host.sysctls, keyOf(v), 0) !== 0;
}

/** The bridges of a host that at least two pods hang on, and the places of these pods. */
function podBridges(chart: Chart, host: Namespace): { bridge: Link; pods: Set<string> }[] {
  const machine = chart.site.machines.find((each) => each.place === host.place);
  const byName = new Map(host.links.map((link) => [link.name, link]));
  const pods = new Map<string, Set<string>>();
  for (const { place, hostDevice } of machine?.sandboxes ?? []) {
    const master = byName.get(hostDevice?.name ?? "")?.master;
    if (master == null) continue;
    pods.set(master, (pods.get(master) ?? new Set()).add(place));
  }
  return [...pods].flatMap(([name, places]) => {
    const bridge = byName.get(name);
    return bridge?.kind.kind !== "bridge" || places.size < 2 ? [] : [{ bridge, pods: places }];
  });
}

/** Whether the answer went from port to port: nothing on the host but the bridge saw it, although the host had rewritten the request. */
function unseen(host: Namespace, death: Death): boolean {
  const rewritten = death.forward.some((step) => step.at === host.place && step.changed?.dst !== undefined);
  const answered = death.steps.filter((step) => step.direction === "reply");
  const onHost = answered.filter((step) => step.at === host.place);
  return (
    rewritten &&
    answered.length > 0 &&
    onHost.some((step) => step.kind === "bridge" || step.kind === "fdb") &&
    onHost.every((step) => step.kind === "bridge" || step.kind === "fdb" || step.kind === "link")
  );
}

function evidence(chart: Chart, host: Namespace, bridge: Link, v: 4 | 6): Evidence[] {
  const source = sysctlSource(host.sysctls, keyOf(v));
  return [
    source === null
      ? chart.evidence({ file: host.sysctls.file, line: 1 }, `${keyOf(v)} is not there: br_netfilter is not loaded`)
      : chart.evidence(source),
    chart.evidence(bridge.source, `${bridge.name}: nf_call_ip${v === 6 ? "6" : ""}tables 0`),
  ];
}

/** Whether some pod of the bridge asks, in the survey, a Service with a backend on the same bridge, and is answered all the same. */
function worksAnyway(chart: Chart, pods: ReadonlySet<string>, v: 4 | 6): boolean {
  return chart.survey.some(({ sender, target, failed }) => {
    if (!pods.has(sender.place) || target.aim.kind !== "service" || failed.length > 0) return false;
    if (target.address.includes(":") !== (v === 6) || target.aim.way !== "clusterIP") return false;
    return usableEndpoints(chart.dir, target.aim.service, target.aim.port, v).some((each) => {
      const place =
        each.pod === null ? undefined : chart.dir.pods.get(`${each.pod.namespace}/${each.pod.name}`)?.at?.place;
      return place !== undefined && place !== sender.place && pods.has(place);
    });
  });
}

function suspicion(chart: Chart, host: Namespace, v: 4 | 6): Suspicion[] {
  if (host.missing.has("sysctl") || host.missing.has("addr")) return [];
  return podBridges(chart, host).flatMap(({ bridge, pods }): Suspicion[] => {
    if (calls(host, bridge, v)) return [];
    const deaths = deathsOf(chart).filter(
      (death) =>
        pods.has(death.example.sender.place) &&
        death.example.target.address.includes(":") === (v === 6) &&
        unseen(host, death),
    );
    const serviced = chart.snapshot.cluster.services.some((service) =>
      service.clusterIPs.some((ip) => ip.includes(":") === (v === 6)),
    );
    return [
      {
        id: "bridge-netfilter-off",
        at: host.place,
        summary: `Frames between the ports of ${bridge.name} on ${host.node} do not meet ip${v === 6 ? "6" : ""}tables: a pod that reaches a backend on its own node through a Service gets answers from the backend's address, and takes none`,
        evidence: evidence(chart, host, bridge, v),
        remedy: ["modprobe br_netfilter", `sysctl -w ${keyOf(v)}=1`],
        hurts: hurtsOf(deaths),
        otherwise: serviced && !worksAnyway(chart, pods, v) ? "warning" : null,
      },
    ];
  });
}

export const bridgeNetfilterOff: Check = {
  ids: ["bridge-netfilter-off"],
  depth: "machine",
  look: (chart): Diagnosis => ({
    suspicions: chart.hosts.flatMap((host) => [...suspicion(chart, host, 4), ...suspicion(chart, host, 6)]),
  }),
};
