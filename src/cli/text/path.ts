/** The path of one outcome: hop by hop there, and shorter back. */
import type { Answer, Outcome, Step } from "../../core/model/walk.ts";
import { changesOf, changesText, type Changes } from "./flow.ts";
import { decides, foldedText, foldSteps } from "./fold.ts";
import { foldedCells, layoutSteps, stepCells, type Layout, type StepCells } from "./step.ts";
import { wrapWords } from "./width.ts";

/** What a path is told with. */
export interface PathOptions extends Layout {
  /** Every step, nothing folded. */
  all: boolean;
  /** The sending socket's mark. */
  mark: number;
}

/** Steps of one stay in a namespace. */
interface Hop {
  at: string;
  direction: Step["direction"];
  steps: Step[];
  /** Index of the first step among all. */
  offset: number;
}

/** Cuts a list of steps where the place or the direction changes. */
export function hopsOf(steps: readonly Step[], from = 0): Hop[] {
  const hops: Hop[] = [];
  steps.forEach((step, i) => {
    if (i < from) return;
    const last = hops.at(-1);
    if (last !== undefined && last.at === step.at && last.direction === step.direction) last.steps.push(step);
    else hops.push({ at: step.at, direction: step.direction, steps: [step], offset: i });
  });
  return hops;
}

function hopLines(hop: Hop, outcome: Outcome, changes: readonly Changes[], options: PathOptions): string[] {
  const failed = outcome.client !== "answered";
  const cellsOf = (step: Step, index: number): StepCells =>
    stepCells(step, changesText(changes[index]), decides(step, outcome.because), failed);
  const rows = options.all
    ? hop.steps.map((step, i) => cellsOf(step, hop.offset + i))
    : foldSteps(hop.steps, changes, hop.offset, outcome.because).map((shown) =>
        "folded" in shown
          ? foldedCells(foldedText(shown.folded), shown.folded[0]!.layer)
          : cellsOf(shown.step, shown.index),
      );
  return [`  ${options.style.strong(hop.at)}`, ...layoutSteps(rows, "    ", options)];
}

/** The reply in one breath: `n2/host (src 10.244.1.2:8080 → 10.96.0.1:80) → n1/host → …`. */
function shortReply(hops: readonly Hop[], changes: readonly Changes[], options: PathOptions): string[] {
  const words: string[] = [];
  hops.forEach((hop, i) => {
    const did = hop.steps.flatMap((_, k) => changes[hop.offset + k]?.addresses ?? []);
    const arrow = i === 0 ? "" : "→ ";
    words.push(
      `${arrow}${hop.at}${did.length === 0 ? "" : ` (${[...new Set(did)].map((d) => options.style.change(d)).join("; ")})`}`,
    );
  });
  const indent = "  ";
  return wrapWords(words, options.width - 4, "    ").map((line) => indent + line);
}

/**
 * The lines of an outcome's path, from step `from` on. Everything there; of the way back one line, unless it fails there or
 * everything is wanted.
 */
export function pathLines(answer: Answer, outcome: Outcome, options: PathOptions, from = 0): string[] {
  const steps = outcome.steps ?? [];
  const changes = changesOf(answer, outcome, options.mark);
  const hops = hopsOf(steps, from);
  const there = hops.filter((h) => h.direction === "forward");
  const back = hops.filter((h) => h.direction === "reply");
  const out = there.flatMap((hop) => hopLines(hop, outcome, changes, options));
  if (back.length > 0) {
    out.push("", `  ${options.style.strong("and back")}`);
    // An error that reached the client got back unharmed; where only silence did, the way back may be what failed.
    const silent = outcome.client === "timeout" || outcome.client === "inconclusive";
    const fails = silent && !there.some((hop) => hop.steps.some((step) => decides(step, outcome.because)));
    out.push(
      ...(options.all || fails
        ? back.flatMap((hop) => hopLines(hop, outcome, changes, options))
        : shortReply(back, changes, options)),
    );
  }
  return out;
}
