/** A whole answer as text: the verdict, who answers, the paths that matter, and what settled them. */
import type { Answer, Outcome, Step } from "../../core/model/walk.ts";
import { backendOf, backendText, formatEndpoint } from "./flow.ts";
import { pathLines, type PathOptions } from "./path.ts";
import { formatShare, largerFirst } from "./share.ts";
import { formatSource } from "./source.ts";
import { clipRule } from "./step.ts";
import { failureText, groupOutcomes, verdictLine, type Group, type PlaceOf } from "./verdict.ts";
import { pad, table, widthOf } from "./width.ts";
import { dispositionWords } from "./words.ts";

export interface AnswerOptions extends PathOptions {
  /** What an address is (`svc shop/web`); undefined where nobody knows. */
  label(address: string): string | undefined;
  placeOf: PlaceOf;
}

/** More backends than this are counted; every one is shown with `all`. */
const MOST_BACKENDS = 12;
/** A common beginning shorter than this is told again. */
const WORTH_LEAVING_OUT = 4;

function titleLine(answer: Answer, options: AnswerOptions): string {
  const label = options.label(answer.to);
  const to = formatEndpoint(answer.to, answer.port);
  return `${answer.proto} ${answer.from} → ${to}${label === undefined ? "" : ` (${label})`}`;
}

/** Where an outcome's packets end up, in the most telling words. */
function goalOf(outcome: Outcome, options: AnswerOptions): string {
  const backend = backendOf(outcome);
  return outcome.server?.at ?? (backend === null ? "" : (options.label(backend.address) ?? ""));
}

/** Rows `1 of 3  n2/pod/shop/web-1  10.244.1.2:8080  sees 10.244.0.3`. */
function backendRows(outcomes: readonly Outcome[], options: AnswerOptions): string[][] {
  return outcomes.map((o) => [
    o.share === null ? "?" : formatShare(o.share),
    goalOf(o, options) || dispositionWords(o.disposition),
    backendText(o) ?? "",
    o.server === undefined ? "" : `sees ${o.server.clientAddress}`,
  ]);
}

/** The outcome whose path says most about its group: the likeliest, of those the longest. */
function spokesman(group: Group): Outcome {
  return group.outcomes.toSorted(
    (a, b) => largerFirst(a.share, b.share) || (b.steps?.length ?? 0) - (a.steps?.length ?? 0),
  )[0]!;
}

function sameStep(a: Step, b: Step): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** How many steps two paths have in common from the start, cut back to the beginning of a shown line. */
function commonSteps(a: readonly Step[], b: readonly Step[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n]!.direction === "forward" && sameStep(a[n]!, b[n]!)) n++;
  return n;
}

/** For each other outcome of a group, the first step that differs from the one that was told. */
function partingLines(others: readonly Outcome[], told: Outcome, options: AnswerOptions): string[] {
  const rows = others.slice(0, MOST_BACKENDS).flatMap((o) => {
    const steps = o.steps ?? [];
    const step = steps[commonSteps(steps, told.steps ?? [])];
    if (step === undefined) return [];
    return [
      { who: goalOf(o, options) || (backendText(o) ?? "another"), where: formatSource(step.source), text: step.text },
    ];
  });
  if (rows.length === 0) return [];
  const heads = table(rows.map((r) => [`  ${r.who} parts at`, r.where, ""]));
  const widest = Math.max(...heads.map(widthOf));
  return [
    "",
    ...rows.map((r, i) =>
      options.style.quiet(`${pad(heads[i]!, widest)}  ${clipRule(r.text, options.width - widest - 2)}`),
    ),
  ];
}

function titleOf(group: Group, outcome: Outcome, options: AnswerOptions): string {
  const share = formatShare(outcome.share);
  const to = goalOf(outcome, options) || backendText(outcome);
  const of = share === "all" || outcome.share === null ? "" : ` (${share})`;
  switch (group.kind) {
    case "answered":
      return `path to ${to ?? "where it goes"}${of}`;
    case "failed":
      return `${outcome.share === null ? "a path that may fail" : "the failing path"}${to === null ? "" : ` to ${to}`}${of}`;
    case "inconclusive":
      return `the path as far as it is known${of}`;
  }
}

function settledLine(outcome: Outcome, options: AnswerOptions): string {
  const { because } = outcome;
  const paint =
    outcome.client === "answered"
      ? options.style.good
      : outcome.client === "inconclusive"
        ? options.style.unsure
        : options.style.bad;
  const source = formatSource(because.source);
  return `  ${paint("settled by")} ${because.text}${source === "" ? "" : `  ${options.style.quiet(source)}`}`;
}

/** One outcome's path under its title; the part that it shares with `before` is left out. */
function pathSection(
  answer: Answer,
  group: Group,
  outcome: Outcome,
  before: Outcome | null,
  options: AnswerOptions,
): string[] {
  const steps = outcome.steps ?? [];
  const common = before === null || options.all ? 0 : commonSteps(steps, before.steps ?? []);
  const from = common >= WORTH_LEAVING_OUT && common < steps.length ? common : 0;
  const title = options.style.strong(titleOf(group, outcome, options));
  const lines = ["", from === 0 ? title : `${title}, as above until`];
  return [...lines, ...pathLines(answer, outcome, options, from), "", settledLine(outcome, options)];
}

/** Who is in a group and how likely, under a word that says how it ends. */
function groupLines(group: Group, alone: boolean, options: AnswerOptions): string[] {
  const shown = options.all ? group.outcomes : group.outcomes.slice(0, MOST_BACKENDS);
  const more = group.outcomes.length - shown.length;
  const unsure = group.outcomes.some((o) => o.share === null);
  const word = unsure
    ? { answered: "may be answered", failed: "may fail", inconclusive: "not known" }[group.kind]
    : { answered: "answered", failed: "fails", inconclusive: "not known" }[group.kind];
  // The verdict above has already said why, unless there are several reasons.
  const head =
    alone || group.kind === "answered" ? word : `${word}: ${failureText(group.outcomes[0]!, options.placeOf)}`;
  const tail = more > 0 ? [options.style.quiet(`  and ${more} more (--steps shows all)`)] : [];
  return ["", head, ...table(backendRows(shown, options), "  "), ...tail];
}

/**
 * An answer as lines of text. Pure: the same answer and options give the same lines. Failing paths are told whole, the rest
 * by one example; with `all` every path is told step by step.
 */
export function answerLines(answer: Answer, options: AnswerOptions): string[] {
  const groups = groupOutcomes(answer);
  const out = [verdictLine(answer, options.style, options.placeOf), options.style.quiet(titleLine(answer, options))];
  const failing = groups.some((g) => g.kind === "failed");
  let told: Outcome | null = null;
  for (const group of groups) {
    if (answer.outcomes.length > 1) {
      out.push(...groupLines(group, groups.filter((g) => g.kind === group.kind).length === 1, options));
    }
    if (options.all) {
      for (const outcome of group.outcomes) out.push(...pathSection(answer, group, outcome, null, options));
      continue;
    }
    // Beside a failure the ways that work are only counted.
    if (group.kind === "answered" && failing) continue;
    const speaker = spokesman(group);
    out.push(...pathSection(answer, group, speaker, told, options));
    told = speaker;
    out.push(
      ...partingLines(
        group.outcomes.filter((o) => o !== speaker),
        speaker,
        options,
      ),
    );
  }
  if (!options.all && answer.outcomes.some((o) => (o.steps?.length ?? 0) > 0)) {
    out.push("", options.style.quiet("--steps shows every step of every path"));
  }
  return out;
}
