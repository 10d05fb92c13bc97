/** What README.md promises: its commands exist, and the answer that it shows is the answer. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };
import { openSession } from "../src/cli/engine.ts";
import type { Output } from "../src/cli/io.ts";
import { run } from "../src/cli/run.ts";

const readme = readFileSync("README.md", "utf8");
const blocks = [...readme.matchAll(/^```\n([\s\S]*?)^```$/gm)].map((m) => m[1]!);

function toWriter(write: (text: string) => void): Output {
  return { isTTY: false, columns: undefined, write: async (text) => write(text) };
}

test("the first block is two commands", () => {
  const [first, second] = blocks[0]!.trimEnd().split("\n");
  expect(first).toMatch(/^npm install && npm run build && bin\/kubewalk walk examples\//);
  expect(second).toBe("npm test");
  expect(Object.keys(packageJson.scripts)).toEqual(expect.arrayContaining(["build", "test"]));
});

test("the second block is how the answer to the first begins", async () => {
  const args = blocks[0]!.split("\n")[0]!.split("bin/kubewalk ")[1]!.split(" ");
  let out = "";
  const status = await run(args, {
    io: {
      stdin: (async function* () {})(),
      out: toWriter((text) => (out += text)),
      err: toWriter((text) => expect(text).toBe("")),
      env: { COLUMNS: "110" },
    },
    openSession,
    now: () => 0,
  });
  expect(status).toBe(1);
  expect(out.startsWith(blocks[1]!), out).toBe(true);
});

test("files that it names are there", () => {
  const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((m) => m[1]!);
  expect(links.filter((path) => !existsSync(path))).toEqual([]);
});
