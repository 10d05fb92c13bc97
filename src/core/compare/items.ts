/** Compares lists whose order means nothing: members of one key are laid beside each other, field by field. */
import type { Source } from "../model/source.ts";
import type { Report } from "./report.ts";
import type { ChangedField, ChangeKind } from "./types.ts";

/** A member of such a list. */
export interface Item {
  /** Members of one key are the same thing. With stand-ins. */
  key: string;
  /** What it is, for people. */
  what: string;
  /** What is compared, with stand-ins; `shown` has the fields as they are, where that differs. */
  fields: Record<string, string>;
  shown?: Record<string, string>;
  text: string;
  source: Source | null;
  /** The kernel learned it from packets: that it is there or gone means nothing, only what it says does. */
  learned?: boolean;
}

const same = (a: Item, b: Item): boolean => {
  const names = Object.keys(a.fields);
  return (
    names.length === Object.keys(b.fields).length && names.every((name) => a.fields[name] === (b.fields[name] ?? null))
  );
};

function changedFields(a: Item, b: Item): ChangedField[] {
  const names = new Set([...Object.keys(a.fields), ...Object.keys(b.fields)]);
  return [...names]
    .filter((name) => a.fields[name] !== b.fields[name])
    .map((name) => ({
      name,
      before: (a.shown ?? a.fields)[name] ?? "",
      after: (b.shown ?? b.fields)[name] ?? "",
    }));
}

function byKey(items: readonly Item[]): Map<string, Item[]> {
  const found = new Map<string, Item[]>();
  for (const item of items) {
    const list = found.get(item.key);
    if (list === undefined) found.set(item.key, [item]);
    else list.push(item);
  }
  return found;
}

/** Reports what was added, removed and changed between two lists. */
export function compareItems(
  at: string,
  kind: ChangeKind,
  before: readonly Item[],
  after: readonly Item[],
  report: Report,
): void {
  const others = byKey(after);
  for (const [key, list] of byKey(before)) {
    const rest = others.get(key) ?? [];
    const open: Item[] = [];
    for (const item of list) {
      const place = rest.findIndex((each) => same(item, each));
      if (place >= 0) rest.splice(place, 1);
      else open.push(item);
    }
    for (const item of open) {
      const other = rest.shift();
      if (other !== undefined) report.changed(at, kind, item.what, item, other, changedFields(item, other));
      else if (item.learned !== true) report.removed(at, kind, item.what, item);
    }
  }
  // What was laid beside something is no longer in its list.
  for (const list of others.values())
    for (const item of list) if (item.learned !== true) report.added(at, kind, item.what, item);
}
