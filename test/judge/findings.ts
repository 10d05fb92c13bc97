/** Holds what the doctor says against what happened in a real cluster. */
import { Chart } from "../../src/core/doctor/chart.ts";
import { doctor } from "../../src/core/doctor/doctor.ts";
import type { Affected, Finding, Findings } from "../../src/core/doctor/types.ts";
import type { Snapshot } from "../../src/core/model/snapshot.ts";
import { isProbe, type Probe, type Truth } from "./truth.ts";

/**
 * What is true of the workload that every recorded cluster runs, healthy or not: Service shop/nobody selects nothing, and
 * shop/web-local keeps its traffic on a node that has its only endpoint.
 */
const TRUE_OF_ALL = /shop\/(nobody|web-local)\b/;

const isTrueOfAll = (finding: Finding): boolean => finding.id === "no-endpoint" && TRUE_OF_ALL.test(finding.summary);

const probeKey = (each: { from: string; proto: string; to: string; port: number }): string =>
  `${each.from} ${each.proto} ${each.to} ${each.port}`;

const affectedKey = (each: Affected): string => `${each.from} ${each.proto} ${each.address} ${each.port ?? ""}`;

/** Who is hurt by what, against the probes of the same cluster. Returns what disagrees, a line each. */
function againstTruth(snapshot: Snapshot, findings: Findings, truth: Truth): string[] {
  const probes = new Map(truth.probes.filter(isProbe).map((probe) => [probeKey(probe), probe]));
  const said = new Map<string, { affected: Affected; finding: Finding }>();
  for (const finding of findings.findings)
    for (const affected of finding.affects)
      if (affected.size === undefined) said.set(affectedKey(affected), { affected, finding });
  const wrong: string[] = [];
  const fails = (probe: Probe): boolean => (probe.outcomes["delivered"] ?? 0) === 0;
  const works = (probe: Probe): boolean => Object.keys(probe.outcomes).every((each) => each === "delivered");
  for (const walked of new Chart(snapshot).survey) {
    if (!walked.expected.answer || walked.answer.verdict === "inconclusive") continue;
    const { proto, to, port } = walked.question;
    const key = `${walked.sender.place} ${proto} ${to} ${port ?? ""}`;
    const probe = probes.get(key);
    if (probe !== undefined && fails(probe) && !said.has(key)) wrong.push(`${key} fails, and no finding says so`);
  }
  for (const [key, { affected, finding }] of said) {
    const probe = probes.get(key);
    const whole = affected.share !== null && String(affected.share.num) === String(affected.share.den);
    if (probe !== undefined && whole && works(probe)) wrong.push(`${key} works, but ${finding.id} says that it fails`);
  }
  return wrong;
}

/** Whether everything that `finding` says follows from `cause`. */
function follows(finding: Finding, cause: Finding): boolean {
  const hurt = new Set(cause.affects.map(affectedKey));
  return finding.affects.length > 0 && finding.affects.every((each) => hurt.has(affectedKey(each)));
}

/**
 * Examines a recording. `fault`: the id of what is wrong with it, null for a healthy cluster. Returns what is wrong with the findings,
 * a line each; empty when all is as it should be.
 */
export function judgeFindings(snapshot: Snapshot, fault: string | null, truth: Truth | null): string[] {
  const findings = doctor(snapshot);
  const serious = findings.findings.filter((each) => each.severity !== "info" && !isTrueOfAll(each));
  const causes = serious.filter((each) => each.id === fault);
  const wrong: string[] = [];
  // A fault that hurts nobody here may be an info.
  if (fault !== null && !findings.findings.some((each) => each.id === fault)) wrong.push(`${fault} is not found`);
  for (const each of serious) {
    if (causes.includes(each) || causes.some((cause) => follows(each, cause))) continue;
    wrong.push(`${each.severity} ${each.id} at ${each.at}: ${each.summary} (${each.hurt ?? "nobody hurt"})`);
  }
  for (const each of findings.unknown) if (each.id === "walk") wrong.push(`unexplained at ${each.at}: ${each.why}`);
  if (truth !== null) wrong.push(...againstTruth(snapshot, findings, truth));
  for (const each of findings.findings) {
    for (const { file, line, text } of each.evidence) {
      if (snapshot.text(file) === undefined) wrong.push(`${each.id}: evidence ${file}:${line} (${text}) is no file`);
    }
    if (each.severity !== "info" && each.remedy.length === 0) wrong.push(`${each.id} at ${each.at} has no remedy`);
  }
  return wrong;
}
