import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ParseError } from "../model/source.ts";
import { field, isObject, objects, optional, parseJson, rows, strings } from "./json-lines.ts";
import type { JsonDoc, JsonObject, JsonValue } from "./json-lines.ts";

const lineOf = (doc: JsonDoc, pick: (v: JsonObject) => JsonValue | undefined): number => {
  if (!isObject(doc.value)) throw new Error("no object");
  const o = pick(doc.value);
  if (typeof o !== "object" || o === null) throw new Error("no container");
  return doc.line(o);
};

const problem = (text: string): string => {
  try {
    parseJson(text, "f.json");
  } catch (e) {
    if (e instanceof ParseError) return e.message;
    throw e;
  }
  return "none";
};

describe("lines", () => {
  test("objects and arrays know where they begin", () => {
    const doc = parseJson('\n{"a": [\n 1,\n {"b":{}}],\n"c":\n {\n}}\n', "f");
    expect(doc.line(doc.value as object)).toBe(2);
    expect(lineOf(doc, (v) => v["a"])).toBe(2);
    expect(lineOf(doc, (v) => (v["a"] as JsonValue[])[1])).toBe(4);
    expect(lineOf(doc, (v) => v["c"])).toBe(6);
  });

  test("in a text of one line everything is on line 1", () => {
    const doc = parseJson('[{"a":[]}]\n\n', "f");
    expect(doc.line((doc.value as JsonValue[])[0] as object)).toBe(1);
  });

  test("CR LF counts once", () => {
    const doc = parseJson('{\r\n"a":{}}', "f");
    expect(lineOf(doc, (v) => v["a"])).toBe(2);
  });
});

describe("lines where the value is not in the order of the text", () => {
  const cases: [what: string, text: string, pick: (v: JsonObject) => JsonValue | undefined, line: number][] = [
    ["a name that is a number", '{"b":\n{},"1":\n{}}', (v) => v["1"], 3],
    ["a name that is a number, escaped", '{"b":\n{},"\\u0031":\n{}}', (v) => v["1"], 3],
    ["a repeated name", '{"a":1,"b":\n{},"a":\n{}}', (v) => v["a"], 3],
    ["a repeated name within what is dropped", '{"a":\n{"x":{}},"a":\n{}}', (v) => v["a"], 3],
  ];
  test.each(cases)("%s", (_, text, pick, line) => expect(lineOf(parseJson(text, "f"), pick)).toBe(line));
});

test("every line is the one on which the text has the bracket", () => {
  // Each object and array says where it is meant to be: its line is written into it.
  const shape = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { depthSize: "small" },
      fc.constant('s\\"{[,:'),
      fc.nat(),
      fc.array(tie("node"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b", "1", "x\\", "__proto__"), tie("node"), { maxKeys: 3 }),
    ),
  })).node;
  fc.assert(
    fc.property(shape, fc.array(fc.constantFrom("", "\n", " ", "\n\n"), { minLength: 1 }), (v, gaps) => {
      let text = "";
      const lines: number[] = [];
      let at = 0;
      const gap = (): void => {
        text += gaps[at++ % gaps.length]!;
      };
      const write = (x: unknown): void => {
        gap();
        if (typeof x !== "object" || x === null) text += JSON.stringify(x);
        else {
          lines.push(text.split("\n").length);
          const entries = Array.isArray(x) ? x.map((e) => [null, e] as const) : Object.entries(x).toReversed();
          text += Array.isArray(x) ? "[" : "{";
          entries.forEach(([name, e], i) => {
            if (i > 0) text += ",";
            gap();
            if (name !== null) text += `${JSON.stringify(name)}:`;
            write(e);
          });
          gap();
          text += Array.isArray(x) ? "]" : "}";
        }
      };
      write(v);
      const doc = parseJson(text, "f");
      const found: number[] = [];
      const read = (x: unknown, like: unknown): void => {
        if (typeof x !== "object" || x === null) return;
        found.push(doc.line(x));
        if (Array.isArray(x)) x.forEach((e, i) => read(e, (like as unknown[])[i]));
        else for (const [name, e] of Object.entries(like as object).toReversed()) read((x as JsonObject)[name], e);
      };
      read(doc.value, v);
      expect(found).toEqual(lines);
    }),
    { numRuns: 500 },
  );
});

describe("malformed input names its line", () => {
  const cases: [text: string, message: string][] = [
    ["", "f.json:1: JSON is cut off: expected a value"],
    ["\n\n", "f.json:3: JSON is cut off: expected a value"],
    ["[1,\n2", 'f.json:2: JSON is cut off: expected "," or "]"'],
    ["[1,\n2,", "f.json:2: JSON is cut off: expected a value"],
    ['{"a"', 'f.json:1: JSON is cut off: expected ":"'],
    ['{"a":"b', "f.json:1: JSON is cut off: expected the end of a string"],
    ["[tr", "f.json:1: JSON is cut off: expected a value"],
    ["[trux]", 'f.json:1: malformed JSON: expected a value, found "t" in column 2'],
    ["[\n]x", 'f.json:2: malformed JSON: expected the end of the document, found "x" in column 2'],
    ["[1,]", 'f.json:1: malformed JSON: expected a value, found "]" in column 4'],
    ["{a:1}", 'f.json:1: malformed JSON: expected a name in quotes, found "a" in column 2'],
    ["[01]", 'f.json:1: malformed JSON: expected no digit after a leading zero, found "1" in column 3'],
    ["[-]", 'f.json:1: malformed JSON: expected a digit, found "]" in column 3'],
    ["[1.]", 'f.json:1: malformed JSON: expected a digit, found "]" in column 4'],
    ['["a\tb"]', 'f.json:1: malformed JSON: expected no control character in a string, found "\\t" in column 4'],
    ['["\\q"]', 'f.json:1: malformed JSON: expected an escape, found "q" in column 4'],
    ['["\\u12"]', 'f.json:1: malformed JSON: expected four hexadecimal digits, found "1" in column 5'],
    [`${"[".repeat(513)}${"]".repeat(513)}`, "f.json:1: JSON is nested more than 512 deep"],
    [`\n${'{"a":'.repeat(600)}`, "f.json:2: JSON is nested more than 512 deep"],
    ["Error: ipv6: FIB table does not exist.\n", 'f.json:1: malformed JSON: expected a value, found "E" in column 1'],
  ];
  test.each(cases)("%j", (text, message) => expect(problem(text)).toBe(message));

  test("512 deep is fine, brackets in strings do not count", () => {
    expect(problem(`${"[".repeat(512)}${"]".repeat(512)}`)).toBe("none");
    expect(problem(JSON.stringify(['"\\[' + "[{".repeat(600)]))).toBe("none");
  });
});

test("a name __proto__ is a property like any other", () => {
  for (const text of ['{"__proto__":{"x":1}}', '\n{"__proto__":{"x":1}}']) {
    const v = parseJson(text, "f").value as JsonObject;
    expect(Object.keys(v)).toEqual(["__proto__"]);
    expect(v["x"]).toBeUndefined();
  }
});

test("large handles become the nearest double", () => {
  expect(parseJson("[\n18446744073709551615]", "f").value).toEqual([2 ** 64]);
});

test("of a repeated name the last value counts, or the first where asked", () => {
  const text = '{"dst":"a","x":1,"dst":"b","x":2}';
  expect(parseJson(text, "f").value).toEqual({ dst: "b", x: 2 });
  expect(parseJson(text, "f", ["dst"]).value).toEqual({ dst: "a", x: 2 });
});

test("the scanner reads what the built-in parser reads", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), fc.constantFrom<string | number>(0, 1, "\t", "\r\n"), (v, indent) => {
      const text = JSON.stringify(v, null, indent);
      expect(parseJson(`\n${text}\n`, "f").value).toEqual(JSON.parse(text));
    }),
    { numRuns: 300 },
  );
});

test("the scanner accepts and refuses the same texts as the built-in parser", () => {
  const piece = fc.constantFrom(
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"',
    "\\",
    "\\u00e9",
    "a",
    "1",
    "0",
    "-",
    ".",
    "e",
    "true",
    "null",
    " ",
    "\n",
    '"a":',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = `\n${pieces.join("")}\n1`.slice(0, -2);
      let expected: unknown;
      let ok = true;
      try {
        expected = JSON.parse(text);
      } catch {
        ok = false;
      }
      if (ok) expect(parseJson(text, "f").value).toEqual(expected);
      else expect(() => parseJson(text, "f")).toThrow(ParseError);
    }),
    { numRuns: 5000 },
  );
});

describe("fields", () => {
  const doc = parseJson('{"s":"x","n":1.5,"i":7,\n"o":{},"a":["x"],"m":[1],"z":null}', "f");
  const o = doc.value as JsonObject;
  test("of the right type", () => {
    expect(field(doc, o, "s", "string")).toBe("x");
    expect(field(doc, o, "n", "number")).toBe(1.5);
    expect(field(doc, o, "i", "integer")).toBe(7);
    expect(strings(doc, o, "a")).toEqual(["x"]);
    expect(optional(doc, o, "z", "string")).toBeNull();
    expect(optional(doc, o, "absent", "string")).toBeNull();
  });
  test("of the wrong type", () => {
    expect(() => field(doc, o, "absent", "string")).toThrow('f:1: "absent" is missing; it should be a string');
    expect(() => field(doc, o, "n", "integer")).toThrow('f:1: "n" should be an integer, not 1.5');
    expect(() => field(doc, o, "a", "object")).toThrow('f:1: "a" should be an object, not an array');
    expect(() => strings(doc, o, "m")).toThrow('f:2: every element of "m" should be a string, not 1');
    expect(() => objects(doc, o, "m")).toThrow('f:2: every element of "m" should be an object, not 1');
    expect(() => rows(doc)).toThrow("f:1: should be an array, not an object");
  });
});
