import { expect, test } from "vitest";
import type { Step } from "../src/core/model/walk.ts";
import type { TraceEvent } from "./agent.ts";
import { firstDifference, handles, metBy, packetsOf } from "./trace.ts";

const NFT = `table inet t {
	chain c { # handle 1
		type filter hook input priority 0; policy accept;
		counter packets 0 bytes 0 # handle 5
		tcp dport 80 accept # handle 7
	}

	chain u { # handle 2
		drop # handle 9
	}
}
`;

/** An IPv4 SYN from port 30000 to port 80. */
const NET = "450000280000400040060000" + "0a000001" + "0a000002";
const SYN = "75300050" + "00000000" + "00000000" + "5002" + "0000" + "00000000";

test("handles become places in their chain", () => {
  expect([...handles(NFT)]).toEqual([
    ["inet t c 5", 0],
    ["inet t c 7", 1],
    ["inet t u 9", 0],
  ]);
});

test("a packet is known by its ports at every base chain, whatever its identifier", () => {
  const probe = { ns: 0, proto: "tcp", family: 4, to: "10.0.0.2", port: 80, sport: 30000 } as const;
  const events: TraceEvent[] = [
    {
      family: "inet",
      id: "1",
      type: "rule",
      table: "t",
      chain: "c",
      handle: 5,
      verdict: "continue",
      net: NET,
      transport: SYN,
    },
    { family: "inet", id: "1", type: "rule", table: "t", chain: "c", handle: 7, verdict: "accept" },
    {
      family: "inet",
      id: "1",
      type: "policy",
      table: "t",
      chain: "c",
      policy: "accept",
      net: NET,
      transport: SYN.replace("5002", "5010"),
    },
  ];
  expect(packetsOf(events, probe, NFT)).toMatchObject([
    {
      reply: false,
      met: [
        {
          family: "inet",
          table: "t",
          chain: "c",
          rule: 0,
          verdict: "continue",
          mark: 0,
          header: { src: "10.0.0.1", dst: "10.0.0.2", sport: 30000, dport: 80 },
        },
        { family: "inet", table: "t", chain: "c", rule: 1, verdict: "accept", mark: 0 },
      ],
    },
  ]);
});

test("steps become the same, and the first difference is told", () => {
  const step = (line: number, verdict: string): Step => ({
    direction: "forward",
    at: "f/host",
    kind: "rule",
    family: "inet",
    table: "t",
    chain: "c",
    layer: 0,
    verdict,
    text: "",
    source: { file: "nft.txt", line },
  });
  const met = metBy([step(4, "continue"), step(5, "accept")], "f/host", "forward", 0, { "nft.txt": NFT });
  expect(met.map((m) => m.rule)).toEqual([0, 1]);
  expect(firstDifference(met, met)).toBeNull();
  expect(firstDifference(met, met.slice(0, 1))).toContain("nothing more");
});
