import fc from "fast-check";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { NftFamily, NftJson, NftRuleset, NftTable } from "../model/nftables.ts";
import { ruleText } from "../model/nft-text.ts";
import { ParseError } from "../model/source.ts";
import type { Source } from "../model/source.ts";
import { parseNftJson } from "./nft-json.ts";
import { printNftJson } from "./nft/print.ts";

const RECORDINGS = join(import.meta.dirname, "../../../../shared/fixtures");

function recordings(): string[] {
  if (!existsSync(RECORDINGS)) return [];
  return readdirSync(RECORDINGS, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith("/nft.json"))
    .map((path) => join(RECORDINGS, path));
}

const FILES = recordings();

/** nft.txt beside nft.json; null when it is empty or missing. */
function textBeside(file: string): { text: string; file: string } | null {
  const path = file.replace(/json$/, "txt");
  return existsSync(path) ? { text: readFileSync(path, "utf8"), file: path } : null;
}

const SMALL = `{"nftables": [
{"metainfo": {"version": "1.0.6"}},
{"table": {"family": "ip", "name": "t", "handle": 1, "flags": "dormant", "comment": "c"}},
{"set": {"family": "ip", "name": "s", "table": "t", "type": ["ipv4_addr", "inet_service"], "handle": 4, "flags": ["timeout"], "timeout": 60, "size": 10, "elem": [{"concat": ["10.0.0.1", 80]}]}},
{"map": {"family": "ip", "name": "m", "table": "t", "type": {"typeof": {"payload": {"protocol": "ip", "field": "length"}}}, "handle": 5, "map": "verdict"}},
{"ct helper": {"family": "ip", "name": "h", "table": "t", "handle": 9, "type": "ftp", "protocol": "tcp"}},
{"chain": {"family": "ip", "table": "t", "name": "c", "handle": 2, "type": "filter", "hook": "input", "prio": -110, "policy": "drop"}},
{"chain": {"family": "ip", "table": "t", "name": "d", "handle": 3}},
{"rule": {"family": "ip", "table": "t", "chain": "c", "handle": 7, "comment": "one", "expr": [{"accept": null}]}}
]}`;

const SMALL_TXT = `table ip t { # handle 1
	flags dormant
	chain c { # handle 2
		type filter hook input priority -110; policy drop;
		counter packets 1 bytes 2 accept comment "# handle 3" # handle 7
	}
	chain d { # handle 3
	}
}
`;

describe("a ruleset", () => {
  const ruleset = parseNftJson(SMALL, "nft.json", null);
  const table = ruleset.tables[0]!;

  test("tables, sets, objects, chains, rules", () => {
    expect(table).toMatchObject({ family: "ip", name: "t", flags: ["dormant"], more: { comment: "c" } });
    expect(table.sets[0]).toMatchObject({
      keyTypes: ["ipv4_addr", "inet_service"],
      valueType: null,
      timeout: 60,
      more: { size: 10 },
    });
    expect(table.sets[1]).toMatchObject({
      isMap: true,
      valueType: "verdict",
      keyTypes: [expect.stringMatching("typeof")],
    });
    expect(table.objects).toMatchObject([{ kind: "ct helper", name: "h" }]);
    expect(table.chains[0]?.base).toEqual({
      type: "filter",
      hook: "input",
      priority: -110,
      policy: "drop",
      devices: [],
      source: { file: "nft.json", line: 7 },
    });
    expect(table.chains[0]?.rules).toMatchObject([
      { handle: 7, comment: "one", source: { file: "nft.json", line: 9 } },
    ]);
  });

  test("lines are those of nft.txt where it is there", () => {
    const t = parseNftJson(SMALL, "nft.json", { text: SMALL_TXT, file: "nft.txt" }).tables[0]!;
    expect(t.source).toEqual({ file: "nft.txt", line: 1 });
    expect(t.chains.map((c) => c.source.line)).toEqual([3, 7]);
    expect(t.chains[0]?.base?.source).toEqual({ file: "nft.txt", line: 4 });
    expect(t.chains[0]?.rules[0]?.source).toEqual({ file: "nft.txt", line: 5 });
    // nft.txt does not show the set.
    expect(t.sets[0]?.source).toEqual({ file: "nft.json", line: 4 });
  });

  test("a rule's text is its line without the handle", () => {
    expect(ruleText(SMALL_TXT.split("\n")[4]!)).toBe('counter packets 1 bytes 2 accept comment "# handle 3"');
  });

  test("printed and read again it is the same", () => {
    const flat = parseNftJson(SMALL.replaceAll("\n", ""), "nft.json", null);
    expect(parseNftJson(printNftJson(flat), "nft.json", null)).toEqual(flat);
  });
});

describe("malformed input names its line", () => {
  const cases: [text: string, message: RegExp][] = [
    ["", /^f:1: JSON is cut off/],
    ["[]", /^f:1: nft's ruleset should be an object/],
    ["{}", /"nftables" is missing/],
    ['{"nftables": [1]}', /every element of "nftables" should be an object/],
    ['{"nftables": [{}]}', /one key/],
    ['{"nftables":\n[\n{"table": {"family": "ip5", "name": "t"}}]}', /^f:3: "ip5" is no family/],
    ['{"nftables": [{"chain": {"family": "ip", "table": "t", "name": "c"}}]}', /table ip t is not there/],
    [
      '{"nftables": [{"table": {"family": "ip", "name": "t"}},\n{"rule": {"family": "ip", "table": "t", "chain": "c"}}]}',
      /^f:2: chain ip t c is not there/,
    ],
    [
      '{"nftables": [{"table": {"family": "ip", "name": "t"}}, {"chain": {"family": "ip", "table": "t", "name": "c", "hook": "input", "type": "filter"}}]}',
      /"prio" is missing/,
    ],
  ];
  test.each(cases)("%s", (text, message) => {
    expect(() => parseNftJson(text, "f", null)).toThrow(ParseError);
    expect(() => parseNftJson(text, "f", null)).toThrow(message);
  });
});

describe.skipIf(FILES.length === 0)(`recordings${FILES.length === 0 ? " (skipped: none here)" : ""}`, () => {
  test("read, and read the same again once printed", () => {
    for (const file of FILES) {
      const text = readFileSync(file, "utf8");
      const ruleset = parseNftJson(text, file, null);
      const again = parseNftJson(printNftJson(ruleset), file, null);
      // As text: comparing objects of this size one by one takes seconds.
      expect(JSON.stringify(again) === JSON.stringify(ruleset), file).toBe(true);
    }
  });

  test("nothing that nft printed is lost", () => {
    const items = (text: string): string[] =>
      (JSON.parse(text) as { nftables: Record<string, unknown>[] }).nftables
        .filter((item) => item["metainfo"] === undefined)
        .map((item) => JSON.stringify(sorted(item as NftJson)))
        .toSorted();
    for (const file of FILES) {
      const text = readFileSync(file, "utf8");
      const printed = items(printNftJson(parseNftJson(text, file, null)));
      expect(printed.join("\n") === items(text).join("\n"), file).toBe(true);
    }
  });

  test("every rule, chain and set is found in nft.txt", () => {
    let found = 0;
    const wrong: string[] = [];
    for (const file of FILES) {
      const beside = textBeside(file);
      if (beside === null) continue;
      const lines = beside.text.split("\n");
      const check = (source: Source, ...parts: string[]): void => {
        const line = lines[source.line - 1] ?? "";
        found++;
        if (source.file !== beside.file || !parts.every((part) => line.includes(part)))
          wrong.push(`${source.file}:${source.line}: ${parts.join(" … ")}`);
      };
      for (const t of parseNftJson(readFileSync(file, "utf8"), file, beside).tables) {
        check(t.source, `table ${t.family} ${t.name} { # handle ${t.handle}`);
        for (const set of t.sets) check(set.source, `${set.isMap ? "map" : "set"} ${set.name} {`);
        for (const chain of t.chains) {
          check(chain.source, `\tchain ${chain.name} { # handle ${chain.handle}`);
          if (chain.base !== null) check(chain.base.source, `type ${chain.base.type} hook ${chain.base.hook}`);
          for (const rule of chain.rules) check(rule.source, ` # handle ${rule.handle}`);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(found).toBeGreaterThan(1000);
  });

  test("broken bytes give a ruleset or a ParseError", () => {
    const file = FILES.find(
      (each) => each.includes("hostgw") && each.includes("host/nft.json") && readFileSync(each).length > 1000,
    )!;
    const bytes = readFileSync(file);
    const mutation = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255), fc.constantFrom("set", "delete", "copy"));
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 6 }), (mutations) => {
        let broken = Buffer.from(bytes);
        for (const [at, byte, how] of mutations) {
          const here = at % broken.length;
          if (how === "set") broken[here] = byte;
          else if (how === "delete") broken = Buffer.concat([broken.subarray(0, here), broken.subarray(here + byte)]);
          else
            broken = Buffer.concat([
              broken.subarray(0, here),
              broken.subarray(here, here + byte),
              broken.subarray(here),
            ]);
        }
        try {
          parseNftJson(broken.toString("utf8"), "nft.json", null);
        } catch (e) {
          expect(e).toBeInstanceOf(ParseError);
        }
      }),
      { numRuns: 150 },
    );
  });
});

/** With the keys of objects in order, at every depth; lists of one flag as nft 1.0.6 prints them. */
function sorted(value: NftJson): NftJson {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([x], [y]) => (x < y ? -1 : 1))
      .map(([key, each]) => [key, sorted(each)]),
  );
}

const word = fc.stringMatching(/^[a-z_][a-z0-9_/-]{0,12}$/);
const value: fc.Arbitrary<NftJson> = fc.jsonValue().map((v) => JSON.parse(JSON.stringify(v)) as NftJson);
const statement = fc.tuple(word, value).map(([tag, body]): NftJson => ({ [tag]: body }));
const HERE = { file: "nft.json", line: 1 };

const table: fc.Arbitrary<NftTable> = fc.record({
  family: fc.constantFrom<NftFamily>("ip", "ip6", "inet", "bridge", "netdev", "arp"),
  name: word,
  handle: fc.nat(),
  flags: fc.uniqueArray(word, { maxLength: 2 }),
  chains: fc.uniqueArray(
    fc.record({
      name: word,
      handle: fc.nat(),
      base: fc.option(
        fc.record({
          type: word,
          hook: word,
          priority: fc.integer({ min: -500, max: 500 }),
          policy: fc.constantFrom("accept" as const, "drop" as const),
          devices: fc.array(word, { maxLength: 2 }),
          source: fc.constant(HERE),
        }),
      ),
      rules: fc.array(
        fc.record({
          handle: fc.nat(),
          expr: fc.array(statement, { maxLength: 3 }),
          comment: fc.option(fc.string()),
          source: fc.constant(HERE),
        }),
        { maxLength: 4 },
      ),
      source: fc.constant(HERE),
    }),
    { selector: (chain) => chain.name, maxLength: 4 },
  ),
  sets: fc.uniqueArray(
    fc
      .record({
        name: word,
        handle: fc.nat(),
        keyTypes: fc.array(word, { minLength: 1, maxLength: 3 }),
        value: fc.option(word),
        flags: fc.array(word, { maxLength: 2 }),
        elements: fc.array(value, { maxLength: 3 }),
        timeout: fc.option(fc.nat()),
        source: fc.constant(HERE),
      })
      .map(({ value: valueType, ...set }) => ({ ...set, isMap: valueType !== null, valueType })),
    { selector: (set) => set.name, maxLength: 3 },
  ),
  objects: fc.constant([]),
  source: fc.constant(HERE),
});

test("parse is the inverse of print", () => {
  const ruleset: fc.Arbitrary<NftRuleset> = fc.record({
    file: fc.constant("nft.json"),
    tables: fc.uniqueArray(table, { selector: (t) => `${t.family} ${t.name}`, maxLength: 3 }),
  });
  fc.assert(
    fc.property(ruleset, (r) => {
      expect(parseNftJson(printNftJson(r), "nft.json", null)).toEqual(r);
    }),
    { numRuns: 100 },
  );
});
