import { describe, expect, it } from "vitest";
import { run, table } from "./testing/ruleset.ts";
import { connection, packet, RecordedTrace, ScriptedOracle, state } from "./testing/stub.ts";
import type { TestState } from "./testing/stub.ts";

function walk(
  lines: readonly string[],
  s: TestState = state(packet()),
): { verdict: string; steps: string[]; s: TestState } {
  const verdict = run(table(lines), "FORWARD", s);
  return { verdict, steps: s.trace.lines.map((l) => l.replace(/^filter /, "")), s };
}

describe("jumps", () => {
  const cases: [name: string, lines: string[], steps: string[], verdict: string][] = [
    ["an empty chain has its policy", [], ["FORWARD policy accept"], "accept"],
    ["a verdict ends", ["-A FORWARD -j DROP", "-A FORWARD -j ACCEPT"], ["FORWARD drop"], "drop"],
    ["no target goes on", ["-A FORWARD -p tcp", "-A FORWARD -j DROP"], ["FORWARD continue", "FORWARD drop"], "drop"],
    [
      "return in a base chain is its policy",
      ["-A FORWARD -j RETURN", "-A FORWARD -j DROP"],
      ["FORWARD return", "FORWARD policy accept"],
      "accept",
    ],
    [
      "a jump comes back at the end",
      [":A - [0:0]", "-A FORWARD -j A", "-A FORWARD -j DROP", "-A A -p tcp"],
      ["FORWARD jump A", "A continue", "FORWARD drop"],
      "drop",
    ],
    [
      "and by return",
      [":A - [0:0]", "-A FORWARD -j A", "-A FORWARD -j DROP", "-A A -j RETURN", "-A A -j ACCEPT"],
      ["FORWARD jump A", "A return", "FORWARD drop"],
      "drop",
    ],
    [
      "a goto does not come back",
      [":A - [0:0]", "-A FORWARD -g A", "-A FORWARD -j DROP", "-A A -p tcp"],
      ["FORWARD goto A", "A continue", "FORWARD policy accept"],
      "accept",
    ],
    [
      "a goto returns to who jumped",
      [
        ":A - [0:0]",
        ":B - [0:0]",
        "-A FORWARD -j A",
        "-A FORWARD -j DROP",
        "-A A -g B",
        "-A A -j ACCEPT",
        "-A B -j RETURN",
      ],
      ["FORWARD jump A", "A goto B", "B return", "FORWARD drop"],
      "drop",
    ],
  ];
  it.each(cases)("%s", (_name, lines, steps, verdict) => {
    expect(walk(lines)).toMatchObject({ steps, verdict });
  });

  it.each([
    ["jumping", [":A - [0:0]", "-A FORWARD -j A", "-A A -j A"]],
    ["going", [":A - [0:0]", ":B - [0:0]", "-A FORWARD -j A", "-A A -g B", "-A B -g A"]],
  ])("ends as unknown when %s in a circle", (_name, lines) => {
    expect(walk(lines).s.oracle.asked).toEqual([expect.stringContaining("jumps in a circle")]);
  });
});

describe("what steps tell", () => {
  it("shows marks of packet and connection, and who decided", () => {
    const pkt = packet({ mark: 0x1 });
    pkt.ct = connection(pkt);
    const { steps, s } = walk(
      [
        "-A FORWARD -j MARK --set-xmark 0x80000000/0x80000000",
        "-A FORWARD -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
        "-A FORWARD -j DROP",
      ],
      state(pkt),
    );
    expect(steps).toEqual([
      'FORWARD continue {"mark":2147483649}',
      'FORWARD continue {"ctmark":2147483649}',
      "FORWARD drop",
    ]);
    expect(s.decidedBy?.text()).toBe("-A FORWARD -j DROP");
    expect(s.decidedBy?.source).toEqual({ file: "n1/host/iptables-save.txt", line: 10 });
  });

  it("leaves no rule in decidedBy when the policy decided", () => {
    const s = state(packet());
    s.decidedBy = { family: "ip", table: "t", chain: "c", source: { file: "f", line: 1 }, text: () => "" };
    expect(walk(["-A FORWARD -p tcp"], s).s.decidedBy).toBeNull();
  });

  it("keeps how a packet was rejected", () => {
    const { verdict, s } = walk(["-A FORWARD -p tcp -j REJECT --reject-with tcp-reset"]);
    expect([verdict, s.rejectWith, s.trace.lines]).toEqual(["reject", "tcp-reset", ["filter FORWARD reject"]]);
  });

  it("strips counters from the text", () => {
    const s = state(packet());
    run(table(["[12:3456] -A FORWARD -p tcp -j DROP"]), "FORWARD", s);
    expect(s.decidedBy?.text()).toBe("-A FORWARD -p tcp -j DROP");
  });

  it("tells of misses when asked, those among a choice too", () => {
    const s = state(packet(), { trace: new RecordedTrace(true), oracle: new ScriptedOracle([2]) });
    const { steps } = walk(
      [
        "-A FORWARD -p udp -j DROP",
        ...["0.33333333349", "0.50000000000"].map(
          (p) => `-A FORWARD -m statistic --mode random --probability ${p} -j ACCEPT`,
        ),
        "-A FORWARD -j DROP",
      ],
      s,
    );
    expect(steps).toEqual(["FORWARD miss", "FORWARD miss", "FORWARD miss", "FORWARD drop"]);
  });
});

/** A Service's chain with n endpoints, as kube-proxy writes it. */
const service = (n: number): string[] => [
  ...Array.from({ length: n }, (_, i) => `:SEP${i} - [0:0]`),
  ...Array.from({ length: n }, (_, i) => {
    const p = i === n - 1 ? "" : ` -m statistic --mode random --probability ${(1 / (n - i)).toFixed(11)}`;
    return `-A FORWARD -m comment --comment "to ${i}"${p} -j SEP${i}`;
  }),
  ...Array.from({ length: n }, (_, i) => `-A SEP${i} -p tcp -j ACCEPT`),
];

const byChance = (probability: string, target: string): string =>
  `-A FORWARD -m statistic --mode random --probability ${probability} -j ${target}`;

describe("chance", () => {
  it("asks once for all endpoints, with equal weights", () => {
    const s = state(packet(), { oracle: new ScriptedOracle([2]) });
    expect(walk(service(3), s).steps).toEqual(["FORWARD jump SEP2", "SEP2 accept"]);
    expect(s.oracle.weights).toEqual([[1, 1, 1]]);
  });

  it("goes on among the rest when the chosen one comes back", () => {
    const s = state(packet({ proto: 17 }), { oracle: new ScriptedOracle([1, 0]) });
    expect(walk(service(3), s).steps).toEqual(["FORWARD jump SEP1", "FORWARD jump SEP2", "FORWARD policy accept"]);
    expect(s.oracle.weights).toEqual([[1, 1, 1], [1]]);
  });

  it("asks one by one where the other tests differ", () => {
    const s = state(packet({ dport: 80 }), { oracle: new ScriptedOracle([1, 0]) });
    const rules = [
      "-A FORWARD -p tcp -m statistic --mode random --probability 0.50000000000 -j DROP",
      "-A FORWARD -d 10.0.0.2/32 -m statistic --mode random --probability 0.25000000000 -j DROP",
    ];
    expect(walk(rules, s).verdict).toBe("drop");
    expect(s.oracle.weights).toEqual([
      [1, 1],
      [1, 3],
    ]);
  });

  it("asks for the kernel's own fraction where the print is none of 1/n", () => {
    const s = state(packet(), { oracle: new ScriptedOracle([1]) });
    walk(["-A FORWARD -m statistic --mode random --probability 0.70000000019 -j DROP"], s);
    expect(s.oracle.weights).toHaveLength(1);
    const [hit, miss] = s.oracle.weights[0]!;
    expect([(hit! / (hit! + miss!)).toFixed(11), 2 ** 31 % (hit! + miss!)]).toEqual(["0.70000000019", 0]);
  });

  it("never takes a rule of probability zero, nor counts it among a choice", () => {
    const s = state(packet(), { oracle: new ScriptedOracle([0]) });
    expect(
      walk([byChance("0.50000000000", "DROP"), byChance("0.00000000000", "DROP"), "-A FORWARD -j ACCEPT"], s).verdict,
    ).toBe("drop");
    expect(s.oracle.weights).toEqual([[1, 1]]);
  });

  it("takes nth as one in every", () => {
    const s = state(packet(), { oracle: new ScriptedOracle([0]) });
    walk(
      [
        "-A FORWARD -m statistic --mode nth --every 3 --packet 0 -j DROP",
        "-A FORWARD -m statistic --mode nth --every 2 --packet 0 -j DROP",
        "-A FORWARD -j DROP",
      ],
      s,
    );
    expect(s.oracle.weights).toEqual([[1, 1, 1]]);
  });
});

describe("what is not known", () => {
  it("is asked only when nothing else says no, and before chance", () => {
    const s = state(packet(), { oracle: new ScriptedOracle([0], [true]) });
    walk(
      [
        "-A FORWARD -m limit --limit 1/sec -p udp -j DROP",
        "-A FORWARD -m limit --limit 2/sec -m realm --realm 0x1 -m statistic --mode random --probability 0.50000000000 -j DROP",
      ],
      s,
    );
    expect(s.oracle.asked).toEqual(["the limit of 2/sec may be reached or not"]);
    expect(s.oracle.weights).toEqual([[1, 1]]);
  });

  it("is not asked where the rule does nothing", () => {
    const { s, steps } = walk(['-A FORWARD -m limit --limit 1/sec -j LOG --log-prefix "x"']);
    expect(s.oracle.asked).toEqual([]);
    expect(steps).toEqual(["FORWARD policy accept"]);
  });

  it("gives up at an unmodelled target: it may rewrite the packet", () => {
    const s = state(packet());
    const found = walk(["-A FORWARD -p tcp -j SYNPROXY --sack-perm --timestamp --wscale 7 --mss 1460"], s);
    expect(found.verdict).toBe("unknown");
    expect(found.steps[0]).toBe("FORWARD unknown");
    expect(s.why).toBe("target SYNPROXY is not modelled");
  });
});
