/** kubewalk.findings/v1 for people: the worst first, each with its evidence, who is hurt, and what mends it. */
import type { Affected, Finding, Findings, Severity } from "../../core/doctor/types.ts";
import { plural } from "./plural.ts";
import { formatSource } from "./source.ts";
import type { Style } from "./style.ts";

/** More lines of evidence, and more undecided things, than this are counted; `-o json` has all. */
const MOST = 6;

function severityText(severity: Severity, style: Style): string {
  switch (severity) {
    case "error":
      return style.bad("error");
    case "warning":
      return style.unsure("warning");
    case "info":
      return style.strong("info");
  }
}

function affectedText({ from, to, share, size }: Affected): string {
  const part =
    share === null ? "some connections" : String(share.num) === String(share.den) ? "" : `${share.num} of ${share.den}`;
  const notes = [part, size === undefined ? "" : `packets of ${size} bytes`].filter((note) => note !== "");
  return `${from} → ${to}${notes.length === 0 ? "" : ` (${notes.join(", ")})`}`;
}

function findingLines(finding: Finding, info: boolean, style: Style): string[] {
  const out = [`${severityText(finding.severity, style)} ${style.strong(finding.id)} at ${finding.at}`];
  out.push(`  ${finding.summary}.`);
  if (finding.hurt !== null) out.push(`  hurt: ${finding.hurt}`);
  if (info) for (const each of finding.affects) out.push(`    ${affectedText(each)}`);
  for (const { file, line, text } of finding.evidence.slice(0, MOST))
    out.push(`  ${style.quiet(`${formatSource({ file, line })}`)}  ${text.trim()}`);
  if (finding.evidence.length > MOST) out.push(`  … and ${plural(finding.evidence.length - MOST, "more line")}`);
  for (const command of finding.remedy)
    out.push(command.startsWith("#") ? `  ${command}` : `  ${style.change(`$ ${command}`)}`);
  for (const symptom of finding.symptoms)
    out.push(`  from it follows ${symptom.id} at ${symptom.at}: ${symptom.summary}`);
  return out;
}

/** All findings as lines; `info` also shows what is harmless, and everyone who is hurt. */
export function findingsLines({ findings, unknown }: Findings, info: boolean, style: Style): string[] {
  const shown = findings.filter((finding) => info || finding.severity !== "info");
  const count = (severity: Severity): number => findings.filter((finding) => finding.severity === severity).length;
  const out: string[] = [];
  for (const finding of shown) out.push(...findingLines(finding, info, style), "");
  if (unknown.length > 0) {
    out.push(style.unsure("could not be decided"));
    for (const { id, at, why } of unknown.slice(0, info ? unknown.length : MOST)) out.push(`  ${id} at ${at}: ${why}`);
    if (!info && unknown.length > MOST) out.push(`  … and ${unknown.length - MOST} more (--info shows all)`);
    out.push("");
  }
  const wrong = count("error") + count("warning");
  const harmless = count("info");
  const more = harmless === 0 || info ? "" : `; ${plural(harmless, "thing")} unusual and harmless (--info)`;
  out.push(
    wrong === 0
      ? `${style.good("nothing wrong found")}${more}`
      : `${plural(count("error"), "error")}, ${plural(count("warning"), "warning")}${more}`,
  );
  return out;
}
