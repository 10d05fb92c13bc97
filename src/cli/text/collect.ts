/** What was collected, as text and as data. */
import type { CollectedReport } from "../../core/model/collect.ts";
import type { Collected } from "../../host/collect/collect.ts";
import type { NodeResult } from "../../host/collect/gather.ts";

const size = (bytes: number): string =>
  bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

/** A clock that is off by less than this, in seconds, is right enough to compare logs by. */
const CLOCK_TOLERANCE = 0.5;

function remarks(node: NodeResult): string[] {
  const { clock, changed, podsNotFound } = node;
  const out: string[] = [];
  if (clock !== null && Math.abs(clock.ahead) > clock.error + CLOCK_TOLERANCE)
    out.push(`its clock is ${Math.abs(clock.ahead).toFixed(1)} s ${clock.ahead > 0 ? "ahead" : "behind"}`);
  if (changed.length > 0) out.push(`changed meanwhile: ${changed.join(", ")}`);
  if (podsNotFound.length > 0)
    out.push(
      `no namespace found of ${podsNotFound.slice(0, 3).join(", ")}${podsNotFound.length > 3 ? ` and ${podsNotFound.length - 3} more` : ""}`,
    );
  return out;
}

/** One node, for progress: `n1 1.2 s (1 of 3)`. */
export function nodeLine(node: NodeResult, done: number, total: number): string {
  const what =
    node.error ??
    `${node.files} files, ${size(node.bytes)}${node.seconds === null ? "" : `, ${node.seconds.toFixed(1)} s`}`;
  const name = node.name ?? node.label;
  const state = node.state === "whole" ? "" : node.state === "partial" ? "only in part: " : "failed: ";
  return `${name}: ${state}${what} (${done} of ${total})`;
}

/** The report for people. `seconds` is how long it all took. */
export function collectedLines(collected: Collected, archive: string, seconds: number): string[] {
  const { nodes, missing, removed } = collected;
  const whole = nodes.filter((node) => node.state === "whole").length;
  const out = [`${archive}: ${whole} of ${nodes.length} nodes in ${seconds.toFixed(1)} s`];
  for (const node of nodes) {
    const name = node.name ?? node.label;
    if (node.error !== null)
      out.push(`  ${name}: ${node.state === "partial" ? "only in part" : "nothing"}: ${node.error}`);
    for (const remark of remarks(node)) out.push(`  ${name}: ${remark}`);
  }
  for (const [resource, why] of missing) out.push(`  ${resource}: ${why}`);
  const secrets =
    nodes.reduce((sum, node) => sum + node.removed, 0) + [...removed.values()].reduce((sum, n) => sum + n, 0);
  if (secrets > 0)
    out.push(`  ${secrets} values that are or may be secrets were removed; collect.json of each node lists where`);
  return out;
}

/** The report as data (format kubewalk.collected/v1). */
export function reportOf(collected: Collected, archive: string, seconds: number): CollectedReport {
  return {
    format: "kubewalk.collected/v1",
    snapshot: archive,
    seconds: Math.round(seconds * 1000) / 1000,
    interrupted: collected.interrupted,
    nodes: collected.nodes.map((node) => ({
      node: node.name ?? node.label,
      state: node.state,
      error: node.error,
      startedAt: node.startedAt?.toISOString() ?? null,
      seconds: node.seconds,
      clock: node.clock,
      files: node.files,
      bytes: node.bytes,
      changed: node.changed,
      removed: node.removed,
      podsNotFound: node.podsNotFound,
    })),
    missing: Object.fromEntries(collected.missing),
    removed: Object.fromEntries(collected.removed),
  };
}
