/** kubewalk.compare/v1 for people: who is served otherwise, then what changed, the same change on several nodes told once. */
import type { Change, ChangedWalk, ComparedAnswer, Comparison } from "../../core/compare/types.ts";
import type { Answer } from "../../core/model/walk.ts";
import { plural } from "./plural.ts";
import { formatSource } from "./source.ts";
import type { Style } from "./style.ts";
import { verdictLine } from "./verdict.ts";

/** More than this of one kind is counted, not listed; --all and `-o json` have all. */
const MOST = 30;
/** Words of a value beyond this many characters are cut. */
const LONGEST = 300;

const cut = (text: string, all: boolean): string =>
  all || text.length <= LONGEST ? text : `${text.slice(0, LONGEST)} … (${text.length} characters)`;

function verdict(walk: ChangedWalk, answer: ComparedAnswer, style: Style): string {
  const { from, proto } = walk;
  const whole: Answer = { format: "kubewalk.walk/v1", from, proto, ...answer };
  return verdictLine(whole, style, () => undefined);
}

function walkLines(walk: ChangedWalk, style: Style): string[] {
  const port = walk.port === undefined ? "" : ` ${walk.port}/${walk.proto}`;
  return [
    `  ${style.strong(`${walk.from} → ${walk.to}${port}`)}${walk.proto === "icmp" ? " (ICMP echo)" : ""}`,
    `      - ${verdict(walk, walk.before, style)}`,
    `      + ${verdict(walk, walk.after, style)}`,
  ];
}

/** The same change at several places. */
interface Folded {
  change: Change;
  places: string[];
}

function fold(changes: readonly Change[]): Folded[] {
  const found = new Map<string, Folded>();
  for (const change of changes) {
    const { at, kind, what, fields, before, after } = change;
    const same = [change.change, kind, what, before?.text, after?.text, ...fields.map((f) => JSON.stringify(f))];
    const key = at === "cluster" ? `cluster ${same.join("\n")}` : same.join("\n");
    const known = found.get(key);
    if (known === undefined) found.set(key, { change, places: [at] });
    else known.places.push(at);
  }
  return [...found.values()];
}

function placesText(places: readonly string[]): string {
  if (places.length <= 4) return places.join(", ");
  return `${places.slice(0, 3).join(", ")} and ${places.length - 3} more`;
}

function changeWord(change: Change, style: Style): string {
  switch (change.change) {
    case "added":
      return style.good("added");
    case "removed":
      return style.bad("removed");
    case "moved":
      return style.unsure("moved");
    case "changed":
      return style.change("changed");
  }
}

function changeLines({ change, places }: Folded, all: boolean, style: Style): string[] {
  const { before, after, fields, kind, what } = change;
  const where = places[0] === "cluster" ? "" : ` at ${placesText(places)}`;
  const source = after?.source ?? before?.source ?? null;
  const from = source === null ? "" : `  ${style.quiet(formatSource(source))}`;
  const head = `  ${style.strong(kind)} ${what} ${changeWord(change, style)}${where}${from}`;
  if (fields.length > 0) {
    const out = [head];
    for (const { name, before: a, after: b } of fields) {
      if (a.length + b.length < 80) out.push(`      ${name}: ${a === "" ? "(none)" : a} → ${b === "" ? "(none)" : b}`);
      else {
        if (a !== "") out.push(`      - ${name}: ${cut(a, all)}`);
        if (b !== "") out.push(`      + ${name}: ${cut(b, all)}`);
      }
    }
    return out;
  }
  if (change.change === "moved" && before?.source && after?.source)
    return [head, `      ${cut(after.text, all)}`, `      it was at ${formatSource(before.source)}`];
  const out = [head];
  if (before !== null && before.text !== what) out.push(`      - ${cut(before.text, all)}`);
  if (after !== null && after.text !== what) out.push(`      + ${cut(after.text, all)}`);
  return out;
}

/** Pods that came or went, each with how much came or went with it. */
function podLines(changes: readonly Change[], style: Style): string[] {
  const found = new Map<string, { change: Change; kinds: Map<string, number> }>();
  for (const change of changes) {
    if (change.pod === null) continue;
    const key = `${change.change} ${change.pod}`;
    const known = found.get(key) ?? { change, kinds: new Map<string, number>() };
    found.set(key, known);
    if (change.kind === "pod") known.change = change;
    else known.kinds.set(change.kind, (known.kinds.get(change.kind) ?? 0) + 1);
  }
  return [...found.values()].map(({ change, kinds }) => {
    const text = change.kind === "pod" ? (change.after ?? change.before)?.text : (change.pod ?? "");
    const others = [...kinds].map(([kind, n]) => plural(n, kind));
    const more = others.length === 0 ? "" : `, with ${others.join(", ")}`;
    return `  ${style.strong("pod")} ${text} ${change.change === "added" ? style.good("came") : style.bad("went")}${more}`;
  });
}

/** The whole comparison as lines; `all` lists everything in full. */
export function comparisonLines({ changes, walks, unknown }: Comparison, all: boolean, style: Style): string[] {
  const out: string[] = [];
  const verdicts = walks.changed.filter((walk) => walk.change === "verdict");
  const servers = walks.changed.filter((walk) => walk.change === "servers");
  const asked = walks.asked === 0 ? "" : ` of ${walks.asked}`;
  out.push(
    changes.length === 0 && walks.changed.length === 0
      ? style.good("nothing changed")
      : `${plural(changes.length, "change")}; ${verdicts.length}${asked} walks have another verdict`,
  );
  const most = all ? Number.POSITIVE_INFINITY : MOST;
  if (verdicts.length > 0) {
    out.push("", style.strong("walks"));
    for (const walk of verdicts.slice(0, most)) out.push(...walkLines(walk, style));
    if (verdicts.length > most) out.push(`  … and ${verdicts.length - most} more (--all shows them)`);
  }
  if (servers.length > 0) {
    out.push("", `${plural(servers.length, "walk")} answered as before, by other servers or under another address`);
    if (all) for (const walk of servers) out.push(...walkLines(walk, style));
  }
  if (walks.left > 0) out.push("", `${walks.left} more questions were not asked; --batch FILE asks those of a file`);
  const pods = podLines(changes, style);
  if (pods.length > 0 && !all) out.push("", style.strong("pods"), ...pods);
  const rest = all ? changes : changes.filter((change) => change.pod === null);
  const groups = fold(rest);
  if (groups.length > 0) out.push("", style.strong("changes"));
  for (const each of groups.slice(0, most)) out.push(...changeLines(each, all, style));
  if (groups.length > most) out.push(`  … and ${groups.length - most} more (--all shows them)`);
  if (unknown.length > 0) {
    out.push("", style.unsure("not compared"));
    for (const { at, what, why } of unknown) out.push(`  ${at} ${what}: ${why}`);
  }
  return out;
}
