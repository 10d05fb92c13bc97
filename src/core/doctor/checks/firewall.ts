/**
 * A firewall of the host drops what the cluster sends: forwarded packets of pods (forward-dropped: a rule, or the policy DROP that Docker
 * gives FORWARD when it turns forwarding on, moby iptablesdoc), or the packets that carry a tunnel and the sessions of BGP
 * (tunnel-filtered: INPUT without UDP 8472 or 4789, protocol 4, TCP 179).
 */
import type { Source } from "../../model/source.ts";
import type { Step } from "../../model/walk.ts";
import { bgpWalks } from "../bgp-walks.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Hurt, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, sourceKey, type Death } from "../deaths.ts";
import { fatalRule, isOfCluster, isReversePath } from "../rule-owner.ts";
import { isHiddenLegacy, removal } from "../rule-remedy.ts";

interface Fatal {
  step: Step;
  source: Source;
  deaths: Death[];
}

/** Deaths by the rule that they are of, those by a check of the way back and by rules of the other iptables backend left out. */
function byRule(chart: Chart, wanted: (step: Step) => boolean): Fatal[] {
  const found = new Map<string, Fatal>();
  for (const death of deathsOf(chart)) {
    const step = fatalRule(death);
    if (step?.source === undefined || !wanted(step) || isReversePath(death)) continue;
    if (isHiddenLegacy(chart, step.at, step.source)) continue;
    const key = sourceKey(step.source);
    const fatal = found.get(key);
    if (fatal === undefined) found.set(key, { step, source: step.source, deaths: [death] });
    else fatal.deaths.push(death);
  }
  return [...found.values()];
}

/** Whether the cluster itself is hurt: who only keeps hosts outside out, or nodes from being pinged, may mean to. */
function isHarmful(hurts: readonly Hurt[]): boolean {
  return hurts.some(
    ({ walked: { sender, target } }) =>
      sender.kind !== "outside" &&
      (target.aim.kind === "pod" || target.aim.kind === "service" || target.aim.kind === "hostPort"),
  );
}

const isPolicy = (step: Step): boolean => step.kind === "policy";

const ruleText = (step: Step): string =>
  isPolicy(step) ? `the policy of ${step.chain} is drop, and no rule takes them before` : step.text;

function forwardFinding(chart: Chart, { step, source, deaths }: Fatal): Suspicion[] {
  // What dies on its way back alone is let through in one direction: a fault of its own.
  if (deaths.every((death) => death.direction === "reply")) return [];
  const hurts = hurtsOf(deaths);
  if (!isHarmful(hurts)) return [];
  const node = step.at.split("/")[0]!;
  return [
    {
      id: "forward-dropped",
      at: step.at,
      summary: `A firewall on ${node} ${step.verdict === "reject" ? "rejects" : "drops"} packets of the cluster: ${ruleText(step)}`,
      evidence: [chart.evidence(source)],
      remedy: [
        `# on ${node}; then in the firewall's own configuration, which would bring it back`,
        ...removal(chart, step, source),
      ],
      hurts,
      otherwise: null,
    },
  ];
}

/** What the carrier is: `VXLAN (UDP 8472)`, `IPIP (protocol 4)`. */
function carrier(chart: Chart, death: Death): string {
  const step = death.path.findLast((each) => each.kind === "tunnel" && each.layer > 0);
  const name = step === undefined ? undefined : /^(\S+): /.exec(step.text)?.[1];
  const kind = chart.dir.places.get(step?.at ?? "")?.links.find((link) => link.name === name)?.kind;
  if (kind?.kind === "vxlan") return `VXLAN (UDP ${kind.port})`;
  if (kind?.kind === "ipip") return "IPIP (protocol 4)";
  return kind === undefined ? "the tunnel" : kind.kind;
}

function tunnelFinding(chart: Chart, { step, source, deaths }: Fatal): Suspicion {
  const node = step.at.split("/")[0]!;
  const carriers = [...new Set(deaths.map((death) => carrier(chart, death)))];
  return {
    id: "tunnel-filtered",
    at: step.at,
    summary: `A firewall on ${node} ${step.verdict === "reject" ? "rejects" : "drops"} the packets that carry the pods' traffic between nodes, ${carriers.join(" and ")}: ${ruleText(step)}`,
    evidence: [chart.evidence(source)],
    remedy: [
      `# on ${node}; then in the firewall's own configuration, which would bring it back`,
      ...removal(chart, step, source),
    ],
    hurts: hurtsOf(deaths),
    otherwise: null,
  };
}

/** Sessions of BGP that no side can open. */
function bgpFiltered(chart: Chart): Suspicion[] {
  return bgpWalks(chart).flatMap(({ walked, back }): Suspicion[] => {
    if (walked.failed.length === 0 || back.failed.length === 0) return [];
    const [outcome] = chart.failedWithSteps(walked);
    const step = outcome?.steps.findLast(
      (each) =>
        (each.kind === "rule" || each.kind === "policy") &&
        each.source !== undefined &&
        outcome.because.source !== undefined &&
        sourceKey(each.source) === sourceKey(outcome.because.source),
    );
    if (step?.source === undefined) return [];
    const node = step.at.split("/")[0]!;
    return [
      {
        id: "tunnel-filtered",
        at: step.at,
        summary: `A firewall on ${node} ${step.verdict === "reject" ? "rejects" : "drops"} BGP (TCP 179) between ${walked.sender.node} and ${back.sender.node}, which then tell each other no routes: ${ruleText(step)}`,
        evidence: [chart.evidence(step.source)],
        remedy: [
          `# on ${node}; then in the firewall's own configuration, which would bring it back`,
          ...removal(chart, step, step.source),
        ],
        hurts: [{ walked }, { walked: back }],
        otherwise: null,
      },
    ];
  });
}

/** One finding for each rule, whatever was found by it. */
function merged(suspicions: readonly Suspicion[]): Suspicion[] {
  const found = new Map<string, Suspicion>();
  for (const each of suspicions) {
    const key = `${each.at} ${each.evidence[0]?.file}:${each.evidence[0]?.line}`;
    const before = found.get(key);
    found.set(key, before === undefined ? each : { ...before, hurts: [...before.hurts, ...each.hurts] });
  }
  return [...found.values()];
}

export const forwardDropped: Check = {
  ids: ["forward-dropped"],
  depth: "rules",
  look: (chart): Diagnosis => ({
    suspicions: byRule(chart, (step) => step.layer === 0 && !isOfCluster(step)).flatMap((fatal) =>
      forwardFinding(chart, fatal),
    ),
  }),
};

export const tunnelFiltered: Check = {
  ids: ["tunnel-filtered"],
  depth: "rules",
  look: (chart): Diagnosis => ({
    suspicions: merged([
      ...byRule(chart, (step) => step.layer > 0).map((fatal) => tunnelFinding(chart, fatal)),
      ...bgpFiltered(chart),
    ]),
  }),
};
