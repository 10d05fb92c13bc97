import { describe, expect, it } from "vitest";
import { matches } from "../testing/ruleset.ts";
import type { PacketFields } from "../testing/ruleset.ts";

type Ct = NonNullable<Parameters<typeof matches>[2]>["ct"];

const NEW = { ctInfo: "new" } as const;
const ESTABLISHED = { ctInfo: "established" } as const;

const list: [rule: string, packet: PacketFields, ct: Ct, answer: string][] = [
  ["-m conntrack --ctstate NEW", NEW, {}, "yes"],
  ["-m conntrack --ctstate RELATED,ESTABLISHED", NEW, {}, "no"],
  ["-m conntrack --ctstate RELATED,ESTABLISHED", ESTABLISHED, {}, "yes"],
  ["-m conntrack --ctstate RELATED", { ctInfo: "related" }, {}, "yes"],
  ["-m conntrack ! --ctstate NEW", ESTABLISHED, {}, "yes"],
  ["-m conntrack --ctstate INVALID", { ctInfo: "invalid" }, null, "yes"],
  ["-m conntrack --ctstate INVALID", { ctInfo: "none" }, null, "yes"],
  ["-m conntrack --ctstate UNTRACKED", { ctInfo: "untracked" }, null, "yes"],
  ["-m conntrack --ctstate INVALID", { ctInfo: "untracked" }, null, "no"],
  ["-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", NEW, { dstNat: true }, "no"],
  ["-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", NEW, {}, "yes"],
  ["-m conntrack --ctstate DNAT", { ...ESTABLISHED, ctReply: true }, { dstNat: true }, "yes"],
  ["-m conntrack --ctstate SNAT", ESTABLISHED, { srcNat: true }, "yes"],
  ["-m conntrack --ctstate SNAT", ESTABLISHED, { dstNat: true }, "no"],
  ["-m state --state NEW", NEW, {}, "yes"],
  ["-m state ! --state NEW", { ctInfo: "invalid" }, null, "yes"],
  ["-m conntrack --ctorigsrc 10.0.0.1", NEW, {}, "yes"],
  ["-m conntrack --ctorigsrc 10.0.0.2", NEW, {}, "no"],
  ["-m conntrack --ctreplsrc 10.0.0.2", NEW, {}, "yes"],
  ["-m conntrack ! --ctorigdst 10.0.0.2", NEW, {}, "no"],
  ["-m conntrack --ctorigdst 10.0.0.2", { ctInfo: "invalid" }, null, "no"],
  ["-m conntrack --ctstate INVALID --ctorigdst 10.0.0.9", { ctInfo: "invalid" }, null, "yes"],
  ["-m conntrack --ctorigdstport 80:90", { ...NEW, dport: 85 }, {}, "yes"],
  ["-m conntrack --ctproto 17", NEW, {}, "no"],
  ["-m conntrack ! --ctproto 17", NEW, {}, "yes"],
  ["-m conntrack --ctstatus SEEN_REPLY", NEW, { seenReply: true }, "yes"],
  ["-m conntrack --ctstatus CONFIRMED,ASSURED", NEW, {}, "no"],
  ["-m conntrack --ctstatus NONE", NEW, {}, "no"],
  ["-m conntrack ! --ctstatus NONE", NEW, {}, "yes"],
  ["-m conntrack --ctdir ORIGINAL", NEW, {}, "yes"],
  ["-m conntrack --ctdir REPLY", NEW, {}, "no"],
  ["-m conntrack --ctdir REPLY", { ...ESTABLISHED, ctReply: true }, {}, "yes"],
  ["-m conntrack --ctexpire 1:5", NEW, {}, "how long the connection has to live is not modelled"],
  ["-m connmark --mark 0x1/0xf", NEW, { mark: 0x21 }, "yes"],
  ["-m connmark ! --mark 0x1/0xf", NEW, { mark: 0x21 }, "no"],
  ["-m connmark ! --mark 0x1/0xf", { ctInfo: "invalid" }, null, "no"],
  ['-m helper --helper "ftp"', NEW, {}, "no"],
  [
    '-m helper --helper "ftp"',
    { ctInfo: "related" },
    { expected: true },
    "which helper announced the connection (ftp?) is not recorded",
  ],
];

describe("matches on the connection", () => {
  it.each(list)("%s | %o %o → %s", (rule, fields, ct, answer) => {
    expect(matches(rule, fields, { ct })).toBe(answer);
  });
});
