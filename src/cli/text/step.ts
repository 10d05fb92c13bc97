/** One step of a path: a label, what happened, and the line that decided. */
import { formatSource } from "./source.ts";
import type { Step } from "../../core/model/walk.ts";
import { clip, pad, widthOf } from "./width.ts";
import type { Style } from "./style.ts";

/** How wide the text may be, and in which colours. */
export interface Layout {
  /** Columns; Infinity where nothing limits them (a file, a pipe). */
  width: number;
  style: Style;
}

/** A step's cells before they are laid out. */
export interface StepCells {
  label: string;
  summary: string;
  source: string;
  /** The deciding line itself; empty where the summary says it. */
  evidence: string;
  layer: number;
  tone: "good" | "bad" | "change" | "plain" | "quiet";
}

/** Cells of `label` and `summary` do not grow beyond these columns for the sake of the others. */
const WIDEST_LABEL = 34;
const WIDEST_SUMMARY = 52;
/** From this width on a rule's text stands on the same line as what it did. */
const ONE_LINE = 150;

function labelOf(step: Step): string {
  if (step.kind !== "rule" && step.kind !== "policy") return step.kind;
  const family = step.family === undefined || step.family === "ip" || step.family === "ip6" ? "" : `${step.family} `;
  return `${family}${step.table ?? ""} ${step.chain ?? ""}`.trim();
}

function verdictText(step: Step): string {
  const verdict = step.verdict ?? "";
  const jump = /^jump (.+)$/.exec(verdict);
  if (jump !== null) return `→ ${jump[1]}`;
  return step.kind === "policy" ? `policy ${verdict}` : verdict;
}

/** The cells of a step. `changes` is its rewriting in words, `decides` whether it settled the outcome. */
export function stepCells(step: Step, changes: string, decides: boolean, failed: boolean): StepCells {
  const label = labelOf(step);
  const rule = step.kind === "rule";
  const own = rule || step.kind === "policy" ? verdictText(step) : step.text.replace(new RegExp(`^${step.kind}: `), "");
  const fatal = step.verdict === "drop" || step.verdict === "reject";
  const summary = changes === "" ? own : rule ? changes : `${own}: ${changes}`;
  const tone = fatal || (decides && failed) ? "bad" : changes !== "" ? "change" : decides ? "good" : "plain";
  return {
    label,
    summary,
    source: formatSource(step.source),
    evidence: rule ? step.text : "",
    layer: step.layer,
    tone,
  };
}

/** A line in the place of folded steps. */
export function foldedCells(text: string, layer: number): StepCells {
  return { label: "·", summary: text, source: "", evidence: "", layer, tone: "quiet" };
}

/**
 * A rule cut to `columns`. Before anything is lost the chain goes, which the label names, and the comment moves to the end
 * in the form of `iptables -L`.
 */
export function clipRule(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  const comments: string[] = [];
  const rest = text
    .replace(/^-A \S+ /, "")
    .replaceAll(/-m comment --comment (?:"((?:[^"\\]|\\.)*)"|(\S+)) ?/g, (_, quoted?: string, word?: string) => {
      comments.push(quoted ?? word ?? "");
      return "";
    })
    .trimEnd();
  return clip([rest, ...comments.map((c) => `/* ${c} */`)].join(" "), columns);
}

function paint(text: string, tone: StepCells["tone"], style: Style): string {
  switch (tone) {
    case "good":
      return style.good(text);
    case "bad":
      return style.bad(text);
    case "change":
      return style.change(text);
    case "quiet":
      return style.quiet(text);
    case "plain":
      return text;
  }
}

/** The widest of the cells that are no wider than `most`. */
function columnWidth(cells: readonly string[], most: number): number {
  return Math.max(0, ...cells.map((c) => widthOf(c)).filter((w) => w <= most));
}

/** Lays steps out under one another; each line begins with `indent`, layers of tunnels with a bar each. */
export function layoutSteps(rows: readonly StepCells[], indent: string, layout: Layout): string[] {
  const { width, style } = layout;
  const told = rows.filter((r) => r.tone !== "quiet");
  const labels = columnWidth(
    told.map((r) => "│ ".repeat(r.layer) + r.label),
    WIDEST_LABEL,
  );
  const summaries = columnWidth(
    told.map((r) => r.summary),
    WIDEST_SUMMARY,
  );
  const sources = columnWidth(
    told.map((r) => r.source),
    80,
  );
  const out: string[] = [];
  for (const row of rows) {
    const label = "│ ".repeat(row.layer) + row.label;
    if (row.tone === "quiet") {
      out.push(indent + style.quiet(`${label} ${row.summary}`));
      continue;
    }
    const head = `${indent}${pad(label, labels)}  `;
    const room = width - widthOf(head);
    const summary = clip(row.summary, Math.max(20, room));
    if (row.source === "") {
      out.push(head + paint(summary, row.tone, style));
      continue;
    }
    const roomAfter = (left: string): number => width - widthOf(head) - widthOf(left) - 2;
    if (row.evidence === "" || width >= ONE_LINE) {
      const aligned = pad(summary, summaries);
      // Out of line is better than on a line of its own.
      const left = roomAfter(aligned) >= widthOf(row.source) ? aligned : summary;
      const rule = row.evidence === "" ? "" : `  ${clipRule(row.evidence, roomAfter(left) - sources - 2)}`;
      if (roomAfter(left) >= widthOf(row.source)) {
        const source = rule === "" ? row.source : pad(row.source, sources);
        out.push(`${head}${paint(left, row.tone, style)}  ${style.quiet(source + rule)}`.trimEnd());
        continue;
      }
    }
    const under = `${indent}${"│ ".repeat(row.layer)}    `;
    out.push(head + paint(summary, row.tone, style));
    const rule =
      row.evidence === "" ? "" : `  ${clipRule(row.evidence, width - widthOf(under) - widthOf(row.source) - 2)}`;
    out.push(under + style.quiet(row.source + rule));
  }
  return out;
}
