import { describe, expect, test } from "vitest";
import { ParseError } from "../model/source.ts";
import { parseCommands } from "./commands.ts";
import { parseFabric } from "./fabric.ts";
import { parseNetns } from "./netns.ts";
import { parseSnapshotJson } from "./snapshot-json.ts";

describe("commands.json", () => {
  test("records by file, the last one counts", () => {
    const text = `[
{
"file": "host/vlan.json",
"command": "bridge -j -d vlan",
"exit": 1,
"stderr": "RTNETLINK answers: Operation not supported\\nDump terminated",
"seconds": 0.004
},
{ "file": "host/a", "command": "a", "exit": null },
{ "file": "host/a", "command": "b", "exit": 0 }
]
`;
    const records = parseCommands(text, "commands.json");
    expect(records.get("host/vlan.json")).toMatchObject({ exit: 1, command: "bridge -j -d vlan", source: { line: 2 } });
    expect(records.get("host/a")).toMatchObject({ exit: 0, command: "b", stderr: "" });
    expect(records.size).toBe(2);
  });

  test.each([
    "",
    "{}",
    "[1]",
    '[{"file":"a"}]',
    '[{"file":"a","command":"b","exit":"0"}]',
    '[{"file":1,"command":"b"}]',
  ])("refuses %j", (text) => expect(() => parseCommands(text, "commands.json")).toThrow(ParseError));
});

describe("netns.json", () => {
  test("with and without a pod", () => {
    const text =
      '{"inode": 4026532617, "pid": 509, "path": "/run/netns/cni-f0", "pod": {"namespace": "shop", "name": "web-1"}}\n';
    expect(parseNetns(text, "f")).toEqual({
      inode: 4026532617,
      path: "/run/netns/cni-f0",
      pod: { namespace: "shop", name: "web-1" },
    });
    expect(parseNetns('{"inode": 1, "path": null}', "f")).toEqual({ inode: 1, path: null, pod: null });
  });

  test.each([
    "[]",
    "{}",
    '{"inode":"1"}',
    '{"inode":1,"pod":{"namespace":"a"}}',
    '{"inode":1,"pod":{"namespace":"a","name":"b/c"}}',
    "nul",
  ])("refuses %j", (text) => expect(() => parseNetns(text, "f")).toThrow(ParseError));
});

const fabric = (more: object): string =>
  JSON.stringify({
    format: "kubewalk.fabric/v1",
    segments: [
      {
        name: "br0",
        attached: [
          ["fabric", "br0"],
          ["n1", "eth0"],
        ],
      },
    ],
    routers: ["fabric"],
    external: ["outside"],
    ...more,
  });

describe("fabric.json", () => {
  test("segments, routers, external hosts", () => {
    expect(parseFabric(fabric({}), "fabric.json")).toEqual({
      segments: [
        {
          name: "br0",
          attached: [
            { node: "fabric", dev: "br0" },
            { node: "n1", dev: "eth0" },
          ],
          source: { file: "fabric.json", line: 1 },
        },
      ],
      routers: ["fabric"],
      external: ["outside"],
    });
  });

  test.each([
    [{ format: "kubewalk.fabric/v2" }, "the format is"],
    [{ format: undefined }, '"format" is missing'],
    [{ segments: undefined }, '"segments" is missing'],
    [{ segments: [{ name: "a", attached: [["n1"]] }] }, "pairs"],
    [{ segments: [{ name: "a", attached: [["n1", 1]] }] }, "two names"],
    [
      {
        segments: [
          {
            name: "a",
            attached: [
              ["n1", "eth0"],
              ["n1", "eth0"],
            ],
          },
        ],
      },
      "attached twice",
    ],
    [{ routers: [1] }, "should be a string"],
  ])("refuses %j", (more, message) => {
    expect(() => parseFabric(fabric(more), "fabric.json")).toThrow(ParseError);
    expect(() => parseFabric(fabric(more), "fabric.json")).toThrow(message);
  });
});

describe("snapshot.json", () => {
  test("nodes, time, everything else", () => {
    const text =
      '{"format":"kubewalk.snapshot/v1","takenAt":"2026-11-20T21:53:56Z","nodes":["cp","n1"],"kubernetes":"v1.34.4"}';
    expect(parseSnapshotJson(text, "snapshot.json")).toEqual({
      takenAt: "2026-11-20T21:53:56Z",
      nodes: ["cp", "n1"],
      info: { kubernetes: "v1.34.4" },
    });
  });

  test.each([
    '{"format":"kubewalk.snapshot/v2","nodes":[]}',
    '{"format":"kubewalk.snapshot/v1"}',
    '{"format":"kubewalk.snapshot/v1","nodes":["a","a"]}',
    '{"format":"kubewalk.snapshot/v1","nodes":["../a"]}',
    '{"format":"kubewalk.snapshot/v1","nodes":[".."]}',
    '{"format":"kubewalk.snapshot/v1","nodes":[1]}',
    '{"format":"kubewalk.snapshot/v1","nodes":["a"],"takenAt":1}',
    "[]",
    "",
  ])("refuses %j", (text) => expect(() => parseSnapshotJson(text, "snapshot.json")).toThrow(ParseError));
});
