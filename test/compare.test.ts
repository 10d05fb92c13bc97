/** `kubewalk diff A B` on recordings of real clusters: nothing where nothing changed, every edit found, and who is hurt by it. */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { compare } from "../src/core/compare/compare.ts";
import { defaultQuestions } from "../src/core/compare/questions.ts";
import type { State } from "../src/core/compare/state.ts";
import type { Change, Comparison } from "../src/core/compare/types.ts";
import { compareWalks } from "../src/core/compare/walks.ts";
import { ask, createWorld } from "../src/core/engine/walk.ts";
import { assembleSnapshot } from "../src/core/parse/snapshot.ts";
import { compareSchema } from "../src/core/schema/compare.ts";
import { folderFiles } from "../src/host/snapshot/folder-files.ts";
import { recordingsIn } from "./judge/recording.ts";

const FIXTURES = fileURLToPath(new URL("../../shared/fixtures", import.meta.url));
const recordings = recordingsIn(FIXTURES);

type Files = Map<string, string>;
type Asked = State & { world: ReturnType<typeof createWorld> };

function filesOf(dir: string): Files {
  const files = folderFiles(join(dir, "snapshot"));
  return new Map([...files.paths()].map((path) => [path, files.read(path) ?? ""]));
}

function stateOf(files: Files): Asked {
  const snapshot = assembleSnapshot({ paths: () => files.keys(), read: (path) => files.get(path) });
  const world = createWorld(snapshot);
  return {
    snapshot,
    world,
    peerOf(place, dev) {
      const peer = world.byPlace.get(place)?.byName.get(dev)?.peer ?? null;
      return peer === null ? null : { at: peer.ns.place, dev: peer.name };
    },
  };
}

function whole(before: Asked, after: Asked): Comparison {
  const { questions, left } = defaultQuestions(before.snapshot, after.snapshot, 400);
  const walks = compareWalks(questions, left, (side, question) => ask([before, after][side]!.world, question, {}));
  const result: Comparison = { ...compare(before, after), walks };
  const json = JSON.parse(JSON.stringify({ format: "kubewalk.compare/v1", ...result })) as unknown;
  expect(compareSchema.parse(json)).toEqual(json);
  return result;
}

type Row = Record<string, unknown>;

/** Rows of a JSON list without the one at `at`, or with it altered. */
const row = (text: string, at: number, change: (row: Row) => Row | null): string =>
  JSON.stringify((JSON.parse(text) as Row[]).flatMap((each, i) => (i === at ? (change(each) ?? []) : each)));

/** An edit of a file that changes what the machine does, and what must be said of it. */
interface Edited {
  path: string;
  text: string;
  expected: (changes: readonly Change[]) => boolean;
}

const some = (kind: Change["kind"], change: Change["change"], more: (each: Change) => boolean = () => true) => {
  return (changes: readonly Change[]): boolean =>
    changes.some((each) => each.kind === kind && each.change === change && more(each));
};

/** Index of one of the rows for which `fits`, picked by `at` in [0, 1). */
function pick(text: string, at: number, fits: (row: Row) => boolean): number {
  const places = (JSON.parse(text) as Row[]).flatMap((each, i) => (fits(each) ? [i] : []));
  return places[Math.floor(at * places.length)] ?? -1;
}

/** Every kind of edit; null where the file has nothing to edit. */
const EDITS: Record<string, (files: Files, node: string, at: number) => Edited | null> = {
  "a rule taken away"(files, node, at) {
    const path = `nodes/${node}/host/iptables-save.txt`;
    const lines = (files.get(path) ?? "").split("\n");
    const rules = lines.flatMap((line, i) => (/^\[\d+:\d+\] -A /.test(line) || line.startsWith("-A ") ? [i] : []));
    const line = rules[Math.floor(at * rules.length)];
    if (line === undefined) return null;
    const rule = lines[line]!.replace(/^\[\d+:\d+\] /, "").replace(/ -m comment.*$/, "");
    // Of equal rules in a row nobody can tell which is gone.
    return {
      path,
      text: lines.toSpliced(line, 1).join("\n"),
      expected: some("rule", "removed", (each) => each.before!.text.startsWith(rule.split(" -", 1)[0]!)),
    };
  },
  "a rule added"(files, node, at) {
    const path = `nodes/${node}/host/iptables-save.txt`;
    const lines = (files.get(path) ?? "").split("\n");
    const chains = lines.flatMap((line, i) => (line.includes("-A ") ? [i] : []));
    const line = chains[Math.floor(at * chains.length)];
    if (line === undefined) return null;
    const chain = /-A (\S+)/.exec(lines[line]!)![1]!;
    const more = `[0:0] -A ${chain} -s 203.0.113.77/32 -j DROP`;
    const expected = some(
      "rule",
      "added",
      ({ after }) => after?.text === more.slice(6) && after.source?.line === line + 1,
    );
    return { path, text: lines.toSpliced(line, 0, more).join("\n"), expected };
  },
  "a rule of nftables taken away"(files, node, at) {
    const path = `nodes/${node}/host/nft.json`;
    const text = files.get(path) ?? "";
    if (text === "") return null;
    const doc = JSON.parse(text) as { nftables: Row[] };
    const own = doc.nftables.flatMap((each, i) => {
      const rule = each["rule"] as Row | undefined;
      return rule?.["table"] === "kube-proxy" ? [i] : [];
    });
    const place = own[Math.floor(at * own.length)];
    if (place === undefined) return null;
    return {
      path,
      text: JSON.stringify({ nftables: doc.nftables.toSpliced(place, 1) }),
      expected: some("rule", "removed"),
    };
  },
  "a route taken away"(files, node, at) {
    const path = `nodes/${node}/host/route4.json`;
    const text = files.get(path) ?? "[]";
    const place = pick(text, at, () => true);
    return place < 0 ? null : { path, text: row(text, place, () => null), expected: some("route", "removed") };
  },
  "a route elsewhere"(files, node, at) {
    const path = `nodes/${node}/host/route4.json`;
    const text = files.get(path) ?? "[]";
    const place = pick(text, at, (each) => typeof each["gateway"] === "string");
    if (place < 0) return null;
    const changed = row(text, place, (each) => ({ ...each, gateway: "192.0.2.99" }));
    return { path, text: changed, expected: some("route", "changed", (each) => each.fields[0]?.name === "ways") };
  },
  "a permanent neighbour's address"(files, node, at) {
    const path = `nodes/${node}/host/neigh.json`;
    const text = files.get(path) ?? "[]";
    const place = pick(text, at, (each) => (each["state"] as string[])[0] === "PERMANENT");
    if (place < 0) return null;
    const changed = row(text, place, (each) => ({ ...each, lladdr: "02:00:00:00:00:77" }));
    return { path, text: changed, expected: some("neighbour", "changed", (each) => each.fields[0]?.name === "mac") };
  },
  "an FDB entry of a tunnel"(files, node, at) {
    const path = `nodes/${node}/host/fdb.json`;
    const text = files.get(path) ?? "[]";
    const place = pick(text, at, (each) => typeof each["dst"] === "string");
    if (place < 0) return null;
    const changed = row(text, place, (each) => ({ ...each, dst: "192.0.2.98" }));
    return { path, text: changed, expected: some("fdb", "changed", (each) => each.fields[0]?.name === "dst") };
  },
  "a setting"(files, node, at) {
    const path = `nodes/${node}/host/sysctl.txt`;
    const lines = (files.get(path) ?? "").split("\n");
    const wanted = lines.flatMap((line, i) =>
      /\.(?:forwarding|rp_filter|ip_forward|arp_ignore) = /.test(line) ? [i] : [],
    );
    const line = wanted[Math.floor(at * wanted.length)];
    if (line === undefined) return null;
    const key = lines[line]!.split(" = ")[0]!;
    const text = lines.with(line, `${key} = 7`).join("\n");
    return { path, text, expected: some("sysctl", "changed", (each) => each.what === key) };
  },
  "a device's MTU"(files, node, at) {
    const path = `nodes/${node}/host/addr.json`;
    const text = files.get(path) ?? "[]";
    const place = pick(text, at, () => true);
    const changed = row(text, place, (each) => ({ ...each, mtu: 1234 }));
    return { path, text: changed, expected: some("link", "changed", (each) => each.fields[0]?.name === "mtu") };
  },
  "a device that is down"(files, node, at) {
    const path = `nodes/${node}/host/addr.json`;
    const text = files.get(path) ?? "[]";
    const place = pick(text, at, (each) => (each["flags"] as string[]).includes("UP"));
    if (place < 0) return null;
    const changed = row(text, place, (each) => ({ ...each, flags: ["BROADCAST"], operstate: "DOWN" }));
    return { path, text: changed, expected: some("link", "changed") };
  },
  "an endpoint"(files, _node, at) {
    const path = "cluster/endpointslices.discovery.k8s.io.json";
    const doc = JSON.parse(files.get(path) ?? '{"items":[]}') as { items: { endpoints: Row[] | null }[] };
    const slices = doc.items.filter((slice) => (slice.endpoints ?? []).length > 0);
    const slice = slices[Math.floor(at * slices.length)];
    if (slice === undefined) return null;
    slice.endpoints = slice.endpoints!.slice(1);
    return { path, text: JSON.stringify(doc), expected: some("endpoint", "removed") };
  },
  "a Service's port"(files, _node, at) {
    const path = "cluster/services.json";
    const doc = JSON.parse(files.get(path) ?? '{"items":[]}') as { items: { spec: { ports?: Row[] } }[] };
    const services = doc.items.filter((service) => (service.spec.ports ?? []).length > 0);
    const service = services[Math.floor(at * services.length)];
    if (service === undefined) return null;
    service.spec.ports![0]!["targetPort"] = 4242;
    return {
      path,
      text: JSON.stringify(doc),
      expected: some("service", "changed", (each) => each.fields[0]?.name === "ports"),
    };
  },
};

/** Replaces a word wherever it stands. */
function renamed(files: Files, word: string, by: string): Files {
  return new Map([...files].map(([path, text]) => [path, text.replaceAll(word, by)]));
}

test("there are recordings to compare", (context) => {
  if (recordings.length === 0 && process.env["CI"] !== "true") {
    console.warn(`skipped: no recordings in ${FIXTURES}`);
    context.skip(`no recordings in ${FIXTURES}`);
  }
  expect(recordings.length).toBeGreaterThan(0);
});

describe.each(recordings.map((dir) => [basename(dir), dir] as const))("%s", (_name, dir) => {
  let files: Files;
  let before: Asked;

  beforeAll(() => {
    files = filesOf(dir);
    before = stateOf(files);
  });

  test("against itself: nothing", () => {
    const { changes, walks, unknown } = whole(before, stateOf(files));
    expect({ changes, changed: walks.changed, unknown }).toEqual({ changes: [], changed: [], unknown: [] });
    expect(walks.asked).toBeGreaterThan(50);
  });

  test("other random names, counters and handles: nothing", () => {
    let other = files;
    const veths = before.snapshot.namespaces
      .flatMap((ns) => ns.links.filter((link) => link.kind.kind === "veth" && /^veth[0-9a-f]/.test(link.name)))
      .map((link) => link.name);
    veths.forEach((name, i) => (other = renamed(other, name, `vethffff${String(i).padStart(4, "0")}`)));
    const macs = new Set(
      before.snapshot.namespaces.flatMap((ns) =>
        ns.links.flatMap(({ mac, kind }) => (mac === null || kind.kind === "loopback" ? [] : mac)),
      ),
    );
    // Calico gives all of its devices one address, which is none.
    macs.delete("ee:ee:ee:ee:ee:ee");
    [...macs].forEach(
      (mac, i) => (other = renamed(other, mac, `0a:00:00:00:0${i >> 8}:${(i & 255).toString(16).padStart(2, "0")}`)),
    );
    other = new Map(
      [...other].map(([path, text]) => [
        path.replace(/\bnetns\/(\d+)\//, (_, inode: string) => `netns/${Number(inode) + 1000}/`),
        text
          .replaceAll(/\bnetns\/(\d+)\//g, (_, inode: string) => `netns/${Number(inode) + 1000}/`)
          .replaceAll(/"handle": ?(\d+)/g, (_, handle: string) => `"handle": ${Number(handle) + 5}`)
          .replaceAll(/^\[\d+:\d+\] /gm, "[77:7777] ")
          .replaceAll(/"packets": ?\d+/g, '"packets": 77')
          .replaceAll(/# handle (\d+)/g, (_, handle: string) => `# handle ${Number(handle) + 5}`),
      ]),
    );
    expect([...other.values()]).not.toEqual([...files.values()]);
    const { changes, walks, unknown } = whole(before, stateOf(other));
    expect({ changes, verdicts: walks.changed, unknown }).toEqual({ changes: [], verdicts: [], unknown: [] });
  });

  test("random edits: each is found", () => {
    const nodes = before.snapshot.cluster.nodes.map((node) => node.name);
    const edit = fc.record({
      what: fc.constantFrom(...Object.keys(EDITS)),
      node: fc.constantFrom(...nodes),
      at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    });
    const same = { noneElsewhere: 0 };
    fc.assert(
      fc.property(edit, ({ what, node, at }) => {
        const made = EDITS[what]!(files, node, at);
        if (made === null || made.text === files.get(made.path)) return;
        const changed = stateOf(new Map(files).set(made.path, made.text));
        const { changes } = compare(before, changed);
        expect(made.expected(changes), `${what} ${node} ${at}: ${JSON.stringify(changes).slice(0, 2000)}`).toBe(true);
        // Nothing is said of other machines.
        if (made.path.startsWith("nodes/"))
          same.noneElsewhere += changes.filter((each) => !each.at.startsWith(`${node}/`)).length;
      }),
      { numRuns: 40, seed: 20261121 },
    );
    expect(same.noneElsewhere).toBe(0);
  });

  test("a node that no longer forwards is named, and so are the walks that it hurts", () => {
    const node = before.snapshot.cluster.nodes[0]!.name;
    const path = `nodes/${node}/host/sysctl.txt`;
    const text = files.get(path)!.replaceAll(/^(net\.ipv4\.(?:ip_forward|conf\..*\.forwarding)) = 1$/gm, "$1 = 0");
    const { changes, walks } = whole(before, stateOf(new Map(files).set(path, text)));
    expect(new Set(changes.map(({ at, kind, change }) => `${at} ${kind} ${change}`))).toEqual(
      new Set([`${node}/host sysctl changed`]),
    );
    const hurt = walks.changed.filter((walk) => walk.change === "verdict");
    expect(hurt.length).toBeGreaterThan(0);
    // The line that decides is one of those that changed.
    const lines = new Set(changes.map((each) => `${each.after?.source?.file}:${each.after?.source?.line}`));
    const decided = hurt.filter(({ after }) =>
      after.outcomes.some(({ because }) => lines.has(`${because.source?.file}:${because.source?.line}`)),
    );
    expect(decided.length).toBeGreaterThan(hurt.length / 2);
  });

  test("a pod that went is told once, and takes what was its own", () => {
    const pod = before.snapshot.cluster.pods.find((each) => !each.hostNetwork && each.ips.length > 0)!;
    const path = "cluster/pods.json";
    const doc = JSON.parse(files.get(path)!) as { items: { metadata: { name: string } }[] };
    doc.items = doc.items.filter((each) => each.metadata.name !== pod.name);
    const ns = before.snapshot.namespaces.find((each) => each.pod?.name === pod.name)!;
    const rest = new Map([...files].filter(([file]) => !file.startsWith(`${ns.dir}/`)));
    const { changes } = compare(before, stateOf(rest.set(path, JSON.stringify(doc))));
    const own = `${pod.namespace}/${pod.name}`;
    expect(changes.filter((each) => each.kind === "pod").map((each) => [each.change, each.what, each.pod])).toEqual([
      ["removed", own, own],
    ]);
    expect(changes.filter((each) => each.pod !== own)).toEqual([]);
  });
});
