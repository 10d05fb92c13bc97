/** Reviewable text of canned answers; after a wanted change run `npx vitest run src/cli/text -u`. */
import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { answers } from "../../../test/support/answers.ts";
import { answerLines, type AnswerOptions } from "./answer.ts";
import { coloured, PLAIN } from "./style.ts";
import { widthOf } from "./width.ts";

const labels: Record<string, string> = { "10.96.26.216": "svc shop/web", "10.244.0.2": "pod shop/web-abc-1" };
const options: AnswerOptions = {
  width: Number.POSITIVE_INFINITY,
  style: PLAIN,
  all: false,
  mark: 0,
  label: (a) => labels[a],
  placeOf: (file) => /^nodes\/([^/]+)\/host\//.exec(file)?.[0].slice("nodes/".length, -1),
};
const text = (name: string, more: Partial<AnswerOptions> = {}): string =>
  `${answerLines(answers[name]!, { ...options, ...more }).join("\n")}\n`;

describe.each(Object.keys(answers))("%s", (name) => {
  test("without limits, as into a file", async () => {
    await expect(text(name)).toMatchFileSnapshot(`snapshots/${name}.txt`);
  });
  test("on a terminal of 100 columns", async () => {
    await expect(text(name, { width: 100 })).toMatchFileSnapshot(`snapshots/${name}.100.txt`);
  });
});

test("every step with --steps", async () => {
  await expect(text("oneDropped", { all: true })).toMatchFileSnapshot("snapshots/oneDropped.steps.txt");
});

test("colours change nothing but colours", () => {
  for (const name of Object.keys(answers)) {
    const painted = text(name, { style: coloured(), width: 160 });
    expect(stripVTControlCharacters(painted)).toBe(text(name, { width: 160 }));
    expect(painted).toContain("\u001B[");
  }
});

test.each([100, 120, 160, 200])("the lines of a path stay within %d columns", (width) => {
  for (const name of Object.keys(answers)) {
    const tooLong = text(name, { width })
      .split("\n")
      .filter((line) => line.startsWith("    ") && widthOf(line) > width);
    expect(tooLong).toEqual([]);
  }
});
