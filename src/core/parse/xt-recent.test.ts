import { expect, test } from "vitest";
import { formatIp } from "../model/address.ts";
import { ParseError } from "../model/source.ts";
import { parseXtRecent } from "./xt-recent.ts";

/** As Linux 6.18 prints it. */
const REAL = `== EMPTY
== KUBE-SEP-6INWEAXSO5FWBK4Q
src=127.0.0.1 ttl: 64 last_seen: 4295509942 oldest_pkt: 3 4295509940, 4295509941, 4295509942
== L2
src=0000:0000:0000:0000:0000:0000:0000:0001 ttl: 0 last_seen: 4295509942 oldest_pkt: 1 4295509942
src=10.0.0.1 ttl: 63 last_seen: 12 oldest_pkt: 0
`;

test("/proc/net/xt_recent", () => {
  const lists = parseXtRecent(REAL, "xt_recent.txt");
  expect(
    lists.map((l) => [l.name, l.entries.map((e) => [formatIp(e.ip), e.ttl, e.lastSeen, e.stamps, e.line])]),
  ).toEqual([
    ["EMPTY", []],
    ["KUBE-SEP-6INWEAXSO5FWBK4Q", [["127.0.0.1", 64, 4295509942, [4295509940, 4295509941, 4295509942], 3]]],
    [
      "L2",
      [
        ["::1", 0, 4295509942, [4295509942], 5],
        ["10.0.0.1", 63, 12, [], 6],
      ],
    ],
  ]);
});

test.each([
  "src=10.0.0.1 ttl: 64 last_seen: 1 oldest_pkt: 1 1\n",
  "== A\nsrc=10.0.0 ttl: 1\n",
  "== A\nx\n",
  "== A",
  "== \n",
  "\n",
])("refuses %j", (text) => expect(() => parseXtRecent(text, "xt_recent.txt")).toThrow(ParseError));
