import { describe, expect, test } from "vitest";
import { thrown } from "../../../../test/support/thrown.ts";
import { formatSelector, parseSelector, prefixed, selects } from "./selector.ts";

const takes = (selector: string, labels: Record<string, string>): boolean =>
  selects(parseSelector(selector), (name) => (Object.hasOwn(labels, name) ? labels[name] : undefined));

// libcalico-go/lib/selector/parser/parser_test.go.
describe("what selectors take", () => {
  test.each<[string, Record<string, string>, boolean]>([
    ["", {}, true],
    ["all()", { a: "b" }, true],
    ["global()", {}, true],
    ['a == "b"', { a: "b" }, true],
    ["a == 'b'", { a: "c" }, false],
    ['a == "b"', {}, false],
    ['a != "b"', {}, true],
    ['a != "b"', { a: "b" }, false],
    ["has(a)", { a: "" }, true],
    ["!has(a)", { b: "x" }, true],
    ["! has(a)", { a: "x" }, false],
    ["a in {'x', \"y\"}", { a: "y" }, true],
    ["a in {}", { a: "y" }, false],
    ["a not in {'x'}", {}, true],
    ["a not in {'x'}", { a: "x" }, false],
    ["a contains 'bc'", { a: "abcd" }, true],
    ["a contains 'bc'", {}, false],
    ["a starts with 'ab'", { a: "abc" }, true],
    ["a ends with 'bc'", { a: "abc" }, true],
    ["a ends with 'ab'", { a: "abc" }, false],
    ["a == 'a' && b == 'b' || c == 'c'", { c: "c" }, true],
    ["a == 'a' && (b == 'b' || c == 'c')", { c: "c" }, false],
    ["!(a == 'a' || b == 'b')", { c: "c" }, true],
    ["!!has(a)", { a: "" }, true],
    ["a.b/c-d_e == 'x'", { "a.b/c-d_e": "x" }, true],
    // Labels may be called as operators are.
    ["in in {'in'}", { in: "in" }, true],
    ["contains contains 'x'", { contains: "axb" }, true],
    ["has == 'x'", { has: "x" }, true],
    ["not not in {'x'}", { not: "y" }, true],
    ["all == 'x' && has(has)", { all: "x", has: "" }, true],
  ])("%s of %j", (selector, labels, expected) => expect(takes(selector, labels)).toBe(expected));
});

test.each([
  ["  a==  'b'&&has( c )||!d in{'z',\"y\",'z',}", '((a == "b" && has(c)) || !d in {"y", "z"})'],
  ["(((all())))", "all()"],
  ["a == '\"'", "a == '\"'"],
  ["(a == 'x' && b == 'y') && c == 'z'", '((a == "x" && b == "y") && c == "z")'],
  ["!!a not in {}", "a not in {}"],
])("%s in its one form", (selector, form) => expect(formatSelector(parseSelector(selector))).toBe(form));

test("the one form is read as itself", () => {
  const form = '((a == "b" && has(c)) || !(d not in {"y", "z"} && e starts with "f"))';
  expect(formatSelector(parseSelector(form))).toBe(form);
});

test("a prefix goes before every label", () => {
  const selector = parseSelector("has(a) && (b == 'a' || c in {'c'} || all())");
  expect(formatSelector(prefixed(selector, "pcns."))).toBe(
    '(has(pcns.a) && (pcns.b == "a" || pcns.c in {"c"} || all()))',
  );
});

test.each([
  ["a ==", 'the selector "a ==" makes no sense: a value in quotes is missing'],
  ["a == 'b", 'the selector "a == \'b" makes no sense: a string has no end'],
  ["a 'b'", "the selector \"a 'b'\" makes no sense: an operator is missing after a"],
  ["(has(a)", 'the selector "(has(a)" makes no sense: a ) is missing'],
  ["has(a) has(b)", 'the selector "has(a) has(b)" makes no sense: something follows its end'],
  ["has()", 'the selector "has()" makes no sense: has() is called wrongly'],
  ["a in ['b']", 'the selector "a in [\'b\']" makes no sense: nothing can begin with "["'],
  ["&& a == 'b'", "the selector \"&& a == 'b'\" makes no sense: a label is missing"],
])("%s is refused", (selector, message) =>
  expect(thrown(() => parseSelector(selector))).toBe(`SelectorError: ${message}`),
);
