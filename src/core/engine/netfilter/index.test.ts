import { describe, expect, it } from "vitest";
import { run, table } from "./testing/ruleset.ts";
import { device, packet, RecordedTrace, ScriptedOracle, services, state } from "./testing/stub.ts";
import { IndexNode } from "./index.ts";

/** Seeded, so that a failure can be had again. */
function random(seed: number): (n: number) => number {
  let x = seed;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % n;
  };
}

function randomRule(pick: (n: number) => number, chain: string): string {
  const words = [`-A ${chain}`];
  const maybe = (n: number, make: () => string): void => {
    if (pick(n) === 0) words.push(make());
  };
  const address = (): string => {
    const len = [0, 8, 16, 24, 30, 32][pick(6)]!;
    const octets = [10, pick(2), pick(2), pick(4)].map((o, i) =>
      len >= 8 * (i + 1) ? o : len === 30 && i === 3 ? 0 : 0,
    );
    return `${octets.join(".")}/${len}`;
  };
  maybe(3, () => `${pick(5) === 0 ? "! " : ""}-s ${address()}`);
  maybe(2, () => `${pick(5) === 0 ? "! " : ""}-d ${address()}`);
  maybe(5, () => `-i ${["eth0", "eth1", "cali+", "cali1"][pick(4)]}`);
  maybe(6, () => `-o ${["eth0", "eth1", "cali2"][pick(3)]}`);
  if (pick(2) === 0) {
    const proto = ["tcp", "udp"][pick(2)]!;
    words.push(`-p ${proto}`);
    maybe(
      2,
      () => `-m ${proto} ${pick(4) === 0 ? "! " : ""}--dport ${pick(4)}${pick(6) === 0 ? `:${4 + pick(4)}` : ""}`,
    );
    maybe(6, () => `-m multiport --dports ${pick(4)}${pick(2) === 0 ? ",6" : ""}`);
  }
  maybe(5, () => `-m mark --mark 0x${pick(2)}/0x1`);
  maybe(8, () => "-m statistic --mode random --probability 0.50000000000");
  const target = pick(12);
  words.push(
    target === 0
      ? "-j DROP"
      : target === 1
        ? "-j ACCEPT"
        : target === 2
          ? "-j RETURN"
          : target < 6
            ? "-j MARK --set-xmark 0x1/0x1"
            : target < 8
              ? "-j B"
              : "",
  );
  return words.join(" ").trim();
}

/** How many rules are asked of a packet, in a chain of these and one for node ports. */
const dispatch = (lines: readonly string[], s: ReturnType<typeof state>): number =>
  new IndexNode(
    table([...lines, "-A FORWARD -m addrtype --dst-type LOCAL -j ACCEPT"])
      .chain("FORWARD")!
      .rules(),
  ).find(s).rules.length;

describe("the index", () => {
  it("leaves out no rule that would match, whatever the ruleset", () => {
    const pick = random(20261120);
    for (let round = 0; round < 25; round++) {
      const size = 5 + pick(120);
      const lines = [":B - [0:0]", ...Array.from({ length: size }, () => randomRule(pick, "FORWARD"))];
      lines.push(...Array.from({ length: size }, () => randomRule(pick, "B")).filter((l) => !l.endsWith("-j B")));
      const program = table(lines);
      for (let i = 0; i < 25; i++) {
        const fields = {
          src: `10.${pick(2)}.${pick(2)}.${pick(4)}`,
          dst: `10.${pick(2)}.${pick(2)}.${pick(4)}`,
          proto: [6, 17, 1][pick(3)]!,
          dport: pick(9),
          mark: pick(2),
        };
        const devices = {
          iif: pick(4) === 0 ? null : device(["eth0", "cali1", "x"][pick(3)]!),
          oif: pick(4) === 0 ? null : device(["eth0", "cali2"][pick(2)]!),
        };
        const choices = Array.from({ length: 300 }, () => pick(2));
        const walk = (everything: boolean): [string, string[]] => {
          const s = state(packet(fields), {
            ...devices,
            oracle: new ScriptedOracle(choices),
            trace: new RecordedTrace(everything),
          });
          const verdict = run(program, "FORWARD", s);
          return [verdict, s.trace.lines.filter((l) => !l.endsWith(" miss"))];
        };
        // With --all-rules every rule is asked.
        expect(walk(false)).toEqual(walk(true));
      }
    }
  });

  it("asks few of many: Services by address, node ports by port, workloads by device", () => {
    const services1k = Array.from(
      { length: 1000 },
      (_, i) => `-A FORWARD -d 10.96.${i >> 8}.${i & 255}/32 -p tcp -m tcp --dport 80 -j ACCEPT`,
    );
    const ports = Array.from({ length: 1000 }, (_, i) => `-A FORWARD -p tcp -m tcp --dport ${30000 + i} -j ACCEPT`);
    const devices = Array.from({ length: 1000 }, (_, i) => `-A FORWARD -o cali${i} -j ACCEPT`);
    expect(dispatch(services1k, state(packet({ dst: "10.96.1.7", dport: 80 })))).toBe(2);
    expect(dispatch(services1k, state(packet({ dst: "8.8.8.8", dport: 80 })))).toBe(1);
    expect(dispatch(ports, state(packet({ dport: 30999 })))).toBe(2);
    expect(dispatch(devices, state(packet(), { oif: device("cali77") }))).toBe(2);
    expect(dispatch(devices, state(packet(), { oif: null }))).toBe(1);
  });

  it("splits on, where many rules share one key", () => {
    const lines = Array.from(
      { length: 500 },
      (_, i) => `-A FORWARD -d 10.0.0.${i % 5}/32 -p tcp -m tcp --dport ${i} -j ACCEPT`,
    );
    const root = new IndexNode(table(lines).chain("FORWARD")!.rules());
    expect(root.find(state(packet({ dst: "10.0.0.2", dport: 7 }))).rules).toHaveLength(1);
    expect(root.find(state(packet({ dst: "10.0.0.2", dport: 600 }))).rules).toHaveLength(0);
  });

  it("looks again when a rule has rewritten the packet", () => {
    const lines = [
      "-A FORWARD -j MARK --set-mark 1",
      ...Array.from({ length: 30 }, (_, i) => `-A FORWARD -d 10.0.0.${i}/32 -j DROP`),
    ];
    const s = state(packet({ dst: "192.0.2.1" }), { services: services() });
    const chain = table(lines).chain("FORWARD")!;
    const rules = chain.rules();
    // Stands for an nft payload statement: iptables' targets do not rewrite in place.
    Object.defineProperty(rules[0]!, "effects", {
      value: [(): number => ((s.pkt.dst = packet({ dst: "10.0.0.9" }).dst), 0)],
    });
    expect(run({ chain: () => chain } as unknown as ReturnType<typeof table>, "FORWARD", s)).toBe("drop");
  });
});
