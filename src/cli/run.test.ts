import { describe, expect, test } from "vitest";
import { answered, oneDropped, refused, unknown } from "../../test/support/answers.ts";
import { kubewalk, type Given } from "../../test/support/host.ts";
import { makeSnapshot } from "../../test/support/snapshot.ts";
import type { Answer } from "../core/model/walk.ts";
import { ParseError } from "../core/model/source.ts";

const given: Given = { snapshot: makeSnapshot() };
const WALK = ["walk", "snap", "shop/client", "svc:shop/web:80"];
const saying = (answer: Answer): Given => ({ ...given, answer: () => answer });

describe("what the engine is asked", () => {
  test.each([
    [WALK, { from: "n1/pod/shop/client-1", proto: "tcp", to: "10.96.26.216", port: 80 }],
    [["walk", "snap", "n1", "10.0.0.1"], { from: "n1/host", proto: "icmp", to: "10.0.0.1" }],
    [
      ["walk", "snap", "n1", "10.0.0.1", "-p", "udp", "--port", "53"],
      { from: "n1/host", proto: "udp", to: "10.0.0.1", port: 53 },
    ],
    [
      ["walk", "snap", "n1", "svc:shop/web", "--port", "http", "-6"],
      { from: "n1/host", proto: "tcp", to: "fd00:96::1", port: 80 },
    ],
    [
      [...WALK, "--source-port", "4000", "--mark", "0x4000", "--ttl", "3", "--size", "1400", "--tcp-flags", "syn,ack"],
      {
        from: "n1/pod/shop/client-1",
        proto: "tcp",
        to: "10.96.26.216",
        port: 80,
        sourcePort: 4000,
        mark: 0x4000,
        ttl: 3,
        size: 1400,
        tcpFlags: "syn,ack",
      },
    ],
  ])("%j", async (args, question) => {
    const ran = await kubewalk(args, given);
    expect({ status: ran.status, err: ran.err }).toEqual({ status: 0, err: "" });
    expect(ran.asked.map((a) => JSON.parse(JSON.stringify(a.question)))).toEqual([question]);
  });

  test.each([
    [[], true, false],
    [["-o", "json"], false, false],
    [["-o", "json", "--steps"], true, false],
    [["-o", "jsonl", "--all-rules"], true, true],
  ])("steps with %j", async (flags, steps, allRules) => {
    const ran = await kubewalk([...WALK, ...flags], given);
    expect(ran.asked[0]).toMatchObject({ steps, allRules });
  });
});

describe("exit status", () => {
  test.each([
    ["answered", answered, 0],
    ["mixed", oneDropped, 1],
    ["failed", refused, 1],
    ["inconclusive", unknown, 4],
  ])("%s", async (_, answer, status) => {
    for (const format of ["text", "json", "jsonl"]) {
      expect((await kubewalk([...WALK, "-o", format], saying(answer))).status).toBe(status);
    }
  });

  test("of a headless Service: a failure of one address is certain, whatever else is not known", async () => {
    const verdicts = [unknown, refused];
    const ran = await kubewalk(["walk", "snap", "shop/client", "svc:shop/web-headless", "-o", "json"], {
      ...given,
      answer: () => verdicts.shift()!,
    });
    expect(ran.status).toBe(1);
    expect(JSON.parse(ran.out)).toEqual([unknown, refused]);
  });

  test("4 for a pod whose namespace was not recorded, with an answer that says so", async () => {
    const ran = await kubewalk(["walk", "snap", "shop/edge", "10.0.0.1:80", "-o", "json"], given);
    expect(ran.status).toBe(4);
    expect(JSON.parse(ran.out)).toMatchObject({
      verdict: "inconclusive",
      outcomes: [{ because: { text: "the network namespace of pod shop/edge on node n3 was not recorded" } }],
    });
  });

  test("3 when kubewalk itself fails", async () => {
    const ran = await kubewalk(WALK, {
      ...given,
      answer: () => {
        throw new TypeError("x is not a function");
      },
    });
    expect({ ...ran, err: ran.err.split("\n")[0] }).toMatchObject({
      status: 3,
      out: "",
      err: "error: kubewalk failed: TypeError: x is not a function",
    });
  });
});

describe("usage: one line on stderr, nothing on stdout, status 2", () => {
  test.each([
    [
      ["walk", "snap", "shop/clinet-1", "svc:shop/web:80"],
      "error: unknown pod shop/clinet-1; did you mean shop/client-1?\n",
    ],
    [
      ["walk", "snap", "n1", "svc:shop/web"],
      "error: Service shop/web has more than one port that fits: http 80/tcp, udp 81/udp; name one, such as svc:shop/web:80/tcp\n",
    ],
    [["walk", "other", "n1", "n2"], "error: other: there is no such file or folder\n"],
    [["walk", "snap", "n1"], "error: walk needs FROM and TO, or --batch FILE; see kubewalk walk --help\n"],
    [["walk", "snap", "n1", "n2", "--batch", "-"], "error: walk takes FROM and TO or --batch, not both\n"],
    [
      ["walk", "snap", "--batch", "-", "--mark", "1"],
      "error: with --batch, each question says its own protocol, port, mark and the like\n",
    ],
    [["walk", "snap", "n1", "n2", "--ttl", "300"], 'error: --ttl must be a whole number from 1 to 255, not "300"\n'],
    [
      ["walk", "snap", "n1", "n2", "--mark", "1e3"],
      'error: --mark must be a whole number from 0 to 4294967295, not "1e3"\n',
    ],
    [
      [...WALK, "-o", "yaml"],
      "error: option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are text, json, jsonl.\n",
    ],
    [
      [...WALK, "-p", "gre"],
      "error: option '-p, --proto <protocol>' argument 'gre' is invalid. Allowed choices are tcp, udp, icmp, sctp.\n",
    ],
    [
      [...WALK, "--color", "red"],
      "error: option '--color <when>' argument 'red' is invalid. Allowed choices are auto, always, never.\n",
    ],
    [[...WALK, "-4", "-6"], "error: option '-4' cannot be used with option '-6'\n"],
    [["wlak"], "error: unknown command 'wlak'\n(Did you mean walk?)\n"],
    [["walk"], "error: missing required argument 'snapshot'\n"],
    [[...WALK, "more"], "error: too many arguments for 'walk'. Expected 3 arguments but got 4.\n"],
    [["show", "snap", "n9"], "error: unknown pod or node n9; did you mean n1 or n2 or n3?\n"],
  ])("%j", async (args, err) => {
    expect(await kubewalk(args, given)).toMatchObject({ status: 2, out: "", err });
  });
});

describe("help and version go to stdout", () => {
  test.each([["--help"], ["walk", "--help"], ["show", "--help"]])("%s %s", async (...args) => {
    const ran = await kubewalk(
      args.filter((a) => a !== undefined),
      given,
    );
    expect(ran).toMatchObject({ status: 0, err: "" });
    await expect(ran.out).toMatchFileSnapshot(
      `text/snapshots/help-${args.filter((a) => !a?.startsWith("-")).join("-") || "all"}.txt`,
    );
  });
  test("--version", async () => {
    const ran = await kubewalk(["--version"], given);
    expect(ran).toMatchObject({ status: 0, err: "" });
    expect(ran.out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
  test("without a command, help goes to stderr and the status is 2", async () => {
    const ran = await kubewalk([], given);
    expect(ran).toMatchObject({ status: 2, out: "" });
    expect(ran.err).toContain("Usage: kubewalk");
  });
});

describe("what is decorative stays off", () => {
  const escape = "\u001B[";
  test.each([
    [true, {}, [], true],
    [false, {}, [], false],
    [true, { NO_COLOR: "1" }, [], false],
    [true, { NO_COLOR: "" }, [], true],
    [true, { TERM: "dumb" }, [], false],
    [true, {}, ["--color", "never"], false],
    [false, { NO_COLOR: "1" }, ["--color", "always"], true],
  ])("terminal %s, %j, %j: colour %s", async (tty, env, flags, colour) => {
    const ran = await kubewalk([...WALK, ...flags], { ...saying(oneDropped), tty, env });
    expect(ran.out.includes(escape)).toBe(colour);
  });

  test("COLUMNS and the terminal's width are kept to", async () => {
    const widest = (ran: { out: string }): number =>
      Math.max(
        ...ran.out
          .split("\n")
          .filter((l) => l.startsWith("    "))
          .map((l) => l.length),
      );
    expect(
      widest(await kubewalk(WALK, { ...saying(answered), tty: true, columns: 90, env: { TERM: "dumb" } })),
    ).toBeLessThanOrEqual(90);
    expect(widest(await kubewalk(WALK, { ...saying(answered), env: { COLUMNS: "100" } }))).toBeLessThanOrEqual(100);
    expect(widest(await kubewalk(WALK, saying(answered)))).toBeGreaterThan(200);
  });

  test("JSON has no colour on a terminal", async () => {
    expect((await kubewalk([...WALK, "-o", "json"], { ...saying(answered), tty: true })).out).not.toContain(escape);
  });
});

test("problems of the snapshot are warnings on stderr, ten of them", async () => {
  const problems = Array.from(
    { length: 12 },
    (_, i) => new ParseError({ file: "nodes/n1/host/ipset.txt", line: i + 1 }, "expected create or add"),
  );
  const ran = await kubewalk([...WALK, "-o", "jsonl"], { snapshot: { ...makeSnapshot(), problems } });
  expect(ran.status).toBe(0);
  expect(ran.err.split("\n").slice(0, 2)).toEqual([
    "warning: nodes/n1/host/ipset.txt:1: expected create or add",
    "warning: nodes/n1/host/ipset.txt:2: expected create or add",
  ]);
  expect(ran.err).toContain("warning: and 2 more (kubewalk show lists them)\n");
  expect(ran.out.split("\n")).toHaveLength(2);
});
