/** Judges citations: does the line that a step names hold what the step says? */
import type { Answer, Outcome, Question, Step } from "../../src/core/model/walk.ts";
import type { Source } from "../../src/core/model/source.ts";
import type { Disagreement } from "./disagreement.ts";

/** Text of a file of the snapshot by its path; undefined when there is none. */
export type SnapshotText = (file: string) => string | undefined;

const squeeze = (s: string): string => s.replace(/\s+/g, " ").trim();

/** A rule's text without what runs on or is a name of the moment: counters and handles. */
const bare = (s: string): string =>
  squeeze(
    s
      .replace(/^\s*\[\d+:\d+\]\s*/, "")
      .replace(/\s*# handle \d+\s*$/, "")
      .replace(/counter packets \d+ bytes \d+/g, "counter")
      .replace(/\s*limit (?=rate)/g, " limit "),
  );

const escaped = (s: string): string => s.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
/** Whether a word stands in a line, not as part of a longer name, address or number. */
const stands = (line: string, word: string): boolean =>
  new RegExp(`(?<![\\w.:-])${escaped(word)}(?![\\w-]|[.:]\\w)`).test(line);

const ADDRESS =
  /(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9a-f:]*::?[0-9a-f:]*:|::)[0-9a-f:]{2,})(?:\/\d{1,3})?(?![\w-]|[.:]\w)/g;

/** Prefixes, next hops and links that a text names as the entry's own; other addresses may be the packet's. */
function entryWords(text: string): string[] {
  const links = [...text.matchAll(/\b(?:dev|oif|iif|master|link) ([^\s,;]+)/g)].map((m) => m[1]!);
  const hops = [...text.matchAll(/\b(?:via|lladdr|dst) (?:inet6? )?([0-9a-fA-F.:]+)/g)].map((m) => m[1]!);
  const prefixes = [...text.matchAll(ADDRESS)].map((m) => m[0]).filter((a) => a.includes("/"));
  return [...links, ...hops, ...prefixes];
}

/** iproute2 prints a host's prefix without its length, and the widest as `default`. */
const asPrinted = (word: string): string[] => [
  word,
  word.replace(/\/(32|128)$/, ""),
  ...(/^(0\.0\.0\.0|::)\/0$/.test(word) ? ["default"] : []),
];

function holdsEntry(line: string, text: string): string | null {
  const missing = entryWords(text).find((w) => !asPrinted(w).some((p) => stands(line, p)));
  if (missing !== undefined) return `${missing} does not stand there`;
  const named = [...text.matchAll(ADDRESS)].map((m) => m[0]);
  if (
    named.length > 0 &&
    entryWords(text).length === 0 &&
    !named.some((a) => asPrinted(a).some((p) => stands(line, p)))
  )
    return `none of ${named.join(", ")} stands there`;
  return null;
}

function holdsRule(file: string, line: string, step: Step): string | null {
  if (file.endsWith(".json"))
    return step.chain === undefined || line.includes(`"${step.chain}"`)
      ? null
      : `chain ${step.chain} does not stand there`;
  const text = bare(step.text);
  return text !== "" && bare(line).includes(text) ? null : "the line is another rule";
}

function holdsPolicy(file: string, line: string, step: Step): string | null {
  if (file.endsWith(".json"))
    return line.includes(`"${step.chain}"`) ? null : `chain ${step.chain} does not stand there`;
  if (/tables(-legacy)?-save/.test(file)) {
    const declared = /^:(\S+) (\S+)/.exec(line);
    return declared?.[1] === step.chain && declared?.[2]?.toLowerCase() === step.verdict
      ? null
      : `not the policy of ${step.chain}`;
  }
  return /\bhook \w+/.test(line) && (!/policy \w+/.test(line) || line.includes(`policy ${step.verdict}`))
    ? null
    : "not a base chain's declaration";
}

/** What a line fails to hold of a step's words; null when it holds them. */
function lacks(file: string, line: string, step: Step): string | null {
  const name = file.split("/").pop()!;
  switch (step.kind) {
    case "rule":
      return holdsRule(name, line, step);
    case "policy":
      return holdsPolicy(name, line, step);
    case "sysctl": {
      const key = /^(\S+) = /.exec(line)?.[1];
      return key !== undefined && step.text.includes(key) ? null : "the sysctl is another";
    }
    case "socket": {
      const ports = [...line.matchAll(/:(\d+)(?=\s)/g)].map((m) => m[1]!);
      return ports.some((p) => stands(step.text, p) || step.text.includes(`:${p}`))
        ? null
        : "the port does not stand there";
    }
    case "route":
    case "rule-lookup":
    case "neighbour":
    case "fdb":
    case "bridge":
    case "tunnel":
    case "link":
    case "conntrack":
      return holdsEntry(line, step.text);
    case "fabric":
    case "program":
      return null;
  }
}

/** Steps of every path that an outcome shows. */
export const stepsOf = (o: Outcome): Step[] => [...(o.steps ?? []), ...(o.paths ?? []).flatMap((p) => p.steps)];

/** Judges the citations of answers about one snapshot; what was judged once is not judged again. */
export class CitationJudge {
  private readonly lines = new Map<string, readonly string[]>();
  private readonly known = new Map<string, string | null>();
  private readonly snapshot: SnapshotText;

  constructor(snapshot: SnapshotText) {
    this.snapshot = snapshot;
  }

  /** The cited line; null when there is none, or an empty one. */
  private lineAt({ file, line }: Source): string | null {
    let lines = this.lines.get(file);
    if (lines === undefined) this.lines.set(file, (lines = this.snapshot(file)?.split("\n") ?? []));
    return lines[line - 1]?.trim() ? lines[line - 1]! : null;
  }

  private lackOf(source: Source, step: Step | null): string | null {
    const key = `${source.file}:${source.line} ${step === null ? "" : `${step.kind} ${step.chain} ${step.verdict} ${step.text}`}`;
    let lack = this.known.get(key);
    if (lack === undefined) {
      const line = this.lineAt(source);
      lack = line === null ? "no such line" : step === null ? null : lacks(source.file, line, step);
      this.known.set(key, lack);
    }
    return lack;
  }

  /** Every citation of an answer that does not hold. Lines of `because` must exist; lines of steps must hold the step's words. */
  judge(question: Question, answer: Answer): Disagreement[] {
    const found: Disagreement[] = [];
    const cite = (source: Source | undefined, said: string, step: Step | null): void => {
      const note = source === undefined ? null : this.lackOf(source, step);
      if (source !== undefined && note !== null)
        found.push({
          kind: "source",
          question,
          seen: `${source.file}:${source.line}: ${this.lineAt(source)?.slice(0, 200) ?? ""}`,
          said,
          note,
        });
    };
    for (const o of answer.outcomes) {
      cite(o.because.source, o.because.text, null);
      for (const s of stepsOf(o)) cite(s.source, `${s.kind}: ${s.text}`, s);
    }
    return found;
  }
}

/** As CitationJudge.judge, for a single answer. */
export const judgeSources = (snapshot: SnapshotText, question: Question, answer: Answer): Disagreement[] =>
  new CitationJudge(snapshot).judge(question, answer);
