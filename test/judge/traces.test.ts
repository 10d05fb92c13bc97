import { expect, test } from "vitest";
import type { Answer, Outcome, Step } from "../../src/core/model/walk.ts";
import { flowOf } from "./flow.ts";
import { back, CLIENT, NAT, outer, passing, SERVER, SERVICE, syn, trace } from "./made-trace.ts";
import { judgeTraces, traceQuestionsOf } from "./traces.ts";
import type { Trace, Truth } from "./truth.ts";

const rule = (
  at: string,
  direction: Step["direction"],
  layer: number,
  where: string,
  verdict: string,
  more: Partial<Step> = {},
): Step => {
  const [table, chain] = where.split(" ");
  return { direction, at, kind: "rule", family: "ip", table, chain, layer, verdict, text: "", ...more };
};
const policy = (at: string, direction: Step["direction"], layer: number, where: string): Step =>
  rule(at, direction, layer, where, "accept", { kind: "policy" });

const STEPS: Step[] = [
  rule("n1/host", "forward", 0, "nat PREROUTING", "jump KUBE-SERVICES"),
  rule("n1/host", "forward", 0, "nat KUBE-SEP", "accept", { changed: { dst: SERVER, dport: 8080 } }),
  { direction: "forward", at: "n1/host", kind: "route", layer: 0, text: "" },
  policy("n1/host", "forward", 0, "filter FORWARD"),
  policy("n1/host", "forward", 1, "filter OUTPUT"),
  {
    direction: "forward",
    at: "n1/host",
    kind: "conntrack",
    layer: 0,
    text: "",
    conntrack: {
      proto: "tcp",
      original: { src: CLIENT, dst: SERVICE, sport: 40000, dport: 80 },
      reply: { src: SERVER, dst: CLIENT, sport: 8080, dport: 40000 },
    },
  },
  policy("n2/host", "forward", 1, "filter INPUT"),
  rule("n2/host", "forward", 0, "filter FORWARD", "jump KUBE-FORWARD"),
  policy("n2/host", "forward", 0, "filter FORWARD"),
  rule("n2/host", "reply", 0, "filter FORWARD", "accept"),
  policy("n2/host", "reply", 1, "filter OUTPUT"),
  policy("n1/host", "reply", 1, "filter INPUT"),
  rule("n1/host", "reply", 0, "filter FORWARD", "accept"),
];

function judge(steps: readonly Step[], t: Trace = trace(), more: Partial<Outcome> = {}) {
  const outcome: Outcome = {
    share: { num: 1, den: 1 },
    client: "answered",
    disposition: "delivered",
    server: { at: "n2/pod/shop/web", address: SERVER, port: 8080, clientAddress: CLIENT },
    because: { text: "" },
    steps: [...steps],
    ...more,
  };
  const answer: Answer = {
    format: "kubewalk.walk/v1",
    from: "n1/pod/shop/client",
    proto: "tcp",
    to: SERVICE,
    port: 80,
    verdict: "answered",
    outcomes: [outcome],
  };
  const truth: Truth = { format: "kubewalk.truth/v1", probes: [], traces: [t] };
  return judgeTraces(truth, [answer], { names: new Set(["n1", "n2", "client", "web"]) });
}
const found = (steps: readonly Step[], t?: Trace): string[] =>
  judge(steps, t).disagreements.map((d) => `${d.kind}: ${d.seen} / ${d.said} @ ${d.note!.split(":")[0]}`);

const without = (i: number): Step[] => STEPS.filter((_, j) => j !== i);
const changed = (i: number, step: Partial<Step>): Step[] => STEPS.map((s, j) => (j === i ? { ...s, ...step } : s));

test("the packet is found in every namespace, inside the tunnel and outside, and other packets are not", () => {
  const flow = flowOf(trace())!;
  expect(flow.replied).toBe(true);
  expect(
    flow.passages.filter((p) => p.events.length > 0).map((p) => [p.at, p.direction, p.layer, p.events.length]),
  ).toEqual([
    ["n1/host", "forward", 0, 3],
    ["n1/host", "forward", 1, 1],
    ["n1/host", "reply", 0, 1],
    ["n1/host", "reply", 1, 1],
    ["n2/host", "forward", 0, 2],
    ["n2/host", "forward", 1, 1],
    ["n2/host", "reply", 0, 1],
    ["n2/host", "reply", 1, 1],
  ]);
});

test("the question has the traced packet's source port", () => {
  expect(traceQuestionsOf({ format: "kubewalk.truth/v1", probes: [], traces: [trace()] })).toEqual([
    { from: "n1/pod/shop/client", proto: "tcp", to: SERVICE, port: 80, sourcePort: 40000 },
  ]);
});

test("steps that are what the kernel did agree", () => {
  expect(judge(STEPS)).toMatchObject({ traces: 1, agreed: 1, events: 11, entries: 1, disagreements: [], skipped: [] });
});

test("a step too few, too many, or another is found, with its place", () => {
  expect(found(without(3))).toEqual(["rules: ip filter FORWARD policy accept / (end) @ n1/host forward layer 0"]);
  expect(found(without(4))).toEqual(["rules: ip filter OUTPUT policy accept / (end) @ n1/host forward layer 1"]);
  expect(found(without(12))).toEqual(["rules: ip filter FORWARD rule accept / (end) @ n1/host reply layer 0"]);
  expect(found([...STEPS, policy("fabric/host", "forward", 0, "filter FORWARD")])).toEqual([
    "rules: (end) / ip filter FORWARD policy accept @ fabric/host forward layer 0",
  ]);
  expect(found(changed(7, { verdict: "jump OTHER" }))).toEqual([
    "rules: ip filter FORWARD rule jump KUBE-FORWARD / ip filter FORWARD rule jump OTHER @ n2/host forward layer 0",
  ]);
});

test("what the rules rewrote must show in what comes later", () => {
  expect(found(changed(1, { changed: { dst: "10.244.1.8", dport: 8080 } }))).toEqual([
    "rules: to 10.244.1.7 8080 / to 10.244.1.8 8080 @ n1/host forward layer 0",
    "rules: to 10.244.1.7 8080 / to 10.244.1.8 8080 @ n2/host forward layer 0",
  ]);
  expect(found(changed(1, { changed: { dst: SERVER, dport: 8080, mark: 0x4000 } }))).toEqual([
    "rules: mark 0x0 / mark 0x4000 @ n1/host forward layer 0",
    "rules: mark 0x0 / mark 0x4000 @ n1/host forward layer 1",
  ]);
});

test("a reject is traced as a drop; the legacy backend is not traced", () => {
  const t = trace();
  t.nft["n2/host"] = t.nft["n2/host"]!.replace("(verdict jump KUBE-FORWARD)", "(verdict drop)").replace(
    /\n.*FORWARD policy accept /,
    "",
  );
  const steps = STEPS.filter((_, i) => i !== 8).map((s, i) => (i === 7 ? { ...s, verdict: "reject" } : s));
  expect(found(steps, t)).toEqual([]);
  const legacy = rule("n1/host", "forward", 0, "filter FORWARD", "accept", {
    source: { file: "nodes/n1/host/iptables-legacy-save.txt", line: 4 },
  });
  expect(found([...STEPS.slice(0, 3), legacy, ...STEPS.slice(3)])).toEqual([]);
});

test("the same chains in another order are told apart", () => {
  const t = trace();
  const two = passing("p", syn({ link: "cni0" }), {
    "raw PREROUTING": ["policy accept"],
    "mangle PREROUTING": ["policy accept"],
  });
  t.nft["n1/host"] = two;
  t.conntrack = {};
  const turned = [
    policy("n1/host", "forward", 0, "mangle PREROUTING"),
    policy("n1/host", "forward", 0, "raw PREROUTING"),
  ];
  t.nft["n2/host"] = "";
  t.nft["fabric/host"] = "";
  expect(judge(turned, t).disagreements.map((d) => d.kind)).toEqual(["order"]);
});

test("a retransmission is not the packet's second coming", () => {
  const t = trace();
  t.nft["n1/host"] +=
    `\n${passing("p", back({ link: "flannel.1", ttl: 63 }), { "filter FORWARD": ["FORWARD: accept"] })}`;
  t.nft["n1/host"] += `\n${passing("p", syn({ link: "cni0", id: 779 }), NAT)}`;
  expect(found(STEPS, t)).toEqual([]);
});

test("a tunnel's tuple that was tracked already meets no nat: not comparable", () => {
  const nat = policy("n1/host", "forward", 1, "nat OUTPUT");
  const j = judge([...STEPS.slice(0, 4), nat, ...STEPS.slice(4)]);
  expect(j.disagreements).toEqual([]);
  expect(j.skipped).toEqual([
    "n1/pod/shop/client tcp 10.96.0.1 80: n1/host forward layer 1: the tunnel's tuple was tracked already",
  ]);
});

test("entries must be the same on both sides; ports left out are random ones", () => {
  const entry = STEPS[5]!.conntrack!;
  const wrong = { ...entry, reply: { ...entry.reply, src: "10.244.1.9" } };
  expect(found(changed(5, { conntrack: wrong }))).toEqual([
    "conntrack: tcp 10.244.0.5 40000 → 10.96.0.1 80, back 10.244.1.7 8080 → 10.244.0.5 40000 / tcp 10.244.0.5 40000 → 10.96.0.1 80, back 10.244.1.9 8080 → 10.244.0.5 40000 @ n1/host",
    "conntrack: tcp 10.244.0.5 40000 → 10.96.0.1 80, back 10.244.1.7 8080 → 10.244.0.5 40000 / tcp 10.244.0.5 40000 → 10.96.0.1 80, back 10.244.1.9 8080 → 10.244.0.5 40000 @ n1/host",
  ]);
  expect(found(without(5))).toHaveLength(1);
  const { dport: _, ...open } = entry.reply;
  expect(found(changed(5, { conntrack: { ...entry, reply: open } }))).toEqual([]);
});

test("without an outcome that is what was met there is nothing to compare", () => {
  expect(
    judge(STEPS, trace(), {
      server: { at: "n1/pod/shop/web-2", address: SERVER, port: 8080, clientAddress: CLIENT },
    }).disagreements.map((d) => d.kind),
  ).toEqual(["outcome"]);
});

test("an unrelated tunnel packet of the same size, right after, is not the packet's", () => {
  const t = trace();
  const lines = t.nft["n2/host"]!.split("\n");
  const last = lines.findIndex((l) => l.includes("KUBE-FORWARD"));
  // It leaves by cni0 in FORWARD, and another pod's SYN-ACK is on its way to n1.
  const forward = lines
    .slice(0, last + 2)
    .map((l) =>
      l.replace('filter FORWARD packet: iif "flannel.1"', 'filter FORWARD packet: iif "flannel.1" oif "cni0"'),
    );
  const other = passing("o", outer("172.30.0.12", "172.30.0.11", 950), { "filter OUTPUT": ["OUTPUT: drop"] }).replace(
    'oif "eth0"',
    'oif "eth0" @ll,0,160 0x92074ef4c1a71efe5f75244a08004500003c0000',
  );
  t.nft["n2/host"] = [...forward, other, ...lines.slice(last + 2)].join("\n");
  expect(found(STEPS, t)).toEqual([]);
});

test("what eight other packets crowded out of the recording is not held against the walk", () => {
  const t = trace();
  const others = Array.from({ length: 8 }, (_, i) =>
    passing("p", syn({ link: "cni0", dst: "10.244.1.9", dport: 8080, sport: 100 + i, flags: "0x12", id: i })),
  );
  const answers = Array.from({ length: 8 }, (_, i) =>
    passing("p", back({ link: "cni0", dst: "10.244.0.9", dport: 200 + i })),
  );
  const kept = t.nft["n2/host"]!.split("\n").filter((l) => !l.includes("sport 8080"));
  const unanswered = kept.filter((l, i) => l.includes("packet:") || kept[i - 1]?.includes(l.split(" ")[2]!));
  t.nft["n2/host"] = [...others, ...answers, ...unanswered].join("\n");
  const j = judge(STEPS, t);
  expect(j.skipped).toContain(
    "n1/pod/shop/client tcp 10.96.0.1 80: n2/host reply layer 0: other packets crowded it out",
  );
  expect(j.disagreements.filter((d) => d.note?.startsWith("n2/host reply layer 0"))).toEqual([]);
});

test("a packet back that was not recorded at all is not compared", () => {
  const t = trace();
  for (const at of Object.keys(t.nft))
    t.nft[at] = t.nft[at]!.split("\n")
      .filter((l) => !l.includes("flags == 0x12"))
      .join("\n");
  expect(judge(STEPS, t).skipped).toContain(
    "n1/pod/shop/client tcp 10.96.0.1 80: n2/host reply layer 0: the packet back was not recorded",
  );
});

test("a port that another connection held is taken to have been moved, there and from there on", () => {
  const t = trace();
  const line = (src: string, sport: number, port: number): string =>
    `ipv4     2 tcp      6 119 TIME_WAIT src=${src} dst=${SERVICE} sport=${sport} dport=80 src=${SERVER} dst=${CLIENT} sport=8080 dport=${port} [ASSURED] mark=0 use=1`;
  t.conntrack = { "n1/host": [line(CLIENT, 40000, 1416)] };
  expect(found(STEPS, t)).toHaveLength(2);
  t.conntrack["n1/host"]!.push(line("10.244.0.9", 7, 40000));
  expect(found(STEPS, t)).toEqual([]);
  const further = { ...STEPS[5]!, at: "n2/host" };
  t.conntrack["n2/host"] = [line(CLIENT, 1416, 1416)];
  expect(found([...STEPS, further], t)).toEqual([]);
});
