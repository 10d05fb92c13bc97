/**
 * Requests pass and their answers do not: a filter that looks at addresses alone lets one direction through. A filter that looks at
 * connections (ctstate RELATED,ESTABLISHED) would know the answer.
 */
import type { Step } from "../../model/walk.ts";
import type { Chart } from "../chart.ts";
import type { Check, Diagnosis, Suspicion } from "../check.ts";
import { deathsOf, hurtsOf, sourceKey, type Death } from "../deaths.ts";
import { fatalRule, isReversePath } from "../rule-owner.ts";
import { isHiddenLegacy, removal } from "../rule-remedy.ts";

/** What let the request through at the same place: the last rule of the same kind of chain that accepted it. */
function letThrough(death: Death, fatal: Step): Step | undefined {
  return death.forward.findLast(
    (step) =>
      step.at === fatal.at &&
      step.layer === 0 &&
      step.kind === "rule" &&
      step.verdict === "accept" &&
      step.table === fatal.table,
  );
}

function look(chart: Chart): Diagnosis {
  const found = new Map<string, { step: Step; deaths: Death[] }>();
  const others = new Set<string>();
  for (const death of deathsOf(chart)) {
    const step = fatalRule(death);
    if (step?.source === undefined || step.layer > 0 || isReversePath(death)) continue;
    // A rule that asks for connections knows answers; what it drops belongs to none that went this way.
    if (/ctstate|\bct state\b/.test(step.text)) continue;
    const key = sourceKey(step.source);
    if (death.direction === "forward") others.add(key);
    const before = found.get(key);
    if (before === undefined) found.set(key, { step, deaths: [death] });
    else before.deaths.push(death);
  }
  const suspicions = [...found].flatMap(([key, { step, deaths }]): Suspicion[] => {
    // A rule of which requests die as well is no matter of direction.
    if (others.has(key) || step.source === undefined || isHiddenLegacy(chart, step.at, step.source)) return [];
    const accepted = letThrough(deaths[0]!, step);
    const node = step.at.split("/")[0]!;
    const text = step.kind === "policy" ? `the policy of ${step.chain} is drop` : step.text;
    return [
      {
        id: "one-way-policy",
        at: step.at,
        summary: `${node} lets requests through and ${step.verdict === "reject" ? "rejects" : "drops"} their answers: ${text}`,
        evidence: [
          chart.evidence(step.source),
          ...(accepted?.source === undefined ? [] : [chart.evidence(accepted.source)]),
        ],
        remedy: [
          "# let answers pass before this rule, as part of the connections that were let through:",
          ...established(step),
          "# or take the rule away:",
          ...removal(chart, step, step.source),
        ],
        hurts: hurtsOf(deaths),
        otherwise: null,
      },
    ];
  });
  return { suspicions };
}

/** The rule that would know answers. */
function established(step: Step): string[] {
  const { chain = "", table = "", family = "" } = step;
  const tool = /\/(ip6?tables(?:-legacy)?)-save\.txt$/.exec(step.source?.file ?? "")?.[1];
  if (tool === undefined) return [`nft insert rule ${family} ${table} ${chain} ct state established,related accept`];
  // Connections are not known in raw.
  if (table === "raw") return [];
  return [`${tool} -t ${table} -I ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`];
}

export const oneWayPolicy: Check = { ids: ["one-way-policy"], depth: "rules", look };
