/** Nodes that hang, refuse, lie or are cut off cost themselves only. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import { expect, test } from "vitest";
import { archiveFiles } from "../snapshot/archive-files.ts";
import { archiveSink } from "./archive-sink.ts";
import { assemble, PieceError } from "./assemble.ts";
import { PodIndex } from "./attribute.ts";
import { gather, type GatherOptions } from "./gather.ts";
import { memorySink } from "./sink.ts";
import type { NodeSource } from "./source.ts";

async function archiveOf(name: string, files: Record<string, string> = {}): Promise<Buffer> {
  const tar = pack();
  const head = JSON.stringify({ format: "kubewalk.node/v1", name, startedAt: 1000 });
  const end = JSON.stringify({ startedAt: 1000, endedAt: 1001.5, changed: ["host/nft.txt"], removed: [{}, {}] });
  const all = { "node.json": head, "host/addr.json": "[]", ...files, "commands.json": "[]", "collect.json": end };
  for (const [path, text] of Object.entries(all)) tar.entry({ name: path }, text);
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const given = (label: string, bytes: Buffer, name: string | null = null): NodeSource => ({
  label,
  name,
  async *open() {
    yield bytes;
  },
});

const hanging = (label: string): NodeSource => ({
  label,
  name: label,
  async *open(signal) {
    yield* [];
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  },
});

const options = (more: Partial<GatherOptions> = {}): GatherOptions => ({
  parallel: 2,
  timeout: 20_000,
  pods: new PodIndex(),
  signal: new AbortController().signal,
  live: true,
  now: () => 2_000_000,
  ...more,
});

test("a node that hangs costs its own time-out, and is named", async () => {
  const sink = memorySink();
  const sources = [hanging("n0"), given("a", await archiveOf("n1")), given("b", await archiveOf("n2"))];
  const results = await gather(sources, sink, options({ timeout: 300 }));
  expect(results.map((result) => [result.name, result.state, result.error])).toEqual([
    ["n0", "failed", "it did not answer within 0.3 s"],
    ["n1", "whole", null],
    ["n2", "whole", null],
  ]);
  expect(results[1]).toMatchObject({
    seconds: 1.5,
    removed: 2,
    changed: ["host/nft.txt"],
    clock: { ahead: -1000, error: 0 },
  });
});

test("interrupted, it keeps what came", async () => {
  const interrupt = new AbortController();
  const sources = [given("a", await archiveOf("n1")), hanging("n2"), hanging("n3")];
  const results = await gather(
    sources,
    memorySink(),
    options({ parallel: 2, signal: interrupt.signal, onNode: (_, done) => done === 1 && interrupt.abort() }),
  );
  expect(results.map((result) => result.error)).toEqual([null, "interrupted", "interrupted"]);
});

test("what is cut off, lies about its name or leads out of the archive is told", async () => {
  const whole = await archiveOf("n1");
  const sources = [
    given("whole", whole),
    given("twin", whole),
    given("cut", (await archiveOf("n2", { "host/nft.json": "x".repeat(5000) })).subarray(0, 4000)),
    given("text", Buffer.from("Permission denied\n".repeat(100))),
    given("climbs", await archiveOf("n4", { "../../etc/passwd": "x" })),
    given("nameless", await archiveOf("../n5")),
  ];
  const results = await gather(sources, memorySink(), options({ parallel: 1 }));
  expect(results.map((result) => [result.state, result.error])).toEqual([
    ["whole", null],
    ["failed", "it says that it is n1, as whole did; KUBEWALK_NAME=NAME tells the script otherwise"],
    ["partial", expect.stringMatching(/^the archive ends/)],
    ["failed", expect.stringMatching(/^not what the script prints/)],
    ["partial", "the entry ../../etc/passwd leads out of the archive"],
    ["failed", "node.json in the archive does not say which node it is of"],
  ]);
});

test("namespaces get their pod from the cluster's objects, and pods without one are told", async () => {
  const pods = new PodIndex();
  const pod = (name: string, uid: string, id: string): Record<string, unknown> => ({
    metadata: { namespace: "shop", name, uid },
    spec: { nodeName: "n1" },
    status: { phase: "Running", containerStatuses: [{ containerID: `containerd://${id}` }] },
  });
  for (const each of [pod("a", "u1", "c1"), pod("b", "u2", "c2"), pod("c", "u3", "c3")]) pods.add(each);
  const netns = (more: object): string =>
    JSON.stringify({ inode: 1, pid: 1, path: null, pod: null, podUid: null, containers: [], ...more });
  const archive = await archiveOf("n1", {
    "netns/1/netns.json": netns({ podUid: "u1" }),
    "netns/2/netns.json": netns({ containers: ["x", "c2"] }),
    "netns/3/netns.json": netns({ podUid: "u1" }),
  });
  const sink = memorySink();
  const [result] = await gather([given("n1", archive)], sink, options({ pods }));
  const podOf = (inode: number): unknown =>
    (JSON.parse(sink.files.read(`nodes/n1/netns/${inode}/netns.json`)!) as { pod: unknown }).pod;
  expect([podOf(1), podOf(2), podOf(3)]).toEqual([
    { namespace: "shop", name: "a" },
    { namespace: "shop", name: "b" },
    null,
  ]);
  expect(result!.podsNotFound).toEqual(["shop/c"]);
});

test("pieces are assembled into an archive; Secrets are refused", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kubewalk-assemble-"));
  const file = (name: string, content: Buffer | string): string => {
    writeFileSync(join(dir, name), content);
    return join(dir, name);
  };
  const common = { parallel: 1, timeout: 20_000, version: "1", signal: new AbortController().signal };
  const list = (kind: string): string =>
    JSON.stringify({
      kind: "List",
      items: [{ kind, metadata: { name: "x", managedFields: [] }, spec: { password: "p" } }],
    });
  const nodes = [file("n1.tar", await archiveOf("n1")), file("n2.tar", await archiveOf("n2"))];
  const archive = join(dir, "out.tar.gz");
  const sink = archiveSink(archive);
  await assemble([...nodes, file("endpointslices.json", list("EndpointSlice"))], { sink, ...common });
  await sink.close();
  const files = await archiveFiles(archive);
  const slices = files.read("cluster/endpointslices.discovery.k8s.io.json")!;
  expect(JSON.parse(slices)).toMatchObject({
    kind: "List",
    items: [{ metadata: { name: "x" }, spec: { password: "REMOVED" } }],
  });
  expect(JSON.parse(files.read("snapshot.json")!)).toMatchObject({
    nodes: ["n1", "n2"],
    collected: { way: "assembled", removed: { "endpointslices.discovery.k8s.io": 1 } },
  });
  const refused = assemble([...nodes, file("s.json", list("Secret"))], { sink: memorySink(), ...common });
  await expect(refused).rejects.toThrow(PieceError);
  expect(readFileSync(archive).length).toBeGreaterThan(0);
  rmSync(dir, { recursive: true });
});
