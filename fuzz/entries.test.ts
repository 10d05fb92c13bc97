import { expect, test } from "vitest";
import { entriesDiffer, entriesOf, type RawEntry } from "./entries.ts";

const HOW = { proto: 17, port: 30000, all: true, marks: true };
const raw = (mark: number): RawEntry => [
  17,
  ["10.0.0.1", "10.0.0.2", 30000, 53, 0],
  ["10.0.0.3", "10.0.0.1", 53, 30000, 0],
  0x2 | 0x8 | 0x20,
  mark,
];

test("entries are told by both tuples, what was rewritten, and the mark", () => {
  const [e] = entriesOf(0, [raw(5)]);
  expect(e!.key).toBe("17 10.0.0.1 30000 → 10.0.0.2 53");
  expect(e!.rest).toBe("10.0.0.3 53 → 10.0.0.1 30000 DNAT mark 5");
});

test("a difference is one of marks, of tuples, or of there being an entry at all", () => {
  const there = entriesOf(0, [raw(5)]);
  expect(entriesDiffer(there, there, HOW)).toBeNull();
  expect(entriesDiffer(there, entriesOf(0, [raw(6)]), HOW)).toContain("the kernel has 10.0.0.3 53");
  expect(entriesDiffer(there, entriesOf(0, [raw(6)]), { ...HOW, marks: false })).toBeNull();
  expect(entriesDiffer([], there, HOW)).toContain("no such entry");
  expect(entriesDiffer(there, [], HOW)).toContain("the walk leaves none");
  expect(entriesDiffer(there, [], { ...HOW, port: 1 })).toBeNull();
});
