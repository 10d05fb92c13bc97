/** Damaged saves: whatever the bytes, the parser reads them or says file and line. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ParseError } from "/work/main/src/core/model/source.ts";
import { parseIptablesSave } from "/work/main/src/core/parse/iptables-save.ts";
import { printIptablesSave } from "/work/main/src/core/parse/iptables/print.ts";
import { type Save, forms, recorded } from "/work/main/src/core/parse/iptables/testing/saves.ts";

const saves = [...forms, ...recorded.filter((save) => save.text !== "").slice(0, 6)];

/** Reads `text`; a ParseError must name the file and a line of the text, anything else thrown fails the test. */
function readOrRefuse(text: string, save: Save): void {
  try {
    const ruleset = parseIptablesSave(text, save.file, save.family);
    // What was read must print as something that reads: nothing half-understood came through.
    parseIptablesSave(printIptablesSave(ruleset), save.file, save.family);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    expect(error.source.file).toBe(save.file);
    expect(error.source.line).toBeGreaterThanOrEqual(1);
    const lines = text.split("\n");
    if (lines.at(-1) === "") lines.pop();
    expect(error.source.line).toBeLessThanOrEqual(Math.max(1, lines.length));
    expect(error.message).toMatch(/expected|twice/);
  }
}

/** Which save: a number, so that a counterexample is short. */
const which = fc.nat(saves.length - 1);
const place = fc.double({ min: 0, max: 1, noNaN: true });
const inserted = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.constantFrom(
    '"',
    "\\",
    "!",
    " ",
    "\n",
    "-",
    " -j",
    " ! -s",
    "/",
    ":",
    ",",
    "\0",
    "é",
    "\u{1F6A2}",
    "\ud800",
    "[",
    "99999999999",
    " -m x",
  ),
);

test("bytes put in, taken out or swapped", () => {
  fc.assert(
    fc.property(
      which,
      fc.array(fc.record({ at: place, remove: fc.nat(6), insert: inserted }), { minLength: 1, maxLength: 4 }),
      (n, changes) => {
        const save = saves[n]!;
        let text = save.text;
        for (const { at, remove, insert } of changes) {
          const i = Math.floor(at * text.length);
          text = text.slice(0, i) + insert + text.slice(i + remove);
        }
        readOrRefuse(text, save);
      },
    ),
    { numRuns: 12000 },
  );
});

test("cut off anywhere: refused, unless the cut is between tables", () => {
  fc.assert(
    fc.property(which, place, (n, at) => {
      const save = saves[n]!;
      const text = save.text.slice(0, Math.floor(at * save.text.length));
      readOrRefuse(text, save);
      const open = text.lastIndexOf("\n*") > text.lastIndexOf("\nCOMMIT");
      if (open) expect(() => parseIptablesSave(text, save.file, save.family)).toThrow(ParseError);
    }),
    { numRuns: 12000 },
  );
});

test("lines lost, doubled or moved", () => {
  fc.assert(
    fc.property(which, place, place, fc.constantFrom("lose", "double", "move"), (n, from, to, how) => {
      const save = saves[n]!;
      const lines = save.text.split("\n");
      const [line = ""] = lines.splice(Math.floor(from * lines.length), how === "double" ? 0 : 1);
      if (how !== "lose")
        lines.splice(
          Math.floor(to * lines.length),
          0,
          how === "double" ? (lines[Math.floor(from * lines.length)] ?? "") : line,
        );
      readOrRefuse(lines.join("\n"), save);
    }),
    { numRuns: 12000 },
  );
});

test("any text at all", () => {
  const save: Save = { file: "f", family: "ip", text: "" };
  const fragment = fc.constantFrom(
    "*filter",
    ":A - [0:0]",
    "-A A",
    "[1:2] -A A",
    "COMMIT",
    " -s 10.0.0.1/32",
    " -m",
    " tcp",
    " -j",
    " A",
    "\n",
    '"',
    " ",
    "! ",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fragment).map((parts) => parts.join("")),
      ),
      (text) => readOrRefuse(text, save),
    ),
    { numRuns: 12000 },
  );
});
