import { expect, test } from "vitest";
import type { Answer, ClientResult, Outcome } from "../../src/core/model/walk.ts";
import { judgeProbes, questionsOf } from "./probes.ts";
import type { Probe, Truth } from "./truth.ts";

type Try = string;

/** What the recorder writes of tries such as `web-1 10.0.0.1` (an answer and the client that it saw) or `timeout`. */
function probe(to: string, tries: Try[], more: Partial<Probe> = {}): Probe {
  const outcomes: Record<string, number> = {};
  const answers: Probe["answers"] = [];
  for (const t of tries) {
    const [server, clientAddress] = t.split(" ");
    const word = /^web|^n\d|^vm/.test(t) ? "delivered" : t;
    outcomes[word] = (outcomes[word] ?? 0) + 1;
    if (word !== "delivered") continue;
    const known = answers.find((a) => a.server === server && a.clientAddress === clientAddress);
    if (known === undefined) answers.push({ server: server!, clientAddress: clientAddress!, count: 1 });
    else known.count++;
  }
  return {
    from: "n1/host",
    proto: "tcp",
    to,
    port: 80,
    tries: tries.length,
    outcomes,
    servers: {},
    clientAddresses: {},
    answers,
    clientPorts: [],
    ...more,
  };
}

const truth = (...probes: Truth["probes"]): Truth => ({ format: "kubewalk.truth/v1", probes, traces: [] });

/** An outcome such as `1/3 n2/pod/shop/web-1 10.0.0.1` or `1/3 timeout`. */
function outcome(text: string): Outcome {
  const [share, what, clientAddress] = text.split(" ");
  const [num, den] = share!.split("/").map(Number) as [number, number];
  const base = { share: { num, den }, because: { text: "" } };
  if (clientAddress === undefined) return { ...base, client: what as ClientResult, disposition: "dropped" };
  return {
    ...base,
    client: "answered",
    disposition: "delivered",
    server: { at: what!, address: "10.9.9.9", port: 8080, clientAddress },
  };
}

function answer(p: Probe, ...outcomes: string[]): Answer {
  const list = outcomes.map(outcome);
  const answered = list.filter((o) => o.client === "answered").length;
  const verdict = answered === list.length ? "answered" : answered === 0 ? "failed" : "mixed";
  return { format: "kubewalk.walk/v1", from: p.from, proto: p.proto, to: p.to, port: p.port, verdict, outcomes: list };
}

const names = new Set(["n1", "n2", "web-1", "web-2", "web-3"]);
const judge = (probes: Probe[], answers: Answer[]) => judgeProbes(truth(...probes), answers, { names });
const kinds = (probes: Probe[], answers: Answer[]): string[] => judge(probes, answers).disagreements.map((d) => d.kind);

const THIRDS = ["1/3 n1/pod/shop/web-1 10.0.0.1", "1/3 n2/pod/shop/web-2 10.0.0.1", "1/3 n2/pod/shop/web-3 10.0.0.1"];

/** Tries drawn evenly among three servers; the same ones for every run. */
function draws(seed: number, n: number): Try[] {
  let x = seed * 2654435761 + 12345;
  return Array.from({ length: n }, () => {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    return `web-${1 + ((x >>> 16) % 3)} 10.0.0.1`;
  });
}

test("one question for each probe that could be made", () => {
  const t = truth(probe("10.0.0.1", ["timeout"]), { from: "n2/host", error: "no python" });
  expect(questionsOf(t)).toEqual([{ from: "n1/host", proto: "tcp", to: "10.0.0.1", port: 80 }]);
});

test("every word of the recorder has its result", () => {
  const words: [string, ClientResult][] = [
    ["timeout", "timeout"],
    ["refused", "refused"],
    ["Network is unreachable", "network-unreachable"],
    ["No route to host", "host-unreachable"],
    ["Operation not permitted", "not-permitted"],
    ["Permission denied", "prohibited"],
    ["Invalid argument", "invalid"],
    ["Message too long", "too-big"],
  ];
  for (const [word, result] of words) {
    const p = probe("10.0.0.1", [word]);
    expect(kinds([p], [answer(p, `1/1 ${result}`)])).toEqual([]);
  }
  const p = probe("10.0.0.1", ["Something new"]);
  expect(kinds([p], [answer(p, "1/1 timeout")])).toEqual(["impossible"]);
});

test("servers go by their host names, machines beyond the cluster by any other", () => {
  const pod = probe("10.0.0.1", ["web-1 [fd00::1]"]);
  expect(kinds([pod], [answer(pod, "1/1 n2/pod/shop/web-1 fd00::1")])).toEqual([]);
  const node = probe("10.0.0.1", ["n2 ::ffff:10.0.0.1"]);
  expect(kinds([node], [answer(node, "1/1 n2/host 10.0.0.1")])).toEqual([]);
  const beyond = probe("10.0.0.1", ["vm 10.0.0.1"]);
  expect(kinds([beyond], [answer(beyond, "1/1 outside/host 10.0.0.1")])).toEqual([]);
  expect(kinds([node], [answer(node, "1/1 outside/host 10.0.0.1")])).toEqual(["impossible"]);
  expect(kinds([beyond], [answer(beyond, "1/1 n1/host 10.0.0.1")])).toEqual(["impossible"]);
});

test("a wrong server, a wrong client address and a wrong result are all impossible", () => {
  const p = probe("10.0.0.1", ["web-1 10.0.0.1"]);
  for (const said of ["1/1 n2/pod/shop/web-2 10.0.0.1", "1/1 n2/pod/shop/web-1 10.0.0.2", "1/1 timeout"])
    expect(kinds([p], [answer(p, said)])).toEqual(["impossible"]);
});

test("even draws agree with even shares", () => {
  const probes = Array.from({ length: 60 }, (_, i) => probe(`10.0.0.${i}`, draws(i, 9)));
  const j = judge(
    probes,
    probes.map((p) => answer(p, ...THIRDS)),
  );
  expect(j.disagreements).toEqual([]);
  expect(j.random).toBe(60);
  expect(Math.abs(j.z)).toBeLessThan(3);
});

test("uneven shares for even draws are found", () => {
  const probes = Array.from({ length: 60 }, (_, i) => probe(`10.0.0.${i}`, draws(i, 9)));
  const uneven = ["1/2 n1/pod/shop/web-1 10.0.0.1", "1/4 n2/pod/shop/web-2 10.0.0.1", "1/4 n2/pod/shop/web-3 10.0.0.1"];
  expect(
    kinds(
      probes,
      probes.map((p) => answer(p, ...uneven)),
    ),
  ).toContain("shares");
});

test("hedging is found: a tenth set aside, everywhere, for what never happens", () => {
  const probes = Array.from({ length: 600 }, (_, i) => probe(`10.0.${i >> 8}.${i & 255}`, ["refused"]));
  const answers = probes.map((p) => answer(p, "9/10 refused", "1/10 timeout"));
  const found = judge(probes, answers);
  expect(found.z).toBeGreaterThan(4);
  expect(found.disagreements.map((d) => d.kind)).toContain("shares");
});

test("one probe alone can be too unlikely", () => {
  const p = probe(
    "10.0.0.1",
    Array.from({ length: 9 }, () => "web-1 10.0.0.1"),
  );
  expect(kinds([p], [answer(p, ...THIRDS)])).toContain("unlikely");
});

test("probes cut short by a first timeout are no sign of many timeouts", () => {
  const said = ["1/3 timeout", ...THIRDS.map((t) => t.replace("1/3", "2/9"))];
  const probes = Array.from({ length: 80 }, (_, i) => {
    // Three of nine draws are a timeout; after a first one only the second is made.
    const tries = draws(i, 27).flatMap((t, j, all) =>
      j % 3 > 0 ? [] : t.startsWith("web-3") ? ["timeout"] : all[j + 1]!,
    );
    return probe(`10.0.0.${i}`, tries[0] === "timeout" ? tries.slice(0, 2) : tries);
  });
  expect(probes.filter((p) => p.tries === 2).length).toBeGreaterThan(15);
  const j = judge(
    probes,
    probes.map((p) => answer(p, ...said)),
  );
  expect(j.disagreements).toEqual([]);
  expect(Math.abs(j.z)).toBeLessThan(3);
});

test("a sticky Service's tries are one draw, and must all go the same way", () => {
  const sticky = (server: string): Probe =>
    probe(
      "10.0.0.1",
      Array.from({ length: 9 }, () => `${server} 10.0.0.1`),
      { affinity: true },
    );
  expect(kinds([sticky("web-2")], [answer(sticky("web-2"), ...THIRDS)])).toEqual([]);
  const torn = probe("10.0.0.1", ["web-1 10.0.0.1", "web-2 10.0.0.1"], { affinity: true });
  expect(kinds([torn], [answer(torn, ...THIRDS)])).toEqual(["sticky"]);
});

test("not knowing is a disagreement of its own", () => {
  const p = probe("10.0.0.1", ["timeout"]);
  const unsure: Answer = {
    ...answer(p, "1/1 timeout"),
    verdict: "inconclusive",
    outcomes: [
      { share: null, client: "inconclusive", disposition: "inconclusive", because: { text: "a BPF program" } },
    ],
  };
  const j = judge([p], [unsure]);
  expect(j.inconclusive).toBe(1);
  expect(j.disagreements.map((d) => d.kind)).toEqual(["inconclusive"]);
});

const withoutShares = (a: Answer): Answer => ({ ...a, outcomes: a.outcomes.map((o) => ({ ...o, share: null })) });

test("nor are shares that are not known taken for any", () => {
  const p = probe("10.0.0.1", ["web-1 10.0.0.1"]);
  const sure = answer(p, "1/1 n1/pod/shop/web-1 10.0.0.1", "1/1 n2/pod/shop/web-2 10.0.0.1");
  expect(judge([p], [withoutShares(sure)]).disagreements).toMatchObject([
    { kind: "inconclusive", note: "a share is not known" },
  ]);
  expect(kinds([p], [withoutShares(answer(p, "1/1 n2/pod/shop/web-2 10.0.0.1"))])).toEqual(["impossible"]);
});

test("answers that break their own format are malformed", () => {
  const p = probe("10.0.0.1", ["timeout"]);
  const good = answer(p, "1/1 timeout");
  const cases: [Answer, string][] = [
    [answer(p, "1/2 timeout"), "shares do not sum to 1"],
    [answer(p, "1/2 timeout", "1/3 refused"), "shares do not sum to 1"],
    [answer(p, "1/1 timeout", "0/1 refused"), "a share that is not positive"],
    [{ ...good, verdict: "answered" }, "the verdict is answered, the outcomes are failed"],
    [{ ...good, to: "10.0.0.2" }, "answers another question"],
    [{ ...good, outcomes: [] }, "no outcome"],
  ];
  for (const [a, note] of cases) expect(judge([p], [a]).disagreements).toMatchObject([{ kind: "malformed", note }]);
  expect(kinds([p], [])).toEqual(["malformed"]);
});

test("shares beyond 2^53 come as strings and stay exact", () => {
  const p = probe("10.0.0.1", ["timeout"]);
  const den = (2n ** 62n).toString();
  const almost = (2n ** 62n - 1n).toString();
  const split = (num: string): Answer => ({
    ...answer(p, "1/1 timeout", "1/1 refused"),
    outcomes: [
      { ...outcome("1/1 timeout"), share: { num: almost, den } },
      { ...outcome("1/1 refused"), share: { num, den } },
    ],
  });
  expect(kinds([p], [split("1")])).toEqual([]);
  expect(kinds([p], [split("2")])).toEqual(["malformed"]);
});
