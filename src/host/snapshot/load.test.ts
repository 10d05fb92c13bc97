import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadSnapshot } from "./load.ts";
import { packSnapshot } from "./pack.ts";
import { SnapshotError } from "./snapshot-error.ts";

const RECORDINGS = join(import.meta.dirname, "../../../../shared/fixtures");
const recordings = existsSync(RECORDINGS)
  ? [
      "calico-bgp-tor-policies-iptables",
      "calico-vxlan-policies-iptables",
      "flannel-hostgw-nftables",
      "flannel-vxlan-dual-iptables",
      "flannel-vxlan-iptables",
    ]
  : [];

let tmp = "";
beforeAll(() => {
  tmp = mkdtempSync(join(tmpdir(), "kubewalk-"));
});
afterAll(() => rmSync(tmp, { recursive: true, force: true }));

const SMALL: Record<string, string> = {
  "snapshot.json": '{"format":"kubewalk.snapshot/v1","takenAt":"2026-11-20T21:53:56Z","nodes":["n1"]}\n',
  "nodes/n1/host/route4.json": '[{"dst":"default","gateway":"10.0.0.1","dev":"eth0"}]\n',
};

function write(folder: string, files: Record<string, string | Buffer>): string {
  const root = join(tmp, folder);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

type Entry = { name: string; text?: string; type?: "symlink" | "link"; linkname?: string };

async function archive(
  file: string,
  entries: readonly Entry[],
  change: (tar: Buffer) => Buffer = (tar) => tar,
): Promise<string> {
  const tar = pack();
  for (const { name, text, type, linkname } of entries) {
    if (type === undefined) tar.entry({ name }, text ?? "");
    else tar.entry({ name, type, linkname });
  }
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  const path = join(tmp, file);
  writeFileSync(path, change(Buffer.concat(chunks)));
  return path;
}

const entries = (prefix = ""): Entry[] => Object.entries(SMALL).map(([name, text]) => ({ name: prefix + name, text }));

const look = async (path: string) => {
  const s = await loadSnapshot(path);
  return [
    s.takenAt,
    s.nodes,
    s.namespaces.map((n) => n.routes4.length),
    s.line({ file: "nodes/n1/host/route4.json", line: 1 }),
  ];
};

describe("a folder or an archive holds the same", () => {
  const wanted = ["2026-11-20T21:53:56Z", ["n1"], [1], SMALL["nodes/n1/host/route4.json"]!.trimEnd()];

  test.each([
    ["a folder", () => Promise.resolve(write("small", SMALL))],
    [".tar", () => archive("a.tar", entries())],
    [".tar with one folder", () => archive("b.tar", entries("snap/"))],
    [".tar with ./", () => archive("c.tar", entries("./"))],
    [".tar.gz", () => archive("d.tar.gz", entries("./snap/"), gzipSync)],
    [".tgz under another name", () => archive("e.bin", entries(), gzipSync)],
    ["what macOS packs", () => archive("f.tgz", [{ name: "._snap", text: "x" }, ...entries("snap/")], gzipSync)],
    [
      "hard links",
      () =>
        archive("g.tar", [
          ...entries().slice(0, 1),
          { name: "nodes/n1/host/copy", text: SMALL["nodes/n1/host/route4.json"]! },
          { name: "nodes/n1/host/route4.json", type: "link", linkname: "nodes/n1/host/copy" },
        ]),
    ],
  ])("%s", async (_name, make) => expect(await look(await make())).toEqual(wanted));

  test("progress", async () => {
    const seen: string[] = [];
    await loadSnapshot(write("small", SMALL), { onProgress: (p) => seen.push(`${p.done}/${p.total} ${p.place}`) });
    expect(seen).toEqual(["1/1 n1/host"]);
  });
});

const refused = async (path: string): Promise<string> => {
  const error: unknown = await loadSnapshot(path).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(SnapshotError);
  return (error as SnapshotError).message.replace(tmp, "TMP");
};

const cut = (n: number) => (tar: Buffer) => tar.subarray(0, n < 0 ? tar.length + n : n);

describe("refused", () => {
  test.each<[string, () => string | Promise<string>, string]>([
    ["absent", () => join(tmp, "nowhere"), "there is no such file or folder"],
    ["below a file", () => join(write("small", SMALL), "snapshot.json/x"), "there is no such file or folder"],
    ["a device", () => "/dev/null", "neither a folder nor an archive"],
    ["empty file", () => join(write("x", { empty: "" }), "empty"), "the file is empty"],
    ["text", () => join(write("x", { text: "hello world\n".repeat(100) }), "text"), "no archive: neither gzip nor tar"],
    ["short text", () => join(write("x", { short: "h" }), "short"), "truncated"],
    [
      "gzip of text",
      () => join(write("x", { "t.gz": gzipSync("hello world\n".repeat(100)) }), "t.gz"),
      "damaged, or no tar archive",
    ],
    ["empty archive", () => archive("empty.tar", []), "the archive is empty"],
    ["no nodes", () => archive("nothing.tar", [{ name: "README", text: "x" }]), "holds no snapshot"],
    ["two folders", () => archive("two.tar", [...entries("a/"), ...entries("b/")]), "holds no snapshot"],
    [
      "climbing",
      () => archive("climb.tar", [...entries(), { name: "nodes/../../etc/passwd", text: "x" }]),
      "leads out of the archive",
    ],
    [
      "absolute",
      () => archive("abs.tar", [...entries(), { name: "/etc/passwd", text: "x" }]),
      "leads out of the archive",
    ],
    [
      "symbolic link",
      () => archive("sym.tar", [...entries(), { name: "nodes/n1/x", type: "symlink", linkname: "/etc" }]),
      "is a symbolic link",
    ],
    [
      "link to nothing",
      () => archive("hard.tar", [...entries(), { name: "nodes/n1/x", type: "link", linkname: "y" }]),
      "link to what is not before it",
    ],
    ["truncated tar, within a file", () => archive("t1.tar", entries(), cut(700)), "truncated"],
    ["truncated tar, within a header", () => archive("t2.tar", entries(), cut(300)), "truncated"],
    ["truncated tar, between files", () => archive("t3.tar", entries(), cut(1024)), "its end marker is missing"],
    ["truncated tar, within the end", () => archive("t4.tar", entries(), cut(-1024)), "its end marker is missing"],
    [
      "truncated gzip",
      () => archive("t5.tar.gz", entries(), (tar) => cut(-20)(gzipSync(tar))),
      "the archive is truncated",
    ],
    [
      "a few bytes of gzip",
      () => archive("t6.tar.gz", entries(), (tar) => cut(12)(gzipSync(tar))),
      "the archive is truncated",
    ],
    [
      "damaged gzip",
      () => archive("t7.tar.gz", entries(), (tar) => Buffer.concat([cut(30)(gzipSync(tar)), Buffer.alloc(200, 0x55)])),
      "gzip data is damaged",
    ],
    ["folder without a snapshot", () => write("other", { "a/b": "x" }), "holds no snapshot"],
    [
      "folder around a snapshot",
      () => dirname(join(write("around/snapshot", SMALL), "x")).replace(/\/snapshot$/, ""),
      "there is one in TMP/around/snapshot",
    ],
    ["empty folder", () => dirname(join(write("void", { x: "" }), "x")), "holds no snapshot"],
  ])("%s", async (_name, make, message) => {
    const said = await refused(await make());
    expect(said.replaceAll(tmp, "TMP")).toContain(message);
  });

  test("a folder with a link that leads out, or to a folder", async () => {
    const out = write("leads-out", SMALL);
    symlinkSync("/etc/hostname", join(out, "nodes/n1/host/addr.json"));
    expect(await refused(out)).toContain("nodes/n1/host/addr.json leads out of the snapshot");
    const loop = write("loop", SMALL);
    symlinkSync("..", join(loop, "nodes/n1/up"));
    expect(await refused(loop)).toContain("is a symbolic link to a folder");
  });

  test("links within the folder are files; links to nothing and pipes are none", async () => {
    const folder = write("links", SMALL);
    symlinkSync("route4.json", join(folder, "nodes/n1/host/copy.json"));
    symlinkSync("nowhere", join(folder, "nodes/n1/host/gone.json"));
    execFileSync("mkfifo", [join(folder, "nodes/n1/host/addr.json")]);
    const snapshot = await loadSnapshot(folder);
    expect(snapshot.text("nodes/n1/host/copy.json")).toBe(SMALL["nodes/n1/host/route4.json"]);
    expect(snapshot.text("nodes/n1/host/gone.json")).toBeUndefined();
    expect(snapshot.namespaces[0]!.missing.get("addr")).toBe("addr.json was not recorded");
  });

  test("a malformed snapshot.json is a ParseError", async () => {
    await expect(loadSnapshot(write("bad", { ...SMALL, "snapshot.json": "{" }))).rejects.toThrow(
      "snapshot.json:1: JSON is cut off",
    );
  });
});

test("bytes that are not UTF-8: a problem with file and line", async () => {
  const folder = write("latin", {
    ...SMALL,
    "nodes/n1/host/neigh.json": Buffer.from('[\n{"dst":"10.0.0.\xff"}]\n', "latin1"),
  });
  const snapshot = await loadSnapshot(folder);
  expect(snapshot.problems.map((p) => p.message)).toEqual(["nodes/n1/host/neigh.json:2: a byte that is not UTF-8"]);
  expect(snapshot.namespaces[0]!.missing.get("neigh")).toContain("not UTF-8");
  expect(snapshot.text("nodes/n1/host/neigh.json")).toBeUndefined();
});

describe("packSnapshot", () => {
  test("the same files make the same bytes", async () => {
    const [a, b] = [join(tmp, "one.tar.gz"), join(tmp, "two.tar.gz")];
    expect(await packSnapshot(write("pack-a", SMALL), a)).toBe(2);
    await packSnapshot(write("pack-b", Object.fromEntries(Object.entries(SMALL).toReversed())), b);
    expect(readFileSync(a).equals(readFileSync(b))).toBe(true);
    expect((await loadSnapshot(a)).nodes).toEqual(["n1"]);
    // The first name in it; the rest of the header holds no time and no owner.
    const tar = gunzipSync(readFileSync(a));
    expect(tar.toString("latin1", 0, 34).replaceAll("\0", "")).toBe("snapshot/nodes/n1/host/route4.json");
    expect(existsSync(`${a}.partial`)).toBe(false);
  });

  test("refuses a folder without a snapshot, and a place where it cannot write", async () => {
    await expect(packSnapshot(write("other", { "a/b": "x" }), join(tmp, "x.tar.gz"))).rejects.toThrow(SnapshotError);
    await expect(packSnapshot(write("small", SMALL), join(tmp, "no/such/x.tar.gz"))).rejects.toThrow(
      "cannot be written",
    );
    await expect(packSnapshot(join(tmp, "nowhere"), join(tmp, "x.tar.gz"))).rejects.toThrow(SnapshotError);
  });
});

describe("recordings of real clusters", () => {
  test.skipIf(recordings.length === 0)("load without problems, and nothing is missing", async () => {
    for (const name of recordings) {
      const { namespaces, problems, cluster, fabric, nodes } = await loadSnapshot(join(RECORDINGS, name, "snapshot"));
      expect(problems, name).toEqual([]);
      expect(
        namespaces.flatMap((n) => [...n.missing].map((m) => [n.place, ...m])),
        name,
      ).toEqual([]);
      expect([...cluster.missing], name).toEqual([]);
      expect([nodes, namespaces.length, fabric?.routers, cluster.nodes.length], name).toEqual([
        ["cp", "n1", "n2", "n3"],
        16,
        ["fabric"],
        3,
      ]);
      for (const namespace of namespaces.filter((n) => n.pod !== null))
        expect(
          cluster.pods.some((p) => p.name === namespace.pod!.name && p.node === namespace.node),
          namespace.place,
        ).toBe(true);
    }
  });

  test.skipIf(recordings.length === 0)("packed they are the same", async () => {
    const folder = join(RECORDINGS, recordings[0]!, "snapshot");
    const packed = join(tmp, "recording.tar.gz");
    await packSnapshot(folder, packed);
    const [a, b] = [await loadSnapshot(folder), await loadSnapshot(packed)];
    expect(b.namespaces).toEqual(a.namespaces);
    expect(b.cluster).toEqual(a.cluster);
    expect(b.fabric).toEqual(a.fabric);
  });
});
