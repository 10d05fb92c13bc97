/** kubewalk.diff/v1 for people: what differs, what nobody owns, and how much is right. */
import type { Diff, Difference, Piece } from "../../core/diff/types.ts";
import { plural } from "./plural.ts";
import { formatSource } from "./source.ts";
import type { Style } from "./style.ts";
import { table } from "./width.ts";

/** More pieces than this of one namespace are counted, not listed; `-o json` has all. */
const MOST = 40;

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.map(valueText).join("; ");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value)
      .filter(([, each]) => each !== undefined && each !== null && each !== false)
      .map(([name, each]) => (each === true ? name : `${name} ${valueText(each)}`))
      .join(" ");
  }
  return String(value);
}

/** A piece as its own command would print it, as far as its fields tell. */
function pieceText(piece: Piece, kind: Difference["kind"]): string {
  if (kind === "rule") return `${String(piece["family"])} ${String(piece["table"])} ${valueText(piece["rule"])}`;
  if (kind === "sysctl") return `${String(piece["key"])} = ${String(piece["value"])}`;
  return valueText(piece);
}

/** Only what the two have different, when both are there. */
function changed(intended: Piece, actual: Piece): [string, string] {
  const names = Object.keys(intended).filter(
    (name) => intended[name] !== undefined && JSON.stringify(intended[name]) !== JSON.stringify(actual[name]),
  );
  const part = (piece: Piece): string => names.map((name) => `${name} ${valueText(piece[name])}`).join(", ");
  return [part(intended), part(actual)];
}

function differenceLines(each: Difference, style: Style): string[] {
  const where = each.source === null ? "" : `  ${style.quiet(formatSource(each.source))}`;
  const head = `  ${style.strong(each.owner)} ${each.kind}`;
  if (each.intended === null && each.actual !== null)
    return [`${head}: ${style.bad("too many")}${where}`, `      + ${pieceText(each.actual, each.kind)}`];
  if (each.actual === null && each.intended !== null)
    return [`${head}: ${style.bad("missing")}${where}`, `      - ${pieceText(each.intended, each.kind)}`];
  if (each.intended === null || each.actual === null) return [];
  if (each.kind === "rule")
    return [
      `${head}: ${style.bad("differs")}${where}`,
      `      - ${pieceText(each.intended, each.kind)}`,
      `      + ${pieceText(each.actual, each.kind)}`,
    ];
  const [wanted, found] = changed(each.intended, each.actual);
  return [
    `${head}: ${style.bad("differs")}: ${pieceText(each.intended, each.kind)}${where}`,
    `      - ${wanted}`,
    `      + ${found}`,
  ];
}

function grouped<T extends { at: string }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const list = groups.get(item.at);
    if (list === undefined) groups.set(item.at, [item]);
    else list.push(item);
  }
  return groups;
}

function ownerTable(diff: Diff, all: boolean): string[] {
  const rows = new Map<string, { intended: number; equal: number }>();
  for (const { owner, at, kind, intended, equal } of diff.owners) {
    const key = all ? `${at}\t${owner}\t${kind}` : `${owner}\t${kind}`;
    const row = rows.get(key) ?? { intended: 0, equal: 0 };
    row.intended += intended;
    row.equal += equal;
    rows.set(key, row);
  }
  const head = all ? ["AT", "OWNER", "KIND", "INTENDED", "EQUAL"] : ["OWNER", "KIND", "INTENDED", "EQUAL"];
  const body = [...rows].map(([key, { intended, equal }]) => [...key.split("\t"), String(intended), String(equal)]);
  return table([head, ...body]);
}

/** The whole comparison as lines; `all` counts per namespace, too. */
export function diffLines(diff: Diff, all: boolean, style: Style): string[] {
  const out: string[] = [];
  const equal = diff.owners.reduce((sum, each) => sum + each.equal, 0);
  const { differences, unowned, unknown } = diff;
  const verdict =
    differences.length === 0 ? style.good("nothing differs") : style.bad(`${plural(differences.length, "difference")}`);
  out.push(`${verdict}: ${equal} pieces of state are as intended, ${unowned.length} are nobody's`);
  for (const [at, list] of grouped(differences)) {
    out.push("", style.strong(at));
    for (const each of list.slice(0, MOST)) out.push(...differenceLines(each, style));
    if (list.length > MOST) out.push(`  … and ${list.length - MOST} more (-o json has all)`);
  }
  for (const [at, list] of grouped(unowned)) {
    out.push("", `${style.strong(at)}: nobody's`);
    for (const { kind, text, source } of list.slice(0, MOST))
      out.push(`  ${kind} ${text}  ${style.quiet(formatSource(source))}`);
    if (list.length > MOST) out.push(`  … and ${list.length - MOST} more (-o json has all)`);
  }
  if (unknown.length > 0) {
    out.push("", style.unsure("not compared"));
    for (const { at, what, why } of unknown) out.push(`  ${at} ${what}: ${why}`);
  }
  out.push("", ...ownerTable(diff, all));
  return out;
}
