/** Rules of this project that no compiler checks. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import packageJson from "../package.json" with { type: "json" };

function filesBelow(folder: string, ending: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => ending.test(path))
    .toSorted();
}

/** What a file imports: paths from the top of the project for its own files, names for the rest. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^"';]*?from\s+"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)|(?:^|\n)import\s+"([^"]+)"/g,
  );
  return [...found].map((m) => {
    const name = (m[1] ?? m[2] ?? m[3])!;
    return name.startsWith(".") ? normalize(join(dirname(path), name)) : name;
  });
}

/** The package of an import by name: `@noble/hashes` of `@noble/hashes/sha2.js`. */
const packageOf = (name: string): string =>
  name.startsWith("@") ? name.split("/", 2).join("/") : name.split("/", 1)[0]!;

const sources = filesBelow("src", /\.ts$/);
/** What ships: no tests, and nothing that only tests use. */
const code = sources.filter((p) => !p.endsWith(".test.ts") && !p.includes("/testing/"));

/** Folders in order: each may import from itself and from what stands before it in its list. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  "src/core/model": [],
  "src/core/parse": ["src/core/model"],
  "src/core/engine": ["src/core/model", "src/core/parse"],
  "src/core/networks": ["src/core/model", "src/core/parse"],
  "src/core/names": ["src/core/model"],
  "src/core/show": ["src/core/model", "src/core/engine", "src/core/names"],
  "src/core/diff": ["src/core/model", "src/core/parse", "src/core/networks", "src/core/show"],
  "src/core/compare": [
    "src/core/model",
    "src/core/parse",
    "src/core/networks",
    "src/core/names",
    "src/core/show",
    "src/core/diff",
  ],
  "src/core/redact": ["src/core/model", "src/core/parse", "src/core/networks"],
  "src/core/reach": ["src/core/model", "src/core/engine", "src/core/networks", "src/core/names"],
  "src/core/doctor": [
    "src/core/model",
    "src/core/parse",
    "src/core/engine",
    "src/core/networks",
    "src/core/names",
    "src/core/show",
    "src/core/diff",
    "src/core/reach",
  ],
  "src/core/schema": [
    "src/core/model",
    "src/core/show",
    "src/core/networks",
    "src/core/diff",
    "src/core/compare",
    "src/core/doctor",
  ],
  "src/host": ["src/core", "src/host"],
  "src/cli": ["src/core", "src/host", "package.json"],
};

/** Packages that the command is made of; everything else is for building and testing. */
const PACKAGES: Record<string, readonly string[]> = {
  "src/core": ["fastest-levenshtein"],
  "src/core/networks": ["@noble/hashes", "yaml"],
  "src/core/redact": ["@noble/hashes"],
  "src/core/schema": ["zod"],
  "src/host": ["tar-stream", "@kubernetes/client-node"],
  "src/host/lab": ["@noble/hashes", "yaml"],
  "src/cli": ["@bomb.sh/tab", "ansis", "commander", "string-width"],
};

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
const homeOf = (path: string): string | undefined => Object.keys(MAY_IMPORT).find((folder) => within(path, folder));

describe("imports go one way", () => {
  test.each(code)("%s", (path) => {
    const home = homeOf(path);
    expect(home, "belongs to a known folder").toBeDefined();
    const allowed = MAY_IMPORT[home!]!;
    const packages = Object.entries(PACKAGES).flatMap(([folder, names]) => (within(path, folder) ? names : []));
    const wrong = importsOf(path).filter((name) => {
      if (name.startsWith("src/") || name === "package.json")
        return !within(name, home!) && !allowed.some((folder) => within(name, folder));
      if (name.startsWith("node:")) return within(path, "src/core");
      return !packages.includes(packageOf(name));
    });
    expect(wrong).toEqual([]);
  });

  test("own files are imported with their ending", () => {
    const wrong = sources.flatMap((path) =>
      importsOf(path)
        .filter((n) => /^(?:src|test)\//.test(n) && !/\.(?:m?ts|sh|awk)$/.test(n))
        .map((n) => `${path}: ${n}`),
    );
    expect(wrong).toEqual([]);
  });
});

test("src/core uses nothing that only Node.js or a clock has", () => {
  const wrong = code
    .filter((p) => within(p, "src/core"))
    .filter((p) =>
      /\b(?:process|Buffer|require|setTimeout|setImmediate|fetch)\s*[.(]|\bDate\.now\(|\bnew Date\(\)|\bMath\.random\(|\bperformance\./.test(
        withoutComments(readFileSync(p, "utf8")),
      ),
    );
  expect(wrong).toEqual([]);
});

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
}

test("every source file says at its head what it is about", () => {
  expect(code.filter((p) => !readFileSync(p, "utf8").startsWith("/**"))).toEqual([]);
});

test("named exports only, no file that only passes exports on, no escapes from the compiler or the linter", () => {
  const banned: [string, RegExp][] = [
    ["default export", /^export default/m],
    ["export of everything", /^export \*/m],
    ["any", /(?::|\bas|<)\s*any\b\s*(?:[;,)>=|[\]{}]|$)/m],
    ["silenced compiler", /@ts-(?:ignore|expect-error|nocheck)/],
    ["silenced linter", /(?:eslint|oxlint)-disable/],
    ["promise for later", /\b(?:TODO|FIXME|XXX)\b/],
    ["unfinished", /not (?:yet )?implemented/i],
  ];
  const found = [...code, ...filesBelow("scripts", /\.(?:ts|mjs)$/)].flatMap((path) => {
    const text = readFileSync(path, "utf8");
    const noComments = withoutComments(text);
    return banned
      .filter(([what, re]) => re.test(what === "any" ? noComments : text))
      .map(([what]) => `${path}: ${what}`);
  });
  expect(found).toEqual([]);
});

test("no test is switched off for good", () => {
  const tests = [...sources, ...filesBelow("test", /\.ts$/)].filter(
    (p) => p.endsWith(".test.ts") && !p.endsWith("policy.test.ts"),
  );
  expect(
    tests.filter((p) => /\b(?:it|test|describe)\.(?:skip|only|todo|fails)\(/.test(readFileSync(p, "utf8"))),
  ).toEqual([]);
});

test("no code or test knows a recording by its name", () => {
  const files = [...sources, ...filesBelow("test", /\.ts$/)];
  expect(files.filter((p) => /fixtures\/[a-z]/.test(readFileSync(p, "utf8")))).toEqual([]);
});

test("the text of the project speaks of the project alone", () => {
  const banned = [
    // How something came to be written is not what it is about.
    /\b(?:ai|llms?|gpt|chatbots?|copilot|prompts?)\b/i,
    // Paths of the machine at hand.
    /(?:^|[\s"'`(=])\/(?:work|root|home|Users)\//m,
  ];
  const files = [
    ...sources,
    ...filesBelow("test", /\.(?:ts|txt)$/),
    ...filesBelow("scripts", /\.(?:ts|mts|mjs)$/),
    ...filesBelow("docs", /\.md$/),
    ...filesBelow("schemas", /\.json$/),
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "package.json",
    "bin/kubewalk",
    ".ci/run",
  ];
  const others = files.filter((p) => !p.endsWith("policy.test.ts"));
  expect(others.filter((p) => banned.some((re) => re.test(readFileSync(p, "utf8"))))).toEqual([]);
});

test("dependencies are these; an addition is a decision, made here", () => {
  const { dependencies, devDependencies } = packageJson;
  // The command is one bundled file: whoever installs it installs nothing else.
  expect(Object.keys(dependencies)).toEqual([]);
  expect(Object.keys(devDependencies)).toEqual([
    "@bomb.sh/tab",
    "@kubernetes/client-node",
    "@noble/hashes",
    "@types/node",
    "@types/tar-stream",
    "ansis",
    "commander",
    "esbuild",
    "fast-check",
    "fastest-levenshtein",
    "ipaddr.js",
    "oxfmt",
    "oxlint",
    "string-width",
    "tar-stream",
    "tinybench",
    "typescript",
    "vitest",
    "yaml",
    "zod",
  ]);
  for (const [name, range] of Object.entries(devDependencies)) expect(range, name).toMatch(/^\d+\.\d+\.\d+$/);
});

test("everything that is imported by name is a dependency", () => {
  const names = new Set(
    [...sources, ...filesBelow("test", /\.ts$/)]
      .flatMap(importsOf)
      .filter((n) => !/^(?:src|test|scripts|bench|fuzz|package\.json|node:)/.test(n)),
  );
  const packages = [...names].map(packageOf);
  expect(packages.filter((n) => !Object.hasOwn(packageJson.devDependencies, n))).toEqual([]);
});
