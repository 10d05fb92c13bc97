/** Which steps of a path a reader wants by default, and which are folded into a count. */
import type { Outcome, Step } from "../../core/model/walk.ts";
import { changesText, type Changes } from "./flow.ts";
import { plural } from "./plural.ts";

/** What a path shows in one place: a step, or how many were folded there. */
export type Shown = { step: Step; index: number } | { folded: readonly Step[] };

const FINAL = new Set(["drop", "reject", "stolen", "queue"]);

/**
 * Whether a step is the decision that settled an outcome. A file of JSON is one long line, which many steps name, so there
 * the words must agree too.
 */
export function decides(step: Step, because: Outcome["because"]): boolean {
  const [a, b] = [step.source, because.source];
  if (a === undefined || b === undefined || a.file !== b.file || a.line !== b.line) return false;
  return !a.file.endsWith(".json") || because.text.includes(step.text) || step.text.includes(because.text);
}

const isRule = (step: Step): boolean => step.kind === "rule" || step.kind === "policy";

/** Lookups that every packet makes say nothing; one that names another table does. */
const USUAL_LOOKUP = /\b(?:lookup|table)\s+(?:local|main|default|25[345])\b/;

/** Whether a step matters by itself. `changes` is its rewriting in words. */
function matters(step: Step, changes: string, because: Outcome["because"]): boolean {
  if (decides(step, because) || changes !== "") return true;
  switch (step.kind) {
    case "rule":
    case "policy":
      return step.verdict !== undefined && FINAL.has(step.verdict);
    case "sysctl":
      return step.verdict !== undefined && FINAL.has(step.verdict);
    case "rule-lookup":
      return !USUAL_LOOKUP.test(step.text);
    case "route":
    case "neighbour":
    case "fdb":
    case "bridge":
    case "tunnel":
    case "link":
    case "conntrack":
    case "socket":
    case "fabric":
    case "program":
      return true;
  }
}

/** The chain that a verdict leads to; null when it leads nowhere. */
function targetOf(step: Step): string | null {
  const found = /^(?:jump|goto) (.+)$/.exec(step.verdict ?? "");
  return found === null ? null : found[1]!;
}

/**
 * The steps to show: those that matter, and the jumps that led to them; the rest folded. Steps must be those of one
 * direction at one place. `changes` holds each step's rewriting in words, by index from `offset` on.
 */
export function foldSteps(
  steps: readonly Step[],
  changes: readonly Changes[],
  offset: number,
  because: Outcome["because"],
): Shown[] {
  const keep = new Set<number>();
  let jumps: { index: number; table: string; target: string }[] = [];
  steps.forEach((step, i) => {
    if (step.kind === "rule") {
      const table = `${step.layer} ${step.family} ${step.table}`;
      // A chain that is not the innermost jump's target was returned to, or is a base chain of its own.
      while (jumps.length > 0 && (jumps.at(-1)!.target !== step.chain || jumps.at(-1)!.table !== table)) jumps.pop();
      if (matters(step, changesText(changes[offset + i]), because)) {
        for (const j of jumps) keep.add(j.index);
        keep.add(i);
      }
      const target = targetOf(step);
      if (target !== null) jumps.push({ index: i, table, target });
      return;
    }
    if (!isRule(step)) jumps = [];
    if (matters(step, changesText(changes[offset + i]), because)) keep.add(i);
  });

  const out: Shown[] = [];
  let run: Step[] = [];
  const flush = (): void => {
    if (run.length > 0) out.push({ folded: run });
    run = [];
  };
  steps.forEach((step, i) => {
    if (keep.has(i)) {
      flush();
      out.push({ step, index: offset + i });
    } else run.push(step);
  });
  flush();
  return out;
}

/** `12 rules: no effect`, or `let it pass` where one of them accepted; settings and policy lookups count as checks. */
export function foldedText(steps: readonly Step[]): string {
  const rules = steps.filter((s) => s.kind === "rule").length;
  const policies = steps.filter((s) => s.kind === "policy").length;
  const checks = steps.length - rules - policies;
  const parts: string[] = [];
  if (rules > 0) parts.push(plural(rules, "rule"));
  if (policies > 0) parts.push(plural(policies, "policy", "policies"));
  if (checks > 0) parts.push(plural(checks, "check"));
  const accepted = steps.some((s) => s.verdict === "accept");
  return `${parts.join(", ")}: ${accepted ? "let it pass" : "no effect"}`;
}
