import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MUTANTS } from "./list.ts";

test.each(MUTANTS.map((m) => [m.name, m] as const))("%s: its text stands in the engine exactly once", (_, m) => {
  const text = readFileSync(join("src/core/engine", m.file), "utf8");
  expect(text.split(m.find)).toHaveLength(2);
  expect(m.replace).not.toBe(m.find);
});
