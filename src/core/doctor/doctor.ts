/** Runs every check, says who is hurt, folds symptoms under their causes, and puts the worst first. */
import type { Snapshot } from "../model/snapshot.ts";
import { Chart, type Walked } from "./chart.ts";
import { DEPTHS, type Check, type Depth, type Hurt, type Suspicion } from "./check.ts";
import { hurtText } from "./hurt-text.ts";
import { CHECKS } from "./registry.ts";
import type { Affected, Finding, Findings, Severity, Undecided } from "./types.ts";

/** More walks that nothing explains than this are counted. */
const MOST_UNEXPLAINED = 20;

interface Suspected {
  suspicion: Suspicion;
  depth: Depth;
  severity: Severity;
}

const SEVERITIES: readonly Severity[] = ["error", "warning", "info"];

const walkKey = (hurt: Hurt): string => JSON.stringify(hurt.walked.question);

/** Whether every walk that `symptom` hurts is hurt by `cause`, which lies deeper. */
function follows(symptom: Suspected, cause: Suspected): boolean {
  if (DEPTHS.indexOf(cause.depth) >= DEPTHS.indexOf(symptom.depth)) return false;
  if (cause.suspicion.hurts.length === 0 || symptom.suspicion.hurts.length === 0) return false;
  // What is meant to be so is neither a cause of faults nor a symptom of one.
  if (cause.suspicion.intended === true || symptom.suspicion.intended === true) return false;
  const walks = new Set(cause.suspicion.hurts.map(walkKey));
  return symptom.suspicion.hurts.every((hurt) => walks.has(walkKey(hurt)));
}

function affects(chart: Chart, hurts: readonly Hurt[]): Affected[] {
  const seen = new Map<string, Affected>();
  for (const { walked, outcomes } of hurts) {
    const one = chart.affected(walked, outcomes);
    seen.set(JSON.stringify([one.from, one.proto, one.address, one.port, one.sourcePort, one.size]), one);
  }
  return [...seen.values()];
}

function finding(chart: Chart, each: Suspected, symptoms: readonly Suspected[]): Finding {
  const { id, at, summary, evidence, remedy, hurts } = each.suspicion;
  const hurt = affects(chart, hurts);
  return {
    id,
    severity: each.severity,
    at,
    summary,
    hurt: hurt.length === 0 ? null : hurtText(hurts),
    evidence,
    affects: hurt,
    remedy,
    symptoms: symptoms.map(({ suspicion }) => ({ id: suspicion.id, at: suspicion.at, summary: suspicion.summary })),
  };
}

function unexplained(failures: readonly Walked[], suspected: readonly Suspected[]): Undecided[] {
  const explained = new Set(suspected.flatMap(({ suspicion }) => suspicion.hurts.map(walkKey)));
  const rest = failures.filter((walked) => !explained.has(walkKey({ walked })));
  const said = rest.slice(0, MOST_UNEXPLAINED).map(({ sender, target, failed }): Undecided => {
    const because = failed[0]?.because;
    const where = because?.source === undefined ? "" : ` (${because.source.file}:${because.source.line})`;
    return {
      id: "walk",
      at: sender.place,
      why: `${target.proto} to ${target.to} fails and no check explains it: ${because?.text ?? ""}${where}`,
    };
  });
  if (rest.length > said.length)
    said.push({ id: "walk", at: "cluster", why: `and ${rest.length - said.length} more walks that no check explains` });
  return said;
}

/** How far the examination is: checks done of all that there are. */
export interface DoctorProgress {
  done: number;
  total: number;
  place: string;
}

export interface DoctorOptions {
  /** Checks to run; all when not given. */
  checks?: readonly Check[];
  /** Questions that the survey asks at most. */
  most?: number;
  onProgress?: (progress: DoctorProgress) => void;
}

/** Examines a snapshot. Throws IntentError when a network's configuration makes no sense. */
export function doctor(snapshot: Snapshot, options: DoctorOptions = {}): Findings {
  const chart = new Chart(snapshot, options.most);
  const checks = options.checks ?? CHECKS;
  const suspected: Suspected[] = [];
  const unknown: Undecided[] = [];
  checks.forEach((check, i) => {
    const { suspicions, unknown: more = [] } = check.look(chart);
    unknown.push(...more);
    for (const suspicion of suspicions) {
      const hurting = suspicion.intended === true ? (suspicion.otherwise ?? "info") : "error";
      const severity = suspicion.hurts.length > 0 ? hurting : suspicion.otherwise;
      if (severity !== null) suspected.push({ suspicion, depth: check.depth, severity });
    }
    options.onProgress?.({ done: i + 1, total: checks.length, place: check.ids[0] ?? "" });
  });
  const causes = suspected.filter((each) => !suspected.some((other) => other !== each && follows(each, other)));
  const findings = causes.map((cause) =>
    finding(
      chart,
      cause,
      suspected.filter((each) => !causes.includes(each) && follows(each, cause)),
    ),
  );
  const rank = (each: Finding): number => SEVERITIES.indexOf(each.severity);
  findings.sort((a, b) => rank(a) - rank(b) || b.affects.length - a.affects.length);
  return { findings, unknown: [...unknown, ...unexplained(chart.failures, suspected)] };
}
