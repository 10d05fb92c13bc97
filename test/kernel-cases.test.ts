/**
 * Packets of which a kernel's verdict was recorded, with the snapshot of that moment: kubewalk must foretell it.
 * The fuzzer (fuzz/README.md) writes these where the two once differed. No root is needed.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readCase } from "../fuzz/case-file.ts";
import { compare } from "../fuzz/compare.ts";
import { load } from "../fuzz/engine.ts";

const DIR = join(import.meta.dirname, "kernel-cases");
const names = (existsSync(DIR) ? readdirSync(DIR) : []).filter((n) => n.endsWith(".json"));

test.each(names)("%s", (name) => {
  const c = readCase(join(DIR, name));
  const answer = load(c.snapshot)(c.question);
  const result = compare(answer, c.observed);
  expect(result.kind, `${JSON.stringify(c.question)}: ${"why" in result ? result.why : ""}`).toBe("same");
});
