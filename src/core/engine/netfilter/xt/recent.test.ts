import { describe, expect, it } from "vitest";
import { matches } from "../testing/ruleset.ts";
import type { PacketFields } from "../testing/ruleset.ts";

const RECENT = `== EMPTY
== L
src=10.0.0.1 ttl: 64 last_seen: 5000000000 oldest_pkt: 2 4999999000, 5000000000
src=10.0.0.7 ttl: 64 last_seen: 4000000000 oldest_pkt: 1 4000000000
`;
const ARGS = "--mask 255.255.255.255 --rsource";

const list: [rule: string, packet: PacketFields, answer: string][] = [
  [`-m recent --rcheck --name EMPTY ${ARGS}`, {}, "no"],
  [`-m recent ! --rcheck --name EMPTY ${ARGS}`, {}, "yes"],
  [`-m recent --set --name EMPTY ${ARGS}`, {}, "yes"],
  [`-m recent ! --set --name EMPTY ${ARGS}`, {}, "no"],
  [`-m recent --rcheck --name L ${ARGS}`, {}, "yes"],
  [`-m recent --rcheck --name L ${ARGS}`, { src: "10.0.0.2" }, "no"],
  [`-m recent --rcheck --name L --mask 255.255.255.0 --rsource`, { src: "10.0.0.2" }, "no"],
  [`-m recent --rcheck --name L --mask 255.255.255.255 --rdest`, { dst: "10.0.0.1" }, "yes"],
  [`-m recent --update --hitcount 2 --name L ${ARGS}`, {}, "yes"],
  [`-m recent --update --hitcount 3 --name L ${ARGS}`, {}, "no"],
  [`-m recent --remove --name L ${ARGS}`, {}, "yes"],
  [`-m recent --rcheck --rttl --name L ${ARGS}`, { ttl: 63, locallyMade: false }, "yes"],
  [`-m recent --rcheck --rttl --name L ${ARGS}`, { ttl: 64, locallyMade: false }, "no"],
  [
    `-m recent --rcheck --seconds 10800 --reap --name L ${ARGS}`,
    {},
    "whether L saw the address within 10800 seconds can't be told",
  ],
  // A thousand million jiffies before another stamp: past three hours at any CONFIG_HZ.
  [`-m recent --rcheck --seconds 10800 --reap --name L ${ARGS}`, { src: "10.0.0.7" }, "no"],
  [`-m recent --rcheck --name OTHER ${ARGS}`, {}, "the recent list OTHER was not recorded"],
];

describe("recent (recent_mt)", () => {
  it.each(list)("%s | %o → %s", (rule, fields, answer) => {
    expect(matches(rule, fields, { recent: RECENT })).toBe(answer);
  });
});
