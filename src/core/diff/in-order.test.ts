import { expect, test } from "vitest";
import { matchInOrder } from "./in-order.ts";

const letters = (text: string): string[] => [...text];
const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => `${i}`);

test.each([
  ["abc", "abc", [0, 1, 2]],
  ["abc", "abxc", [0, 1, 3]],
  ["abxc", "abc", [0, 1, -1, 2]],
  // What stands elsewhere is not in order.
  ["abc", "bca", [-1, 0, 1]],
  ["abab", "bab", [-1, 0, 1, 2]],
  ["", "abc", []],
  ["abc", "", [-1, -1, -1]],
])("%s in %s", (wanted, there, places) => {
  expect(matchInOrder(letters(wanted), letters(there))).toEqual(places);
});

test("in lists too long for a table, one member that moved is one member out of order", () => {
  const wanted = numbers(5000);
  const there = [...wanted.slice(1, 4999), "new", wanted[0]!, "newer"];
  const places = matchInOrder(wanted, there);
  expect(places.filter((place) => place < 0)).toHaveLength(2);
  expect(places.slice(1, 4999)).toEqual(numbers(4998).map(Number));
});

test("in such lists, too, equal members are matched one to one", () => {
  const wanted = numbers(5000).map((each) => `${Number(each) % 7}`);
  const there = wanted.with(0, "first").with(4999, "last");
  const places = matchInOrder(wanted, there);
  expect(new Set(places.filter((place) => place >= 0)).size).toBe(places.filter((place) => place >= 0).length);
  places.forEach((place, i) => place < 0 || expect(there[place]).toBe(wanted[i]));
});
