/** How long labs take to stand and to go: whole commands, as people run them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { cannotMakeLabs } from "../src/host/lab/up.ts";
import { median } from "./stats.ts";

export interface LabFigures {
  scenario: string;
  runs: number;
  /** Medians, in seconds, of the whole command. */
  up: number;
  down: number;
  upLimit: number;
  downLimit: number;
}

/** Fifty nodes of ten pods, with kube-proxy's rules for ten Services. */
const LARGE = `
about: a large lab, to measure
network: flannel
mode: vxlan
proxy: iptables
nodes: 50
pods:
${Array.from({ length: 10 }, (_, i) => `  - { name: app${i + 1}, count: 50, ports: [8080] }`).join("\n")}
services:
${Array.from({ length: 10 }, (_, i) => `  - { name: app${i + 1}, ports: [{ port: 80, targetPort: 8080 }] }`).join("\n")}
`;

/** Measures; null with the reason on stderr when labs cannot be made here. */
export async function measureLabs(quick: boolean, say: (text: string) => void): Promise<LabFigures[] | string> {
  const why = cannotMakeLabs();
  if (why !== null) return why;
  const home = mkdtempSync(join(tmpdir(), "kubewalk-bench-lab-"));
  const env = { ...process.env, KUBEWALK_RUN: join(home, "run") };
  const lab = (...args: string[]): number => {
    const start = performance.now();
    const ran = spawnSync(process.execPath, [join(home, "dist/kubewalk.mjs"), "lab", ...args], {
      encoding: "utf8",
      env,
    });
    if (ran.status !== 0) throw new Error(`lab ${args.join(" ")}: ${ran.stderr}`);
    return (performance.now() - start) / 1000;
  };
  try {
    // Not bundled into this: it knows by its own place where the sources are.
    const url = pathToFileURL(join(process.cwd(), "scripts/bundle.mjs")).href;
    const { bundleCommand } = (await import(url)) as typeof import("../scripts/bundle.mjs");
    await bundleCommand(join(home, "dist"));
    const large = join(home, "large.yaml");
    writeFileSync(large, LARGE);
    const measured = (scenario: string, which: string, runs: number, upLimit: number): LabFigures => {
      const ups: number[] = [];
      const downs: number[] = [];
      for (let i = 0; i < runs; i++) {
        say(`lab ${scenario}: ${i + 1} of ${runs}`);
        ups.push(lab("up", which, "--name", "kw-bench"));
        downs.push(lab("down", "kw-bench"));
      }
      return { scenario, runs, up: median(ups), down: median(downs), upLimit, downLimit: 1 };
    };
    return [
      measured("flannel-vxlan", "flannel-vxlan", quick ? 3 : 10, 1),
      ...(quick ? [] : [measured("50 nodes, 500 pods, 10 Services", large, 3, 20)]),
    ];
  } finally {
    spawnSync(process.execPath, [join(home, "dist/kubewalk.mjs"), "lab", "down", "--all"], { env });
    rmSync(home, { recursive: true, force: true });
  }
}
