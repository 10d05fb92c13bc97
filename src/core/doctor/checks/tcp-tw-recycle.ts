/**
 * tcp_tw_recycle drops a SYN whose timestamp is older than the last one that came from the same address. Clients behind one address
 * (masqueraded pods, a load balancer, an ingress controller's node) have clocks of their own, and since Linux 4.10 (95a22caee396)
 * every connection has; the setting is gone since 4.12 (4396e46187ca). It does nothing without TCP timestamps.
 */
import type { Namespace } from "../../model/namespace.ts";
import { sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";

const RECYCLE = "net.ipv4.tcp_tw_recycle";
const TIMESTAMPS = "net.ipv4.tcp_timestamps";

const on = (ns: Namespace): boolean => sysctlNumber(ns.sysctls, RECYCLE, 0) !== 0;

/** Whether the node's kernel gives every connection a clock of its own; null when its version is not known. */
function randomOffsets(chart: Chart, node: string): boolean | null {
  const found = /^(\d+)\.(\d+)/.exec(chart.dir.nodes.get(node)?.kernelVersion ?? "");
  return found === null ? null : Number(found[1]) > 4 || (Number(found[1]) === 4 && Number(found[2]) >= 10);
}

function suspicion(chart: Chart, ns: Namespace, others: number): Suspicion {
  const active = sysctlNumber(ns.sysctls, TIMESTAMPS, 1) !== 0;
  const random = randomOffsets(chart, ns.node);
  const pods = others === 0 ? "" : ` and in ${others} of its pods`;
  const who =
    random === true
      ? "any client that connects again soon, its timestamps being random on this kernel"
      : "clients that share an address, such as pods behind a masquerading node";
  return {
    id: "tcp-tw-recycle",
    at: ns.place,
    summary: active
      ? `${RECYCLE} is on in ${ns.place}${pods}: it drops the SYNs of ${who}`
      : `${RECYCLE} is on in ${ns.place}${pods}, and has no effect while ${TIMESTAMPS} is off`,
    evidence: [RECYCLE, TIMESTAMPS]
      .map((key) => sysctlSource(ns.sysctls, key))
      .flatMap((source) => (source === null ? [] : [chart.evidence(source)])),
    remedy: [
      `sysctl -w ${RECYCLE}=0`,
      `grep -rl tcp_tw_recycle /etc/sysctl.conf /etc/sysctl.d   # and remove it there`,
    ],
    hurts: [],
    otherwise: active ? "warning" : "info",
  };
}

export const tcpTwRecycle: Check = {
  ids: ["tcp-tw-recycle"],
  depth: "machine",
  look(chart): Diagnosis {
    const places = chart.snapshot.namespaces.filter(on);
    const hosts = new Set(places.filter((ns) => ns.place.endsWith("/host")).map((ns) => ns.node));
    return {
      suspicions: places.flatMap((ns): Suspicion[] => {
        const host = ns.place.endsWith("/host");
        // A pod on a machine that has it as well is part of the machine's finding.
        if (!host && hosts.has(ns.node)) return [];
        const others = host ? places.filter((each) => each !== ns && each.node === ns.node).length : 0;
        return [suspicion(chart, ns, others)];
      }),
    };
  },
};
