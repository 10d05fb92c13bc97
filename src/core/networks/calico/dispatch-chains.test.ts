// felix/rules/dispatch_test.go.
import { expect, test } from "vitest";
import { dispatchChains } from "./dispatch-chains.ts";
import { rule, ruleText } from "./iptables-rule.ts";

const end = [rule("", "-j DROP", "Unknown interface")];
const END = '-m comment --comment "Unknown interface" -j DROP';
const chains = (...devices: string[]): Record<string, string[]> =>
  Object.fromEntries(
    dispatchChains("cali-from-wl-dispatch", "-i", "cali-fw-", devices, end).map((chain) => [
      chain.name,
      chain.rules.map(ruleText),
    ]),
  );

test("no devices", () => expect(chains()).toEqual({ "cali-from-wl-dispatch": [END] }));

test("one", () =>
  expect(chains("cali1234")).toEqual({ "cali-from-wl-dispatch": ["-i cali1234 -g cali-fw-cali1234", END] }));

test("several that differ at once", () =>
  expect(chains("cali2333", "cali1234", "cali5678", "cali1234")).toEqual({
    "cali-from-wl-dispatch": [
      "-i cali1234 -g cali-fw-cali1234",
      "-i cali2333 -g cali-fw-cali2333",
      "-i cali5678 -g cali-fw-cali5678",
      END,
    ],
  }));

test("a tree of those that begin alike", () =>
  expect(chains("cali1234", "cali2333", "cali1221", "cali2444")).toEqual({
    "cali-from-wl-dispatch": ["-i cali1+ -g cali-from-wl-dispatch-1", "-i cali2+ -g cali-from-wl-dispatch-2", END],
    "cali-from-wl-dispatch-1": ["-i cali1221 -g cali-fw-cali1221", "-i cali1234 -g cali-fw-cali1234", END],
    "cali-from-wl-dispatch-2": ["-i cali2333 -g cali-fw-cali2333", "-i cali2444 -g cali-fw-cali2444", END],
  }));

test("names of which one begins another", () =>
  expect(chains("cali12", "cali1")).toEqual({
    "cali-from-wl-dispatch": ["-i cali1 -g cali-fw-cali1", "-i cali12 -g cali-fw-cali12", END],
  }));
