import { expect, test } from "vitest";
import { formatIp } from "../model/address.ts";
import { parseNeigh, parseProxyNeigh } from "./neigh.ts";
import { parseNetnsIds } from "./netns-id.ts";
import { parseTcQdisc } from "./tc.ts";

test("neighbours of both families", () => {
  const text =
    '[{"dst":"10.1.0.9","dev":"v0","state":["FAILED"]},{"dst":"10.1.0.80","dev":"v0","state":["INCOMPLETE"]},{"dst":"10.1.0.78","dev":"v0","lladdr":"02:00:00:00:00:02","state":["STALE"]},{"dst":"2001:db8::77","dev":"v0","lladdr":"02:00:00:00:00:03","router":null,"state":["REACHABLE"]},{"dst":"2001:db8::78","dev":"v0","lladdr":"02:00:00:00:00:03","extern_learn":null,"state":["PERMANENT"]},{"dst":"10.0.0.2","dev":"tunl0","lladdr":"10.0.0.2","state":["NOARP"]},{"dst":"10.0.0.3","dev":"v0","state":[]},{"dst":"10.1.0.90","dev":"v0","proxy":null}]';
  expect(parseNeigh(text, "neigh.json").map((n) => [formatIp(n.ip), n.dev, n.mac, n.state, n.router])).toEqual([
    ["10.1.0.9", "v0", null, "FAILED", false],
    ["10.1.0.80", "v0", null, "INCOMPLETE", false],
    ["10.1.0.78", "v0", "02:00:00:00:00:02", "STALE", false],
    ["2001:db8::77", "v0", "02:00:00:00:00:03", "REACHABLE", true],
    ["2001:db8::78", "v0", "02:00:00:00:00:03", "PERMANENT", false],
    ["10.0.0.2", "tunl0", null, "NOARP", false],
    ["10.0.0.3", "v0", null, "NONE", false],
  ]);
});

test("proxy entries", () => {
  const text =
    '[{"dst":"10.1.0.90","dev":"v0","proxy":null},\n{"dst":"10.1.0.91","proxy":null},{"dst":"2001:db8::91","dev":"v0","router":null,"proxy":null,"extern_learn":null}]';
  expect(
    parseProxyNeigh(text, "neigh-proxy.json").map((n) => [
      formatIp(n.ip),
      n.dev,
      n.mac,
      n.state,
      n.router,
      n.source.line,
    ]),
  ).toEqual([
    ["10.1.0.90", "v0", null, "", false, 1],
    ["10.1.0.91", null, null, "", false, 2],
    ["2001:db8::91", "v0", null, "", true, 2],
  ]);
});

test("malformed neighbours", () => {
  expect(() => parseNeigh('[{"dev":"v0"}]', "n")).toThrow('n:1: "dst" is missing');
  expect(() => parseNeigh('[{"dst":"10.0.0.256"}]', "n")).toThrow('n:1: "dst" should be an address, not "10.0.0.256"');
  expect(() => parseNeigh('[{"dst":"10.0.0.2","state":"STALE"}]', "n")).toThrow(
    'n:1: "state" should be an array, not "STALE"',
  );
});

test("namespace numbers", () => {
  expect(parseNetnsIds('[{"nsid":0},{"nsid":1,"name":"cni-5f9cce1c"}]\n', "nsid.json")).toEqual([
    { id: 0, name: null },
    { id: 1, name: "cni-5f9cce1c" },
  ]);
  expect(parseNetnsIds("[]\n", "nsid.json")).toEqual([]);
  expect(() => parseNetnsIds('[{"name":"x"}]', "nsid.json")).toThrow('nsid.json:1: "nsid" is missing');
});

test("queueing disciplines that matter", () => {
  const text =
    '[{"kind":"noqueue","handle":"0:","dev":"lo","root":true,"refcnt":2,"options":{}},{"kind":"mq","handle":"0:","dev":"eth0","root":true,"options":{}},{"kind":"fq_codel","handle":"0:","dev":"eth0","parent":":1","options":{"limit":10240}},{"kind":"clsact","handle":"ffff:","dev":"a0","parent":"ffff:fff1","options":{}},{"kind":"ingress","handle":"ffff:","dev":"b0","parent":"ffff:fff1","options":{}},\n{"kind":"tbf","handle":"8001:","dev":"b1","root":true,"refcnt":3,"options":{"rate":125000,"burst":10240,"lat":5000}},{"kind":"netem","handle":"8002:","dev":"b1","parent":"8001:1","options":{}},{"kind":"netem","handle":"8003:","dev":"b1","parent":"8001:2","options":{}},{"kind":"noop","dev":"down0","root":true,"options":{}}]';
  expect(parseTcQdisc(text, "tc.json")).toEqual([
    { dev: "a0", kind: "clsact", line: 1 },
    { dev: "b0", kind: "ingress", line: 1 },
    { dev: "b1", kind: "netem", line: 2 },
  ]);
});
