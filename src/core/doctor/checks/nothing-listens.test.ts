import { describe, expect, test } from "vitest";
import { doctor } from "../doctor.ts";
import { altered, hasRecording, type Edit } from "../testing/altered.ts";
import type { Finding } from "../types.ts";
import { nothingListens } from "./nothing-listens.ts";

const NAME = "flannel-vxlan-iptables";
/** Of the web pod on n1. */
const SOCKETS = "nodes/n1/netns/4026532617/sockets.txt";
const PLACE = "n1/pod/shop/web-7585fcc48-vrljt";

const findings = (edits: Record<string, Edit>): Finding[] =>
  doctor(altered(NAME, edits), { checks: [nothingListens] }).findings;

describe.skipIf(!hasRecording(NAME))("nothing-listens, listens-on-loopback", () => {
  test("everything listens in a healthy cluster", () => {
    expect(findings({})).toEqual([]);
  });

  test("the program of one pod is down", () => {
    const [found, ...more] = findings({ [SOCKETS]: (text) => text.replace(/^tcp LISTEN.*:8080.*\n/m, "") });
    expect(more).toEqual([]);
    expect(found).toMatchObject({ id: "nothing-listens", severity: "error", at: PLACE });
    const web = found?.affects.find(({ from, to }) => from === "n1/host" && to === "svc:shop/web:80");
    expect(web?.share).toEqual({ num: 1, den: 3 });
  });

  test("it listens on loopback", () => {
    const [found] = findings({
      [SOCKETS]: (text) => text.replace(/\*:8080 \*:\*/, "127.0.0.1:8080 0.0.0.0:*").replace("v6only:0 <->", "<->"),
    });
    expect(found).toMatchObject({ id: "listens-on-loopback", severity: "error", at: PLACE });
    expect(found?.summary).toContain("127.0.0.1:8080");
  });
});
