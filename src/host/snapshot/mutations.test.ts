/** Whatever becomes of a snapshot's files or of its archive: it loads and says what is missing, or it is refused. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { gunzipSync, gzipSync } from "node:zlib";
import * as fc from "fast-check";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Snapshot } from "../../core/model/snapshot.ts";
import { ParseError } from "../../core/model/source.ts";
import { assembleSnapshot } from "../../core/parse/snapshot.ts";
import { archiveFiles } from "./archive-files.ts";
import { decodeText } from "./decode.ts";
import { loadSnapshot } from "./load.ts";
import { SnapshotError } from "./snapshot-error.ts";

const EXAMPLE = join(import.meta.dirname, "../../../examples/calico-bgp-tor-policies-iptables.tar.gz");

/** One worker node with its pods, the fabric and the cluster's objects. */
const part = new Map<string, Buffer>();
let intact: Snapshot;
let tmp = "";

const isPart = (path: string): boolean => !path.startsWith("nodes/") || path.startsWith("nodes/n2/");

function assemble(changed: string, bytes: Buffer | undefined): Snapshot {
  const bytesOf = (path: string): Buffer | undefined => (path === changed ? bytes : part.get(path));
  return assembleSnapshot({
    paths: () => [...part.keys()].filter((path) => bytesOf(path) !== undefined),
    read(path) {
      const found = bytesOf(path);
      return found === undefined ? undefined : decodeText(found, path);
    },
  });
}

const noticed = (s: Snapshot): boolean =>
  s.problems.length > intact.problems.length ||
  s.namespaces.some((n) => n.missing.size > 0 && n.node === "n2") ||
  s.cluster.missing.size > 0;

const same = (s: Snapshot): boolean =>
  isDeepStrictEqual(s.namespaces, intact.namespaces) && isDeepStrictEqual(s.cluster, intact.cluster);

/** The snapshot with one changed file; null when it is refused, as only these two files may be. */
function attempt(path: string, bytes: Buffer | undefined): Snapshot | null {
  try {
    return assemble(path, bytes);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    expect(["snapshot.json", "fabric.json"]).toContain(path);
    return null;
  }
}

beforeAll(async () => {
  tmp = mkdtempSync(join(tmpdir(), "kubewalk-"));
  const files = await archiveFiles(EXAMPLE);
  for (const path of files.paths()) if (isPart(path)) part.set(path, Buffer.from(files.read(path) ?? ""));
  const head = '{"format":"kubewalk.snapshot/v1","takenAt":null,"nodes":["n2"]}\n';
  part.set("snapshot.json", Buffer.from(head));
  intact = assemble("", undefined);
});
afterAll(() => rmSync(tmp, { recursive: true, force: true }));

/** Files that nothing is read from; nft.txt gives only line numbers, which those of nft.json can stand in for. */
const UNREAD = /\/(?:files|programs)\/|stats\.|resolv\.conf$|\/nft\.txt$/;
/** Absence of these says that there is nothing: their commands print nothing then, or the recorder lists no command. */
const MAY_BE_ABSENT =
  /\/(?:sockets|xt_recent|ipset)\.txt$|netns\.json$|commands\.json$|^(?:snapshot|fabric)\.json$|^cluster\//;
/** Each line stands for itself, so that a cut between lines shows only when the recorder noted the length. */
const LINES = /\/(?:sockets|xt_recent|ipset)\.txt$/;

const anyPath = () => fc.constantFrom(...[...part.keys()].filter((path) => !UNREAD.test(path)));

describe("one file of a snapshot", () => {
  test("the part is sound", () => {
    expect(intact.problems).toEqual([]);
    expect(noticed(intact)).toBe(false);
    expect(part.size).toBeGreaterThan(80);
  });

  test("gone: every aspect is missed", () => {
    for (const path of part.keys()) {
      const found = attempt(path, undefined);
      if (found !== null && !UNREAD.test(path) && !MAY_BE_ABSENT.test(path))
        expect(noticed(found) || same(found), path).toBe(true);
    }
  });

  test("cut off: noticed, or nothing was lost", () => {
    fc.assert(
      fc.property(anyPath(), fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), (path, at) => {
        const whole = part.get(path)!;
        let end = Math.max(1, Math.floor(at * whole.length));
        if (LINES.test(path) && whole[end - 1] === 10) end--;
        const found = attempt(path, whole.subarray(0, Math.max(end, 1)));
        if (found !== null) expect(noticed(found) || same(found), `${path} cut at ${end}`).toBe(true);
      }),
      { numRuns: 80, seed: 20261120 },
    );
  });

  test("bytes changed: it loads, or the head is refused", () => {
    const change = fc.record({
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      byte: fc.nat(255),
      remove: fc.nat(3),
    });
    fc.assert(
      fc.property(anyPath(), fc.array(change, { minLength: 1, maxLength: 4 }), (path, changes) => {
        let bytes = part.get(path)!;
        for (const { at, byte, remove } of changes) {
          const from = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, from), Buffer.of(byte), bytes.subarray(from + remove)]);
        }
        const found = attempt(path, bytes);
        for (const problem of found?.problems ?? []) expect(problem.source.line, problem.message).toBeGreaterThan(0);
      }),
      { numRuns: 120, seed: 20261120 },
    );
  });
});

const load = async (bytes: Buffer): Promise<void> => {
  const path = join(tmp, "damaged");
  writeFileSync(path, bytes);
  await loadSnapshot(path).catch((error: unknown) => {
    if (!(error instanceof SnapshotError) && !(error instanceof ParseError)) throw error;
  });
};

const small = async (): Promise<Buffer> => {
  const tar = pack();
  for (const name of ["snapshot.json", "nodes/n2/host/route4.json", "nodes/n2/host/addr.json"])
    tar.entry({ name: `snapshot/${name}` }, part.get(name)!);
  tar.entry({ name: `snapshot/nodes/n2/files/${"long/".repeat(40)}name` }, "x");
  tar.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of tar) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};

describe("an archive", () => {
  const damage = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    bytes: fc.uint8Array({ maxLength: 4 }),
    remove: fc.oneof(fc.constant(0), fc.constant(4), fc.nat(600)),
  });

  test.each([
    ["tar", (tar: Buffer) => tar],
    ["tar.gz", (tar: Buffer) => gzipSync(tar)],
  ])("%s damaged", async (_name, make) => {
    const whole = make(await small());
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (damages) => {
        let bytes = whole;
        for (const { at, bytes: put, remove } of damages) {
          const from = Math.floor(at * bytes.length);
          bytes = Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + remove)]);
        }
        await load(bytes);
      }),
      { numRuns: 120, seed: 20261120 },
    );
  });

  test("every truncation of a gzip is refused", async () => {
    const whole = gzipSync(await small());
    expect(gunzipSync(whole).length).toBeGreaterThan(1000);
    const path = join(tmp, "cut.tar.gz");
    for (let end = 1; end < whole.length; end += 13) {
      writeFileSync(path, whole.subarray(0, end));
      await expect(loadSnapshot(path), `cut at ${end}`).rejects.toThrow(SnapshotError);
    }
  });
});
