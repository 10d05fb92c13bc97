/**
 * Pods send packets that do not fit the way to other nodes, and are not told: a pod's device takes more bytes than the tunnel, the packets
 * carry Don't Fragment, and the ICMP "fragmentation needed" that would tell the sender is dropped (RFC 2923, section 2.1). Small packets
 * pass, so it looks like a hanging program. Where ICMP comes through, path MTU discovery (RFC 1191) helps itself.
 */
import type { Link } from "../../model/link.ts";
import type { Outcome } from "../../model/walk.ts";
import type { Chart, Walked } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import type { Sender } from "../target.ts";
import type { Evidence } from "../types.ts";

/** Pairs of nodes that are tried, and walks that are asked to see who is hurt, at most. */
const MOST_PAIRS = 400;
const MOST_WALKS = 600;

/** The device by which a pod reaches its gateway, and its MTU. */
function deviceOf(chart: Chart, sender: Sender): Link | null {
  const ns = chart.dir.places.get(sender.place);
  const dev = [...(ns?.routes4 ?? []), ...(ns?.routes6 ?? [])].find((route) => route.dst.len === 0)?.nexthops[0]?.dev;
  return ns?.links.find((link) => link.name === dev) ?? null;
}

/** Pods of one node with one MTU: what happens to one of them happens to all. */
interface Kind {
  node: string;
  mtu: number;
  senders: Sender[];
}

function kindsOf(chart: Chart): Kind[] {
  const found = new Map<string, Kind>();
  for (const { sender } of chart.survey) {
    if (sender.kind !== "pod") continue;
    const mtu = deviceOf(chart, sender)?.mtu;
    if (mtu === undefined) continue;
    const key = `${sender.node} ${mtu}`;
    const kind = found.get(key);
    if (kind === undefined) found.set(key, { node: sender.node, mtu, senders: [sender] });
    else if (!kind.senders.includes(sender)) kind.senders.push(sender);
  }
  return [...found.values()];
}

/** Outcomes of a large packet that is lost without a word, where a small one is answered. */
function lostSilently(walked: Walked): Outcome[] {
  return walked.failed.filter((each) => each.client === "timeout");
}

const passes = (walked: Walked): boolean =>
  walked.failed.length === 0 && walked.answer.outcomes.every((each) => each.client === "answered");

interface Lost {
  kind: Kind;
  example: Walked;
  outcome: Outcome;
}

/** For each kind of pod and each other node one walk with full packets, as far as there are not too many. */
function tried(chart: Chart): Lost[] {
  const kinds = kindsOf(chart);
  const bySender = new Map<Sender, Walked[]>();
  for (const walked of chart.survey) {
    const list = bySender.get(walked.sender);
    if (list === undefined) bySender.set(walked.sender, [walked]);
    else list.push(walked);
  }
  let left = MOST_PAIRS;
  return kinds.flatMap((kind): Lost[] => {
    const seen = new Set<string>();
    for (const walked of kind.senders.flatMap((sender) => bySender.get(sender) ?? [])) {
      const { target, sender } = walked;
      if (target.aim.kind !== "pod" || target.aim.pod.node === kind.node || target.proto === "tcp" || !passes(walked))
        continue;
      const key = `${target.aim.pod.node} ${target.address.includes(":") ? 6 : 4}`;
      if (seen.has(key) || left <= 0) continue;
      seen.add(key);
      left--;
      const full = chart.walked(sender, target, kind.mtu);
      const [outcome] = lostSilently(full);
      if (outcome !== undefined) return [{ kind, example: full, outcome }];
    }
    return [];
  });
}

/** Every walk of the survey by these pods whose small packets are answered and whose full ones are lost. */
function hurtBy(chart: Chart, { senders, mtu }: Kind): Hurt[] {
  const mine = new Set(senders);
  return chart.survey
    .filter((walked) => mine.has(walked.sender) && walked.expected.answer && passes(walked))
    .slice(0, MOST_WALKS)
    .flatMap((walked): Hurt[] => {
      const full = chart.walked(walked.sender, walked.target, mtu);
      const outcomes = lostSilently(full);
      return outcomes.length === 0
        ? []
        : [outcomes.length === full.failed.length ? { walked: full } : { walked: full, outcomes }];
    });
}

/** What keeps the sender from being told: the last rule that the ICMP error met, when that dropped it. */
function silencer(chart: Chart, example: Walked): Evidence[] {
  const steps = chart.failedWithSteps(example)[0]?.steps ?? [];
  const last = steps.findLast((step) => step.direction === "reply");
  return last?.source !== undefined && (last.verdict === "drop" || last.verdict === "reject")
    ? [chart.evidence(last.source)]
    : [];
}

function suspicion(chart: Chart, { kind, example, outcome }: Lost): Suspicion {
  const { node, mtu, senders } = kind;
  const device = deviceOf(chart, senders[0]!);
  const narrow = /do not fit (.+), whose MTU is (\d+)/.exec(outcome.because.text);
  const silent = silencer(chart, example);
  const right = narrow?.[2];
  const where = narrow === null ? outcome.because.text : `${narrow[1]} takes ${narrow[2]} bytes`;
  return {
    id: "mtu-too-large",
    at: `${node}/host`,
    summary: `${senders.length === 1 ? "A pod" : `${senders.length} pods`} of ${node} may send packets of ${mtu} bytes, and on the way to other nodes ${where}: large packets are lost${
      silent.length > 0
        ? ", because the ICMP message that would tell the sender is dropped"
        : " without a word to the sender"
    }`,
    evidence: [
      ...(device === null ? [] : [chart.evidence(device.source, `${senders[0]!.place} ${device.name}: mtu ${mtu}`)]),
      ...(outcome.because.source === undefined ? [] : [chart.evidence(outcome.because.source, outcome.because.text)]),
      ...silent,
    ],
    remedy: [
      ...(right === undefined
        ? []
        : [
            `# on ${node}, in the network namespace of each such pod (and "mtu": ${right} in /etc/cni/net.d for pods to come):`,
            `ip link set ${device?.name ?? "eth0"} mtu ${right}`,
          ]),
      `# on ${node}: let ICMP "fragmentation needed" (type 3 code 4; ICMPv6 type 2) pass`,
    ],
    hurts: hurtBy(chart, kind),
    otherwise: null,
  };
}

export const mtuTooLarge: Check = {
  ids: ["mtu-too-large"],
  depth: "overlay",
  look: (chart): Diagnosis => ({ suspicions: tried(chart).map((lost) => suspicion(chart, lost)) }),
};
