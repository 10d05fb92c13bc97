/**
 * The table of connections is full: a packet that would begin one more is dropped ("nf_conntrack: table full, dropping packet") unless
 * an entry that was never answered can make room (net/netfilter/nf_conntrack_core.c, __nf_conntrack_alloc and early_drop).
 */
import type { Namespace } from "../../model/namespace.ts";
import { sysctlNumber, sysctlSource } from "../../model/sysctl.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { conntrackStat } from "../stats.ts";

const COUNT = "net.netfilter.nf_conntrack_count";
const MAX = "net.netfilter.nf_conntrack_max";
/** From this part of the maximum on it is worth a word. */
const NEARLY = 0.9;

/** Walks that a full table on `host` puts at risk: those that leave from the node. Which connections fail is a matter of the moment. */
function atRisk(chart: Chart, host: Namespace): Hurt[] {
  return chart.survey.flatMap((walked): Hurt[] => {
    if (walked.sender.node !== host.node || walked.answer.outcomes.some((each) => each.client !== "answered"))
      return [];
    return [{ walked, outcomes: walked.answer.outcomes.map((each) => ({ ...each, share: null })) }];
  });
}

function suspicion(chart: Chart, host: Namespace): Suspicion[] {
  const { sysctls } = host;
  const max = sysctlNumber(sysctls, MAX, 0);
  const count = sysctlNumber(sysctls, COUNT, host.conntrack.length);
  // Zero is no limit.
  if (max <= 0 || count < NEARLY * max) return [];
  const counters = ["drop", "early_drop"].flatMap((name) => {
    const counter = conntrackStat(chart.snapshot, host, name);
    return counter === null || counter.value === 0 ? [] : [{ name, ...counter }];
  });
  const full = count >= max;
  const lost = counters.map(({ name, value }) => `${name} ${value}`).join(", ");
  return [
    {
      id: "conntrack-full",
      at: host.place,
      summary: full
        ? `The conntrack table of ${host.node} is full (${count} of ${max}): new connections through the node are dropped${lost === "" ? "" : ` (${lost} so far)`}`
        : `The conntrack table of ${host.node} is nearly full (${count} of ${max}): new connections will be dropped when ${max - count} more are open${lost === "" ? "" : ` (${lost} so far)`}`,
      evidence: [COUNT, MAX]
        .map((key) => sysctlSource(sysctls, key))
        .flatMap((source) => (source === null ? [] : [chart.evidence(source)]))
        .concat(counters.map(({ source }) => chart.evidence(source))),
      remedy: [
        `sysctl -w ${MAX}=${2 * max}`,
        "# and the same in kube-proxy's conntrack.maxPerCore and min, which set it again",
      ],
      hurts: full ? atRisk(chart, host) : [],
      otherwise: "warning",
    },
  ];
}

export const conntrackFull: Check = {
  ids: ["conntrack-full"],
  depth: "traffic",
  look: (chart): Diagnosis => ({ suspicions: chart.hosts.flatMap((host) => suspicion(chart, host)) }),
};
