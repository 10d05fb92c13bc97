/** Alterations of what a machine's network commands printed. */
import type { Finding } from "../types.ts";
import type { Edit } from "./altered.ts";
import { json } from "./edits.ts";

export type Row = Record<string, unknown>;

/** A JSON listing without the rows that `gone` takes. */
export function without(gone: (row: Row) => boolean): Edit {
  return json<Row[]>((all) => {
    const kept = all.filter((row) => !gone(row));
    all.splice(0, all.length, ...kept);
  });
}

/** A JSON listing with these rows behind its own. */
export const withRows = (...more: Row[]): Edit => json<Row[]>((all) => void all.push(...more));

/** A JSON listing in which `change` has altered the rows that `which` takes. */
export function rows(which: (row: Row) => boolean, change: (row: Row) => void): Edit {
  return json<Row[]>((all) => {
    for (const row of all) if (which(row)) change(row);
  });
}

/** A save of iptables with this rule before the first of its chain in the table. */
export function ruleFirst(table: string, rule: string): Edit {
  const chain = rule.split(" ")[1]!;
  return (text) => {
    const from = text.indexOf(`*${table}\n`);
    const at = text.indexOf(`-A ${chain} `, from);
    const line = text.lastIndexOf("\n", at) + 1;
    return `${text.slice(0, line)}[0:0] ${rule}\n${text.slice(line)}`;
  };
}

/** The lines of a text that `kept` takes. */
export const lines =
  (kept: (line: string) => boolean): Edit =>
  (text) =>
    text.split("\n").filter(kept).join("\n");

/** What findings are about: id, severity, place. */
export const heads = (findings: readonly Finding[]): string[] =>
  findings.map(({ id, severity, at }) => `${severity} ${id} ${at}`);
