/** Collects what a comparison finds. */
import type { Change, ChangedField, ChangeKind, Comparison, Side } from "./types.ts";

/** Of whatever is given, what is told. */
const side = (given: Side | null): Side | null => (given === null ? null : { text: given.text, source: given.source });

export class Report {
  readonly changes: Change[] = [];
  readonly unknown: Comparison["unknown"] = [];

  private add(
    change: Change["change"],
    at: string,
    kind: ChangeKind,
    what: string,
    before: Side | null,
    after: Side | null,
    fields: ChangedField[] = [],
  ): void {
    this.changes.push({ at, kind, change, what, before: side(before), after: side(after), fields, pod: null });
  }

  added(at: string, kind: ChangeKind, what: string, after: Side): void {
    this.add("added", at, kind, what, null, after);
  }

  removed(at: string, kind: ChangeKind, what: string, before: Side): void {
    this.add("removed", at, kind, what, before, null);
  }

  moved(at: string, kind: ChangeKind, what: string, before: Side, after: Side): void {
    this.add("moved", at, kind, what, before, after);
  }

  changed(at: string, kind: ChangeKind, what: string, before: Side, after: Side, fields: ChangedField[]): void {
    this.add("changed", at, kind, what, before, after, fields);
  }
}
