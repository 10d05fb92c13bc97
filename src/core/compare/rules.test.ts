import { expect, test } from "vitest";
import { parseIptablesSave } from "../parse/iptables-save.ts";
import { Report } from "./report.ts";
import { compareChains } from "./rules.ts";
import type { StandIns } from "./stand-ins.ts";
import { xtChains } from "./tables.ts";

const NONE: StandIns = { any: () => false, text: (_, text) => text };

/** Changes of the chain FORWARD from some rules to others, as `CHANGE RULE`. */
function changes(before: readonly string[], after: readonly string[]): string[] {
  const chains = (rules: readonly string[]) => {
    const lines = [
      "*filter",
      ":FORWARD ACCEPT [0:0]",
      ":A - [0:0]",
      ...rules.map((rule) => `-A FORWARD ${rule}`),
      "COMMIT",
      "",
    ];
    const xtables = [parseIptablesSave(lines.join("\n"), "save", "ip")];
    // Of a namespace, chains of iptables look at nothing else.
    return xtChains({ place: "n1/host", xtables } as unknown as Parameters<typeof xtChains>[0], NONE);
  };
  const report = new Report();
  compareChains("n1/host", chains(before), chains(after), report);
  return report.changes.map(
    ({ change, before: a, after: b }) => `${change} ${(b ?? a)!.text.replace("-A FORWARD ", "")}`,
  );
}

const ACCEPT_A = "-s 10.0.0.0/8 -j ACCEPT";
const DROP_B = "-d 10.1.0.0/16 -j DROP";
const WEB = "-d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j A";
const DNS = "-d 10.96.0.10/32 -p udp -m udp --dport 53 -j A";
const API = "-d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j A";

test.each<[string, string[], string[], string[]]>([
  ["a rule that is gone", [ACCEPT_A, DROP_B], [DROP_B], [`removed ${ACCEPT_A}`]],
  ["a rule that came", [DROP_B], [ACCEPT_A, DROP_B], [`added ${ACCEPT_A}`]],
  ["another rule in its place", [ACCEPT_A, DROP_B], [ACCEPT_A, WEB], [`changed ${WEB}`]],
  ["two that one packet can meet, swapped", [ACCEPT_A, DROP_B], [DROP_B, ACCEPT_A], [`moved ${ACCEPT_A}`]],
  ["two that no packet meets both, swapped", [WEB, DNS, API], [API, DNS, WEB], []],
  ["a rule that moved past one of these and a third", [WEB, DNS, ACCEPT_A], [DNS, ACCEPT_A, WEB], [`moved ${WEB}`]],
  [
    "comments and their places",
    [`${WEB} `, DNS],
    ["-d 10.96.0.1/32 -p tcp -m comment --comment x -m tcp --dport 80 -j A", DNS],
    [],
  ],
  ["one of two equal rules", [DROP_B, ACCEPT_A, DROP_B], [ACCEPT_A, DROP_B], [`removed ${DROP_B}`]],
  [
    "a negated match says nothing",
    ["! -s 10.0.0.0/8 -j A", "-s 10.0.0.0/8 -j DROP"],
    ["-s 10.0.0.0/8 -j DROP", "! -s 10.0.0.0/8 -j A"],
    ["moved ! -s 10.0.0.0/8 -j A"],
  ],
  [
    "devices by the beginning of their names",
    ["-i cali+ -j A", "-i cali1 -j DROP"],
    ["-i cali1 -j DROP", "-i cali+ -j A"],
    ["moved -i cali+ -j A"],
  ],
])("%s", (_, before, after, expected) => expect(changes(before, after)).toEqual(expected));
