/** The first line of an answer: what happens, to how many, and what decided it, in plain words. */
import type { Answer, Outcome } from "../../core/model/walk.ts";
import { backendText } from "./flow.ts";
import { formatFraction, formatShare, sumOf, toFraction, type Fraction } from "./share.ts";
import { formatSource } from "./source.ts";
import type { Style } from "./style.ts";
import { clientWords, dispositionWords } from "./words.ts";

/** Outcomes that end the same way, whatever backend they meet. */
export interface Group {
  kind: "failed" | "inconclusive" | "answered";
  outcomes: Outcome[];
}

function kindOf(outcome: Outcome): Group["kind"] {
  if (outcome.client === "answered") return "answered";
  return outcome.client === "inconclusive" ? "inconclusive" : "failed";
}

/** Groups in the order of interest: failures, what is not known, successes. Within a kind the engine's order is kept. */
export function groupOutcomes(answer: Answer): Group[] {
  const groups = new Map<string, Group>();
  for (const outcome of answer.outcomes) {
    const kind = kindOf(outcome);
    const { client, disposition, because } = outcome;
    // All successes are one group: their deciding lines are the listening sockets of different backends.
    const key =
      kind === "answered" ? disposition : [client, disposition, because.text, formatSource(because.source)].join("\n");
    const group = groups.get(`${kind} ${key}`);
    if (group === undefined) groups.set(`${kind} ${key}`, { kind, outcomes: [outcome] });
    else group.outcomes.push(outcome);
  }
  const order: Group["kind"][] = ["failed", "inconclusive", "answered"];
  return [...groups.values()].toSorted((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** Which namespace a file of the snapshot describes; undefined for files of none. */
export type PlaceOf = (file: string) => string | undefined;

/** The place where an outcome was settled: the one that the deciding file describes, else where the path ends. */
function settledAt(outcome: Outcome, placeOf: PlaceOf): string | undefined {
  const file = outcome.because.source?.file;
  return (file === undefined ? undefined : placeOf(file)) ?? outcome.steps?.at(-1)?.at;
}

/** `times out: dropped at n2/host by -A … (nodes/n2/host/iptables-save.txt:40)`. */
export function failureText(outcome: Outcome, placeOf: PlaceOf): string {
  const at = settledAt(outcome, placeOf);
  const source = formatSource(outcome.because.source);
  const where = at === undefined ? "" : ` at ${at}`;
  const what = dispositionWords(outcome.disposition);
  const why =
    outcome.because.text === ""
      ? ""
      : outcome.disposition === "dropped" || outcome.disposition === "rejected"
        ? ` by ${outcome.because.text}`
        : `, ${outcome.because.text}`;
  const head = outcome.client === "inconclusive" ? "" : `${clientWords(outcome.client)}: ${what}`;
  const text = head === "" ? outcome.because.text : `${head}${where}${why}`;
  return source === "" ? text : `${text} (${source})`;
}

/**
 * `1 of 3 backends` where the answer's backends are known and equally likely, else `1 of 3` of all connections;
 * empty for all of them.
 */
function shareText(answer: Answer, outcomes: readonly Outcome[]): string {
  const share = sumOf(outcomes.map((o) => o.share));
  if (share === null) return "an unknown share";
  if (share.num === share.den) return "";
  const all = answer.outcomes.map(backendText);
  const backends = new Set(all);
  const count = BigInt(backends.size);
  const some = new Set(outcomes.map(backendText));
  const equal: Fraction = { num: BigInt(some.size), den: count };
  if (
    !backends.has(null) &&
    backends.size > 1 &&
    equal.num * share.den === share.num * equal.den &&
    everyEqual(answer)
  ) {
    return `${some.size} of ${count} backends`;
  }
  return `${formatFraction(share)} connections`;
}

/** Whether every backend gets the same share. */
function everyEqual(answer: Answer): boolean {
  const byBackend = new Map<string | null, Outcome[]>();
  for (const o of answer.outcomes) byBackend.set(backendText(o), [...(byBackend.get(backendText(o)) ?? []), o]);
  const sums = [...byBackend.values()].map((list) => formatFraction(sumOf(list.map((o) => o.share))));
  return new Set(sums).size === 1;
}

function answeredText(outcomes: readonly Outcome[]): string {
  if (outcomes.length === 1) {
    const { server, disposition } = outcomes[0]!;
    if (server === undefined) return dispositionWords(disposition);
    return `by ${server.at}, which sees ${server.clientAddress}`;
  }
  const shares = outcomes.map((o) => formatShare(o.share));
  const servers = new Set(outcomes.map((o) => `${o.server?.at} ${o.server?.address} ${o.server?.port}`));
  const what =
    servers.size === outcomes.length
      ? `${servers.size} backends`
      : `${servers.size} backends in ${outcomes.length} ways`;
  if (new Set(shares).size === 1) return `by ${what}, ${shares[0]} each`;
  if (shares.length <= 6) return `by ${what}: ${shares.join(", ")}`;
  const known = outcomes.flatMap((o) => (o.share === null ? [] : [toFraction(o.share)]));
  known.sort((a, b) => (a.num * b.den < b.num * a.den ? -1 : 1));
  return known.length < outcomes.length
    ? `by ${what}`
    : `by ${what}, from ${formatFraction(known[0]!)} to ${formatFraction(known.at(-1)!)}`;
}

/** Why groups end as they do; each with its share when there are several. */
function reasons(list: readonly Group[], placeOf: PlaceOf): string {
  if (list.length === 1) return failureText(list[0]!.outcomes[0]!, placeOf);
  return list
    .map((g) => `${formatFraction(sumOf(g.outcomes.map((o) => o.share)))} ${failureText(g.outcomes[0]!, placeOf)}`)
    .join("; ");
}

/** Both ends of what hangs on something that is not known. */
function eitherWay(groups: readonly Group[], placeOf: PlaceOf): string {
  const ends = groups.map((g) =>
    g.kind === "answered"
      ? `it may be answered ${answeredText(g.outcomes)}`
      : `it may fail: ${failureText(g.outcomes[0]!, placeOf)}`,
  );
  return ends.toReversed().join("; ");
}

/** The verdict of an answer in one sentence. */
export function verdictLine(answer: Answer, style: Style, placeOf: PlaceOf): string {
  const groups = groupOutcomes(answer);
  const failed = groups.filter((g) => g.kind === "failed");
  const unsure = groups.filter((g) => g.kind === "inconclusive");
  const forShare = (list: readonly Group[]): string => {
    if (list.length === 0) return "";
    const text = shareText(
      answer,
      list.flatMap((g) => g.outcomes),
    );
    return text === "" ? "" : ` for ${text}`;
  };
  switch (answer.verdict) {
    case "answered":
      return `${style.good("ANSWERED")} ${answeredText(answer.outcomes)}`;
    case "failed":
      return `${style.bad("NEVER ANSWERED:")} ${reasons(failed, placeOf)}`;
    case "mixed":
      return `${style.bad(`FAILS${forShare(failed)}:`)} ${reasons(failed, placeOf)}${unsure.length === 0 ? "" : `; not known${forShare(unsure)}: ${reasons(unsure, placeOf)}`}`;
    case "inconclusive":
      return `${style.unsure(`NOT KNOWN${forShare(unsure)}:`)} ${unsure.length > 0 ? reasons(unsure, placeOf) : eitherWay(groups, placeOf)}`;
  }
}
