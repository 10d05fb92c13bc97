/** How long a large iptables-save takes to load, beside iptables' own reader of the same file. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readBytes, Spare } from "../src/host/snapshot/ascii-file.ts";
import { decodeText } from "../src/host/snapshot/decode.ts";
import { parseIptablesSave } from "../src/core/parse/iptables-save.ts";
import { generateKubeProxyIptables } from "./generate/kube-proxy-iptables.ts";
import { kernelUnavailable, loadable, withNamespaces } from "./kernel.ts";
import { median } from "./stats.ts";

export interface LoadFigures {
  rules: number;
  megabytes: number;
  /** Medians of seconds: reading and parsing the file in a fresh process; the parser's part of it. */
  seconds: number;
  parseSeconds: number;
  /** Peak resident memory of that process until then, MiB. */
  peakMiB: number;
  /** And of making every rule an object, which a command does with the chains that it looks at. */
  allRulesSeconds: number;
  /** `iptables-nft-restore --test` of the same file, median of seconds; null with the reason where it can't be run. */
  restoreSeconds: number | null;
  restoreWhyNot: string | null;
  runs: number;
}

type OneLoad = Pick<LoadFigures, "rules" | "seconds" | "parseSeconds" | "peakMiB" | "allRulesSeconds">;

/** What the child process does: reads one file and prints its figures as JSON. */
export function loadOnce(file: string): void {
  const start = performance.now();
  // As snapshots are loaded: large saves as bytes, others as text.
  const bytes = readBytes(file, new Spare()) ?? readFileSync(file);
  const text = Buffer.isBuffer(bytes) ? decodeText(bytes, file) : bytes;
  const read = performance.now();
  const ruleset = parseIptablesSave(text, file, "ip");
  const end = performance.now();
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  let rules = 0;
  for (const table of ruleset.tables) for (const chain of table.chains) rules += chain.rules.length;
  const one: OneLoad = {
    rules,
    seconds: (end - start) / 1000,
    parseSeconds: (end - read) / 1000,
    peakMiB,
    allRulesSeconds: (performance.now() - end) / 1000,
  };
  console.log(JSON.stringify(one));
}

function timeRestore(file: string, namespace: string): number {
  const start = performance.now();
  const { status, stderr } = spawnSync("ip", ["netns", "exec", namespace, "iptables-nft-restore", "--test", file]);
  if (status !== 0) throw new Error(`iptables-nft-restore --test: ${stderr.toString().slice(0, 200)}`);
  return (performance.now() - start) / 1000;
}

/** Loads the save of `services` Services with `endpoints` endpoints each `runs` times, taking turns with iptables-nft-restore. */
export function measureLoading(services: number, endpoints: number, runs: number): LoadFigures {
  const dir = mkdtempSync(join(tmpdir(), "kubewalk-bench-"));
  try {
    const file = join(dir, "iptables-save.txt");
    const text = loadable(generateKubeProxyIptables({ services, endpointsPerService: endpoints, nodes: 200 }));
    writeFileSync(file, text);
    const self = fileURLToPath(import.meta.url);
    const child = (): OneLoad =>
      JSON.parse(execFileSync(process.execPath, [self, "--load", file]).toString()) as OneLoad;
    const why = kernelUnavailable();
    const restores: number[] = [];
    const loads: OneLoad[] = [];
    const turn = (namespace: string | null): void => {
      for (let i = 0; i < runs; i++) {
        loads.push(child());
        if (namespace !== null) restores.push(timeRestore(file, namespace));
      }
    };
    if (why === null) withNamespaces(["t"], ([name]) => turn(name!));
    else turn(null);
    return {
      rules: loads[0]!.rules,
      megabytes: text.length / 1e6,
      seconds: median(loads.map((l) => l.seconds)),
      parseSeconds: median(loads.map((l) => l.parseSeconds)),
      peakMiB: Math.max(...loads.map((l) => l.peakMiB)),
      allRulesSeconds: median(loads.map((l) => l.allRulesSeconds)),
      restoreSeconds: restores.length > 0 ? median(restores) : null,
      restoreWhyNot: why,
      runs,
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
