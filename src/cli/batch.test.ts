import { rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { refused } from "../../test/support/answers.ts";
import { kubewalk, type Given, type Ran } from "../../test/support/host.ts";
import { makeSnapshot } from "../../test/support/snapshot.ts";

const given: Given = { snapshot: makeSnapshot() };
const batch = (stdin: string[], more: Partial<Given> = {}, flags: string[] = ["-o", "jsonl"]): Promise<Ran> =>
  kubewalk(["walk", "snap", "--batch", "-", ...flags], { ...given, stdin, ...more });
const q = (to: string, more: object = {}): string =>
  JSON.stringify({ from: "n1/host", proto: "tcp", to, port: 80, ...more });
const tos = (ran: Ran): string[] =>
  ran.out
    .split("\n")
    .filter((l) => l !== "")
    .map((l) => (JSON.parse(l) as { to: string }).to);

describe("questions in, answers out, in order", () => {
  const three = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
  test.each<[string, string[]]>([
    ["JSON lines", [three.map((t) => q(t)).join("\n") + "\n"]],
    ["without a newline at the end", [three.map((t) => q(t)).join("\n")]],
    ["with blank lines, CRLF and a byte order mark", ["\uFEFF\n" + three.map((t) => q(t)).join("\r\n\r\n") + "\r\n\n"]],
    ["an array on one line", [`[${three.map((t) => q(t)).join(",")}]`]],
    [
      "an indented array",
      [
        JSON.stringify(
          three.map((t) => JSON.parse(q(t)) as unknown),
          null,
          2,
        ),
      ],
    ],
    ["character by character", [...three.map((t) => q(t)).join("\n")]],
    [
      "an array character by character",
      [...("[ " + three.map((t) => q(t, { tcpFlags: 'a"],\\' })).join(" ,\n") + " ]\n")],
    ],
  ])("%s", async (_, stdin) => {
    const ran = await batch(stdin);
    expect({ status: ran.status, err: ran.err }).toEqual({ status: 0, err: "" });
    expect(tos(ran)).toEqual(three);
  });

  test.each([[[""]], [["[]"]], [["\n\n"]], [["[ \n ]\n"]]])("nothing asked, nothing said: %j", async (stdin) => {
    expect(await batch(stdin)).toMatchObject({ status: 0, out: "", err: "" });
  });

  test("jsonl is the default; json makes an array; text is for people", async () => {
    const stdin = [q("10.0.0.1"), "\n", q("10.0.0.2")];
    expect(tos(await batch(stdin, {}, []))).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(JSON.parse((await batch(stdin, {}, ["-o", "json"])).out)).toHaveLength(2);
    expect(JSON.parse((await batch([""], {}, ["-o", "json"])).out)).toEqual([]);
    expect((await batch(stdin, { answer: () => refused }, ["-o", "text"])).out.match(/NEVER ANSWERED/g)).toHaveLength(
      2,
    );
  });

  test("the status is 0 whatever the verdicts", async () => {
    expect((await batch([q("10.0.0.1")], { answer: () => refused })).status).toBe(0);
  });

  test("every property reaches the engine; names are resolved; addresses come back as they were written", async () => {
    const ran = await batch([
      q("fd00:0:0::1", { sourcePort: 1, mark: 2, ttl: 3, size: 4, tcpFlags: "ack" }),
      "\n",
      JSON.stringify({ from: "shop/client", to: "web", port: 81 }),
      "\n",
      JSON.stringify({ from: "n1/host", proto: "icmp", to: "10.0.0.1", port: 0 }),
    ]);
    expect(ran.err).toBe("");
    expect(ran.asked.map((a) => a.question)).toEqual([
      {
        from: "n1/host",
        proto: "tcp",
        to: "fd00:0:0::1",
        port: 80,
        sourcePort: 1,
        mark: 2,
        ttl: 3,
        size: 4,
        tcpFlags: "ack",
      },
      { from: "n1/pod/shop/client-1", proto: "udp", to: "10.96.26.216", port: 81 },
      { from: "n1/host", proto: "icmp", to: "10.0.0.1" },
    ]);
  });

  test("a file is read as standard input is", async () => {
    const path = join(tmpdir(), `kubewalk-batch-${process.pid}.jsonl`);
    await writeFile(path, `${q("10.0.0.1")}\n{"from":"n1/host"}\n`);
    const ran = await kubewalk(["walk", "snap", "--batch", path], given).finally(() => rm(path));
    expect(ran.status).toBe(2);
    expect(ran.err).toBe(`error: ${path}:2: a question needs "to"\n`);
    const none = await kubewalk(["walk", "snap", "--batch", "/nowhere/at/all"], given);
    expect(none).toMatchObject({ status: 2, out: "" });
    expect(none.err).toContain("/nowhere/at/all: cannot be read: ENOENT");
  });

  test("a property that means nothing is ignored with one warning", async () => {
    const ran = await batch([q("10.0.0.1", { tries: 4 }), "\n", q("10.0.0.2", { tries: 4 })]);
    expect(ran.status).toBe(0);
    expect(ran.err).toBe('warning: standard input:1: "tries" means nothing here and is ignored\n');
    expect(tos(ran)).toHaveLength(2);
  });

  test("an address that was not recorded gets its line", async () => {
    const ran = await batch([JSON.stringify({ from: "shop/edge", proto: "tcp", to: "10.0.0.1", port: 80 })]);
    expect(ran).toMatchObject({ status: 0, err: "" });
    expect(JSON.parse(ran.out)).toMatchObject({ verdict: "inconclusive", from: "shop/edge", to: "10.0.0.1", port: 80 });
  });
});

describe("the first bad question ends the batch, and nothing before it is lost", () => {
  test.each<[string, string, string]>([
    ["no JSON", "{from", 'standard input:3: malformed JSON: expected a name in quotes, found "f" in column 2'],
    ["cut off", '{"from":"n1/host"', 'standard input:3: JSON is cut off: expected "," or "}"'],
    ["no object", "7", 'standard input:3: a question is an object with "from", "proto", "to" and "port", found 7'],
    ["no destination", '{"from":"n1/host","proto":"tcp"}', 'standard input:3: a question needs "to"'],
    [
      "unknown protocol",
      q("10.0.0.3", { proto: "TCP" }),
      'standard input:3: "proto" must be one of tcp, udp, icmp, sctp, found "TCP"',
    ],
    [
      "port that is none",
      q("10.0.0.3", { port: 65_536 }),
      'standard input:3: "port" must be a whole number from 1 to 65535, found 65536',
    ],
    ["no port", q("10.0.0.3", { port: null }), 'standard input:3: "10.0.0.3": tcp needs a port, such as 10.0.0.3:80'],
    [
      "unknown place",
      q("10.0.0.3", { from: "n9/host" }),
      "standard input:3: unknown node n9; did you mean n1 or n2 or n3?",
    ],
    [
      "several addresses",
      q("svc:shop/web-headless", { port: 8080 }),
      "standard input:3: svc:shop/web-headless leads to 2 addresses: 10.244.1.2, 10.244.0.2; a batch gives one answer to a question, so name one",
    ],
  ])("%s", async (_, bad, message) => {
    const ran = await batch([`${q("10.0.0.1")}\n${q("10.0.0.2")}\n${bad}\n${q("10.0.0.4")}\n`]);
    expect({ status: ran.status, err: ran.err, to: tos(ran) }).toEqual({
      status: 2,
      err: `error: ${message}\n`,
      to: ["10.0.0.1", "10.0.0.2"],
    });
  });

  test.each<[string, string, string]>([
    [
      "an element that is no JSON",
      `[\n${q("10.0.0.1")},\n${q("10.0.0.2")},\n{from}\n]`,
      'standard input:4: malformed JSON: expected a name in quotes, found "f" in column 2',
    ],
    [
      "a comma too many",
      `[\n${q("10.0.0.1")},\n${q("10.0.0.2")},\n]`,
      'standard input:4: malformed JSON: expected a question, found "]"',
    ],
    [
      "an array that is not closed",
      `[\n${q("10.0.0.1")},\n${q("10.0.0.2")}\n`,
      "standard input:4: malformed JSON: the array is not closed",
    ],
    [
      "something after the array",
      `[\n${q("10.0.0.1")},\n${q("10.0.0.2")}\n]\nx`,
      "standard input:5: something follows the end of the array",
    ],
  ])("%s", async (_, text, message) => {
    const ran = await batch([text]);
    expect({ status: ran.status, err: ran.err, to: tos(ran) }).toEqual({
      status: 2,
      err: `error: ${message}\n`,
      to: ["10.0.0.1", "10.0.0.2"],
    });
  });
});

test("a question that kubewalk fails on is inconclusive, the rest is answered, and the status is 3", async () => {
  const ran = await batch([[q("10.0.0.1"), q("10.0.0.2"), q("10.0.0.3")].join("\n")], {
    answer: (question) => {
      if (question.to === "10.0.0.2") throw new RangeError("stack");
      return { ...refused, to: question.to };
    },
  });
  expect(ran.status).toBe(3);
  expect(tos(ran)).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  expect(JSON.parse(ran.out.split("\n")[1]!)).toMatchObject({ verdict: "inconclusive" });
  expect(ran.err).toContain("error: standard input:2: kubewalk failed on this question: RangeError: stack");
});
