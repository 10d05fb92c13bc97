/** Disagreements put together by cause, for people who mend them. */
import type { Disagreement } from "./disagreement.ts";
import type { Recording } from "./recording.ts";
import type { Verdict } from "./judge.ts";

const SAMPLES = 2;

/** Names that differ from case to case, made alike. */
const blurred = (s: string): string =>
  s
    .replace(/\d+\/\d+ (?=[a-z])/g, "")
    .replace(/\d+× /g, "")
    .replace(/[0-9a-f]*:[0-9a-f:]*:[0-9a-f]*|\d+\.\d+\.\d+\.\d+/g, "IP")
    .replace(/\bn\d+\b/g, "nX")
    .replace(/\/pod\/\S+/g, "/pod")
    .replace(/\b(web|client|edge)-[\w-]+\b/g, "$1")
    .replace(/KUBE-(SVC|SEP|SVL|EXT|FW)-\w+/g, "KUBE-$1")
    .replace(/cali-\w+-[\w-]+/g, "cali-…")
    .replace(/:\d+/g, ":#")
    .replace(/\d{2,}/g, "#");

const fromKind = (from: string): string => (from.startsWith("outside/") ? "outside" : from.split("/")[1]!);

/** What a disagreement is probably caused by: the same kind of asker and destination, seen and said alike. */
function causeOf(d: Disagreement, recording: Recording): string {
  const what = (s: string): string => [...new Set(blurred(s).split(" | "))].toSorted().join(" | ").slice(0, 160);
  if (d.kind === "source")
    return `source: ${blurred(d.note ?? "")} (${d.seen.split("/").pop()!.split(":")[0]}, ${d.said.split(":")[0]})`;
  if (d.question === null || d.kind === "shares") return `${d.kind}: seen ${d.seen}, said ${d.said}`;
  if (d.kind === "rules" || d.kind === "order") return `${d.kind}: kernel ${blurred(d.seen)}; walk ${blurred(d.said)}`;
  const { from, proto, to, port } = d.question;
  return `${d.kind}: ${fromKind(from)} → ${recording.kindOf(to, port!)} ${proto}: seen ${what(d.seen)}; said ${what(d.said)}`;
}

function describe(d: Disagreement): string {
  const q = d.question;
  const asked =
    q === null
      ? ""
      : `    ${q.from} ${q.proto} ${q.to} ${q.port}${q.sourcePort === undefined ? "" : ` from port ${q.sourcePort}`}\n`;
  return `${asked}      seen ${d.seen}\n      said ${d.said}${d.note === undefined ? "" : `\n      (${d.note})`}`;
}

/** Text for a terminal: one block for each cause, the most frequent first, at most `max` of them. */
export function report(recording: Recording, verdict: Verdict, max: number): string {
  const causes = new Map<string, Disagreement[]>();
  for (const d of verdict.disagreements) {
    const cause = causeOf(d, recording);
    const list = causes.get(cause);
    if (list === undefined) causes.set(cause, [d]);
    else list.push(d);
  }
  const blocks = [...causes].toSorted((a, b) => b[1].length - a[1].length);
  const lines = blocks
    .slice(0, max)
    .map(
      ([cause, ds]) => `${String(ds.length).padStart(5)}× ${cause}\n${ds.slice(0, SAMPLES).map(describe).join("\n")}`,
    );
  if (blocks.length > max) lines.push(`  … and ${blocks.length - max} more causes`);
  const { probes, traces } = verdict;
  const bad = new Set(verdict.probes.disagreements.map((d) => d.question)).size;
  lines.push(
    `${recording.dir}: probes ${probes.probes - bad} of ${probes.probes} agree (${probes.inconclusive} inconclusive, ${probes.random} left to chance, z ${probes.z.toFixed(2)}); ` +
      `traces ${traces.agreed} of ${traces.traces} agree (${traces.events} rules, ${traces.entries} entries, ${traces.skipped.length} passages not compared); ` +
      `${verdict.citations} citations; ${verdict.disagreements.length} disagreements of ${causes.size} causes`,
  );
  return lines.join("\n");
}
