/** `kubewalk redact` on recordings of real clusters: nothing of whose they are is left, and they walk and are diagnosed as before. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSession } from "../src/cli/engine.ts";
import { run } from "../src/cli/run.ts";
import { diff } from "../src/core/diff/diff.ts";
import { doctor } from "../src/core/doctor/doctor.ts";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import { formatIp, inPrefix, ip4, ip6, parseIp, parsePrefix, prefixOf } from "../src/core/model/address.ts";
import type { Snapshot } from "../src/core/model/snapshot.ts";
import type { Answer, Question } from "../src/core/model/walk.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import { AddressMap, stays } from "../src/core/redact/addresses.ts";
import { redact, type RedactMap } from "../src/core/redact/redact.ts";
import { isSystemNamespace, isVocabulary } from "../src/core/redact/vocabulary.ts";
import { collectedSchema } from "../src/core/schema/collect.ts";
import { compareSchema } from "../src/core/schema/compare.ts";
import { archiveFiles } from "../src/host/snapshot/archive-files.ts";
import { folderFiles } from "../src/host/snapshot/folder-files.ts";
import { questionsOf } from "./judge/probes.ts";
import { openRecording, recordingsIn } from "./judge/recording.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
const recordings = recordingsIn(FIXTURES);

test("there are recordings to redact", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

type Files = Map<string, string>;

const assembled = (files: Files): Snapshot =>
  assembleSnapshot({ paths: () => files.keys(), read: (path) => files.get(path) });

/** Names that must be gone: of pods, Services, nodes, and namespaces that are no system's. */
function namesIn({ cluster, nodes, namespaces }: Snapshot): string[] {
  const names = [
    ...nodes,
    ...cluster.nodes.map((each) => each.name),
    ...cluster.pods.flatMap((each) => [each.name, each.namespace]),
    ...cluster.services.flatMap((each) => [each.name, each.namespace]),
    ...namespaces.flatMap((each) => (each.pod === null ? [] : [each.pod.name, each.pod.namespace])),
  ];
  return [...new Set(names)].filter((name) => !isVocabulary(name) && !isSystemNamespace(name));
}

/** Addresses of IPv4 and IPv6 in any text, read in another way than the redaction does. */
function publicIn(text: string): string[] {
  const words = text.match(/[\da-fA-F:.]{3,}/g) ?? [];
  const found = words.flatMap((word) => {
    const tries = [
      word,
      word.replace(/^[.:]+|[.:]+$/g, ""),
      word.replace(/:\d+$/, ""),
      word.replace(/^.*?:(?=\d+\.\d)/, ""),
    ];
    return tries.flatMap((each) => parseIp(each) ?? []).slice(0, 1);
  });
  return [...new Set(found.filter((ip) => !stays(ip)).map((ip) => formatIp(ip)))];
}

/** Shares by what clients meet and who answers: what a walk says, without the lines of its files. */
const said = (answer: Answer, name: (place: string) => string, address: (text: string) => string): string[] => [
  answer.verdict,
  ...answer.outcomes
    .map(({ share, client, disposition, server }) => {
      const by =
        server === undefined
          ? ""
          : `${name(server.at)} ${address(server.address)} ${server.port} ${address(server.clientAddress)}`;
      return `${share?.num}/${share?.den} ${client} ${disposition} ${by}`;
    })
    .toSorted(),
];

describe.each(recordings.map((dir) => [basename(dir), dir] as const))("%s", (_name, dir) => {
  let before: Snapshot;
  let after: Snapshot;
  let files: Files;
  let made: Files;
  let map: RedactMap;

  beforeAll(() => {
    const source = folderFiles(join(dir, "snapshot"));
    files = new Map([...source.paths()].map((path) => [path, source.read(path)!]));
    const redacted = redact({ paths: () => files.keys(), read: (path) => files.get(path) }, "a secret of the tests");
    made = new Map(redacted.files.map((file) => [file.path, file.text()]));
    map = redacted.map();
    expect(redacted.notes).toEqual([]);
    before = assembled(files);
    after = assembled(made);
  });

  const place = (text: string): string =>
    text
      .split("/")
      .map((part) => map.names[part] ?? part)
      .join("/");
  const address = (text: string): string => map.addresses[formatIp(parseIp(text)!)] ?? text;

  test("no name and no public address is left, anywhere", () => {
    expect(made.size).toBe(files.size);
    const names = namesIn(before);
    expect(names.length).toBeGreaterThan(15);
    const word = new RegExp(
      `(?<![A-Za-z0-9])(?:${names.map((each) => each.replaceAll(".", "\\.")).join("|")})(?![A-Za-z0-9])`,
      "g",
    );
    // Names that nothing else could be are looked for within words, too.
    const unmistakable = names.filter((each) => each.length > 6 && /[-\d]/.test(each));
    const addresses = new Set([...files.values()].flatMap(publicIn));
    const left: string[] = [];
    for (const [path, text] of made) {
      const whole = `${path}\n${text}`;
      for (const found of new Set(whole.match(word))) left.push(`${path}: ${found}`);
      for (const each of unmistakable) if (whole.includes(each)) left.push(`${path}: within a word: ${each}`);
      for (const each of publicIn(text)) if (addresses.has(each)) left.push(`${path}: ${each}`);
      for (const each of addresses)
        if (
          whole.includes(each) &&
          each.length > 6 &&
          new RegExp(`(?<![\\d.])${each.replaceAll(".", "\\.")}(?!\\.?\\d)`).test(whole)
        )
          left.push(`${path}: ${each}`);
    }
    expect([...new Set(left)]).toEqual([]);
    expect(addresses.size).toBeGreaterThan(3);
  });

  test("it loads as before", () => {
    expect(after.problems).toEqual(before.problems);
    expect(after.nodes).toEqual(before.nodes.map(place));
    expect(
      after.namespaces.map((ns) => [ns.place, [...ns.missing.keys()], ns.routes4.length, ns.xtables.length]).toSorted(),
    ).toEqual(
      before.namespaces
        .map((ns) => [place(ns.place), [...ns.missing.keys()], ns.routes4.length, ns.xtables.length])
        .toSorted(),
    );
  });

  test("every probe of the truth is answered as before", () => {
    const worlds = [createWorld(before), createWorld(after)] as const;
    const { truth } = openRecording(dir);
    const questions = questionsOf(truth);
    expect(questions.length).toBeGreaterThan(100);
    for (const question of questions) {
      const other: Question = { ...question, from: place(question.from), to: address(question.to) };
      const [a, b] = [ask(worlds[0], question, {}), ask(worlds[1], other, {})];
      const same = (text: string): string => text;
      expect(said(b, same, same), `${question.from} → ${question.to}:${question.port}`).toEqual(
        said(a, place, address),
      );
    }
  });

  test("the doctor finds the same, and what the networks intend differs from what is there as before", () => {
    const found = (snapshot: Snapshot, name: (text: string) => string): string[] =>
      doctor(snapshot)
        .findings.map(({ id, severity, at }) => `${severity} ${id} at ${name(at)}`)
        .toSorted();
    expect(found(after, (at) => at)).toEqual(found(before, place));
    const counts = (snapshot: Snapshot): unknown => {
      const { differences, unowned, unknown } = diff(snapshot);
      return { differences: differences.length, unowned: unowned.length, unknown: unknown.length };
    };
    expect(counts(after)).toEqual(counts(before));
  });

  test("again with its own map: the same again", () => {
    const again = redact({ paths: () => files.keys(), read: (path) => files.get(path) }, "another secret", map);
    expect(new Map(again.files.map((file) => [file.path, file.text()]))).toEqual(made);
  });
});

describe.skipIf(recordings.length === 0)("the commands (skipped without recordings)", () => {
  const snapshot = join(recordings[0] ?? "", "snapshot");
  let home = "";
  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), "kubewalk-redact-test-"));
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  async function kubewalk(...argv: string[]): Promise<{ status: number; out: string; err: string }> {
    const printed = { out: "", err: "" };
    const to = (name: "out" | "err") => ({
      isTTY: false,
      columns: undefined,
      write: async (text: string) => {
        printed[name] += text;
      },
    });
    const io = { stdin: Readable.from([]), out: to("out"), err: to("err"), env: {} };
    return { status: await run(argv, { io, openSession, now: () => 0 }), ...printed };
  }

  test("assemble --redact leaves no name and no public address, and what it wrote is read", async () => {
    const pieces = join(home, "pieces");
    mkdirSync(pieces);
    const ended = JSON.stringify({ format: "kubewalk.collect/v1", startedAt: 1, endedAt: 2, changed: [], removed: [] });
    for (const node of ["n1", "n2"]) {
      const folder = join(home, node);
      cpSync(join(snapshot, "nodes", node), folder, { recursive: true });
      const begun = { format: "kubewalk.node/v1", name: node, hostname: node, startedAt: 1, way: "direct" };
      writeFileSync(join(folder, "node.json"), JSON.stringify(begun));
      writeFileSync(join(folder, "collect.json"), ended);
      execFileSync("tar", [
        "-C",
        folder,
        "-cf",
        join(pieces, `${node}.tar`),
        "node.json",
        "host",
        "netns",
        "collect.json",
      ]);
    }
    const out = join(home, "assembled.tar.gz");
    const args = [pieces, join(snapshot, "cluster"), "--redact", "-o", out, "--output", "json"];
    const { status, out: report } = await kubewalk("assemble", ...args);
    expect([status, collectedSchema.parse(JSON.parse(report)).nodes.length]).toEqual([0, 2]);
    const files = await archiveFiles(out);
    const text = [...files.paths()].map((path) => `${path}\n${files.read(path) ?? ""}`).join("\n");
    expect(text).not.toMatch(/\bshop\b|203\.0\.113\.10\b/);
    expect(assembleSnapshot(files).nodes).toEqual(["node-1", "node-2"]);
  });

  test("redact writes an archive and a map, and follows the map; diff finds nothing between two of one map", async () => {
    const [one, two, map] = ["one.tar.gz", "two.tgz", "map.json"].map((name) => join(home, name)) as [
      string,
      string,
      string,
    ];
    const first = await kubewalk("redact", snapshot, "-o", one, "--map", map);
    expect(first).toMatchObject({ status: 0, err: "" });
    expect(first.out).toMatch(/one\.tar\.gz: \d+ files; replaced \d+ names and \d+ public addresses\n$/);
    expect(statSync(map).mode & 0o777).toBe(0o600);
    expect((await kubewalk("redact", snapshot, "-o", two, "--map", map)).status).toBe(0);
    expect(readFileSync(two).equals(readFileSync(one))).toBe(true);
    expect(await kubewalk("diff", one, two)).toEqual({ status: 0, out: "nothing changed\n", err: "" });
    // Without the map, other addresses: routes and walks to them are others.
    expect((await kubewalk("redact", snapshot, "-o", two)).status).toBe(0);
    const changed = await kubewalk("diff", one, two, "--no-walks", "-o", "json");
    expect(changed.status).toBe(1);
    expect(compareSchema.parse(JSON.parse(changed.out)).walks).toEqual({ asked: 0, left: 0, changed: [] });
  }, 120_000);

  test("bad input is one clear error", async () => {
    const map = join(home, "bad.json");
    writeFileSync(map, "{}");
    expect(await kubewalk("redact", snapshot, "-o", join(home, "x.zip"))).toMatchObject({ status: 2, out: "" });
    expect(await kubewalk("redact", snapshot, "-o", join(home, "x.tgz"), "--map", map)).toMatchObject({
      status: 2,
      err: `error: ${map}: is no map of kubewalk redact (kubewalk.redact-map/v1)\n`,
    });
    expect((await kubewalk("redact", join(home, "nowhere"), "-o", join(home, "x.tgz"))).status).toBe(2);
    expect(await kubewalk("diff", snapshot, "--no-walks")).toMatchObject({ status: 2, out: "" });
    const questions = join(home, "questions.jsonl");
    writeFileSync(questions, '{"from":"n1/host","to":"svc:shop/web:80"}\n{"from":"nobody","to":"10.0.0.1"}\n');
    const asked = await kubewalk("diff", snapshot, snapshot, "--batch", questions);
    expect(asked).toMatchObject({ status: 2, out: "" });
    expect(asked.err).toContain(`${questions}:2: in the first snapshot: `);
  }, 60_000);
});

describe("addresses", () => {
  const v4 = fc.integer({ min: 0, max: 0xffff_ffff }).map((word) => ip4(word));
  const v6 = fc
    .tuple(fc.integer(), fc.integer(), fc.integer(), fc.integer())
    .map(([a, b, c, d]) => ip6((a & 0x1fff_ffff) | 0x2000_0000, b, c, d));
  const map = new AddressMap("a secret of the tests");

  test("keep every prefix that they share, and no other; what stays, stays", () => {
    const pair = fc.oneof(fc.tuple(v4, v4, fc.nat(32)), fc.tuple(v6, v6, fc.nat(128)));
    fc.assert(
      fc.property(pair, ([x, other, len]) => {
        // Half of the pairs share their first bits.
        const base = prefixOf(x, len);
        const y = len % 2 === 0 ? other : mixed(base.ip, other, len);
        for (const bits of [len, 8, 24]) {
          const shared = inPrefix(y, prefixOf(x, bits));
          expect(inPrefix(map.address(y), prefixOf(map.address(x), bits))).toBe(shared);
        }
        expect(formatIp(map.prefix(x, len))).toBe(formatIp(prefixOf(map.address(x), len).ip));
        expect(stays(map.address(x))).toBe(stays(x));
        if (stays(x)) expect(map.address(x)).toEqual(x);
      }),
      { numRuns: 300, seed: 20261121 },
    );
  });

  test("ranges that everyone knows are left", () => {
    for (const text of [
      "10.1.2.3",
      "192.168.0.1",
      "172.31.0.1",
      "100.64.0.1",
      "127.0.0.1",
      "169.254.1.1",
      "fd00::1",
      "fe80::1",
      "::1",
      "ff02::1",
    ])
      expect(formatIp(map.address(parseIp(text)!))).toBe(text);
    for (const text of ["8.8.8.8", "203.0.113.10", "2001:db8::1", "::ffff:8.8.8.8"])
      expect(formatIp(map.address(parseIp(text)!))).not.toBe(text);
  });
});

/** The first `len` bits of one address, the rest of another. */
function mixed(base: ReturnType<typeof ip4>, rest: ReturnType<typeof ip4>, len: number): ReturnType<typeof ip4> {
  const host = (word: number, kept: number, i: number): number => {
    const bits = Math.max(0, Math.min(32, len - 32 * i));
    const mask = bits === 0 ? 0 : -1 << (32 - bits);
    return kept | (word & ~mask);
  };
  if (base.v === 4) return ip4(host(rest.a, base.a, 0));
  return ip6(host(rest.a, base.a, 0), host(rest.b, base.b, 1), host(rest.c, base.c, 2), host(rest.d, base.d, 3));
}

test("spellings of addresses", () => {
  const files = new Map([
    ["snapshot.json", '{"format":"kubewalk.snapshot/v1","nodes":["n1"]}'],
    [
      "nodes/n1/files/etc/all.conf",
      [
        "a 203.0.113.10/24 b 203.0.113.0/24 c 203.0.113.10:80 d [2001:db8::1]:80 e 2001:db8::/32",
        "f 10.113.0.203.in-addr.arpa g 203.0.113.16-203.0.113.31 h 8.8.8.8. i 1.2.3 v1.30.1 12:34:56 02:00:00:00:00:01",
        'k {"prefix": {"addr": "203.0.113.0", "len": 24}} l {"range": ["203.0.113.0", "203.0.113.255"]}',
        "m ip-203-0-113-10.compute.internal n 10.0.0.1-10.0.0.5 o 0.0.0.0/0 p 255.255.255.0",
      ].join("\n"),
    ],
  ]);
  const redacted = redact({ paths: () => files.keys(), read: (path) => files.get(path) }, "x");
  const text = redacted.files[1]!.text();
  const { addresses } = redacted.map();
  const one = addresses["203.0.113.10"]!;
  const net = formatIp(prefixOf(parseIp(one)!, 24).ip);
  const [, second] = text.split("\n");
  expect(text.split("\n")[0]).toBe(
    `a ${one}/24 b ${net}/24 c ${one}:80 d [${addresses["2001:db8::1"]}]:80 e ${formatIp(prefixOf(parseIp(addresses["2001:db8::1"]!)!, 32).ip)}/32`,
  );
  expect(second).toContain(`f ${one.split(".").toReversed().join(".")}.in-addr.arpa `);
  expect(second).toContain(" i 1.2.3 v1.30.1 12:34:56 02:00:00:00:00:01");
  expect(second).toContain(` h ${addresses["8.8.8.8"]}. `);
  const [from, to] = / g (\S+)-(\S+) h/
    .exec(second!)!
    .slice(1)
    .map((each) => parseIp(each)!);
  expect([to!.a - from!.a, inPrefix(from!, parsePrefix(`${net}/24`)!)]).toEqual([15, true]);
  expect(text.split("\n")[2]).toBe(
    `k {"prefix": {"addr": "${net}", "len": 24}} l {"range": ["${net}", "${net.replace(/\.0$/, ".255")}"]}`,
  );
  expect(text.split("\n")[3]).toBe(
    `m ip-${one.replaceAll(".", "-")}.compute.internal n 10.0.0.1-10.0.0.5 o 0.0.0.0/0 p 255.255.255.0`,
  );
  expect(redacted.notes).toEqual([]);
});
