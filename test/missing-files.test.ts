/** A file that is gone or cut off never becomes another confident verdict: each file of a shipped recording in turn. */
import { beforeAll, expect, test } from "vitest";
import type { Answer, Question } from "../src/core/model/walk.ts";
import { ask, createWorld, QuestionError } from "../src/core/engine/walk.ts";
import { ParseError } from "../src/core/model/source.ts";
import { assembleSnapshot, type SnapshotFiles } from "../src/core/parse/snapshot.ts";
import { archiveFiles } from "../src/host/snapshot/archive-files.ts";

const EXAMPLES = ["examples/flannel-vxlan-iptables.tar.gz", "examples/flannel-hostgw-nftables.tar.gz"];

/** As the whole of it: outcomes without order and without paths. */
function told(a: Answer): string {
  return a.outcomes
    .map((o) => `${o.client} ${o.server?.at ?? ""} ${o.server?.clientAddress ?? ""} ${o.share?.num}/${o.share?.den}`)
    .toSorted()
    .join(" | ");
}

function without(files: SnapshotFiles, path: string, cut: number | null): SnapshotFiles {
  return {
    paths: () => [...files.paths()].filter((p) => cut !== null || p !== path),
    read: (p) => {
      const text = files.read(p);
      if (p !== path) {
        // A command whose file is gone had failed: its status says so.
        if (
          cut !== null ||
          text === undefined ||
          !p.endsWith("/commands.json") ||
          !path.startsWith(p.slice(0, -"commands.json".length))
        )
          return text;
        const log = JSON.parse(text) as { file: string; exit: number; stderr: string }[];
        for (const c of log) if (path.endsWith(`/${c.file}`)) Object.assign(c, { exit: 127, stderr: "not found" });
        return JSON.stringify(log);
      }
      return cut === null ? undefined : text?.slice(0, Math.floor(text.length * cut));
    },
  };
}

for (const example of EXAMPLES) {
  let files: SnapshotFiles;
  let questions: Question[];
  let whole: string[];
  /** Folders of places that the questions pass. */
  let folders: string[];

  beforeAll(async () => {
    files = await archiveFiles(example);
    const s = assembleSnapshot(files);
    const pods = s.namespaces.filter((n) => n.pod?.namespace === "shop");
    const web = s.cluster.services.find((v) => v.name === "web" && v.namespace === "shop")!;
    const nodePort = s.cluster.services.find((v) => v.name === "web-nodeport")!.ports[0]!.nodePort!;
    const node = s.cluster.nodes[1]!.addresses.find((a) => a.type === "InternalIP")!.address;
    questions = [
      { from: pods[0]!.place, proto: "tcp", to: web.clusterIPs[0]!, port: 80 },
      { from: pods.at(-1)!.place, proto: "udp", to: web.clusterIPs[0]!, port: 81 },
      { from: "outside/host", proto: "tcp", to: node, port: nodePort },
      {
        from: `${s.nodes[1]}/host`,
        proto: "icmp",
        to: s.cluster.pods.find((p) => p.name.startsWith("web") && p.node === s.nodes[2])!.ips[0]!,
      },
    ];
    folders = [...new Set([pods[0]!.dir, `nodes/${pods[0]!.node}/host`, `nodes/${s.nodes[2]}/host`])];
    const world = createWorld(s);
    whole = questions.map((q) => told(ask(world, q)));
  });

  test.each([
    ["gone", null],
    ["cut off", 0.6],
  ] as const)(
    `${example}: each file %s`,
    (_, cut) => {
      const wrong: string[] = [];
      for (const path of files.paths()) {
        if (!folders.some((f) => path.startsWith(`${f}/`)) || (files.read(path) ?? "") === "") continue;
        try {
          const world = createWorld(assembleSnapshot(without(files, path, cut)));
          questions.forEach((q, i) => {
            const a = ask(world, q);
            if (a.verdict !== "inconclusive" && told(a) !== whole[i])
              wrong.push(`${path}: ${q.from} → ${q.to}: ${told(a)} instead of ${whole[i]}`);
          });
        } catch (e) {
          // A place that is gone with its file is an error that names it.
          if (!(e instanceof ParseError) && !(e instanceof QuestionError)) throw e;
        }
      }
      expect(wrong).toEqual([]);
    },
    120_000,
  );
}
