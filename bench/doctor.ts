/** What `kubewalk doctor` costs on a healthy cluster: seconds to load it, seconds to examine it, memory. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { doctor } from "../src/core/doctor/doctor.ts";
import { assembleSnapshot, type SnapshotFiles } from "../src/core/parse/snapshot.ts";
import { generateCluster, type ClusterSize } from "./generate/cluster.ts";

export interface DoctorFigures extends ClusterSize {
  /** Characters of text that were read. */
  megabytes: number;
  /** Making these texts: no part of the other figures. */
  makeSeconds: number;
  /** Reading the snapshot's files into the model. */
  loadSeconds: number;
  /** Every check, walks included. */
  doctorSeconds: number;
  /** Peak resident memory of the process, MiB, what makes the texts included. */
  peakMiB: number;
  /** Findings that are errors or warnings: none, as the cluster is healthy. */
  alarms: number;
}

/** Files that know how much was read of them, and how long it took to make. */
function metered(files: SnapshotFiles): { files: SnapshotFiles; characters: () => number; seconds: () => number } {
  let characters = 0;
  let milliseconds = 0;
  return {
    files: {
      paths: () => files.paths(),
      read(path) {
        const start = performance.now();
        const text = files.read(path);
        milliseconds += performance.now() - start;
        characters += text?.length ?? 0;
        return text;
      },
    },
    characters: () => characters,
    seconds: () => milliseconds / 1000,
  };
}

/** What the child process does: makes, loads and examines one cluster, and prints the figures as JSON. */
export function doctorOnce(size: ClusterSize): void {
  const { files, characters, seconds } = metered(generateCluster(size));
  const start = performance.now();
  const snapshot = assembleSnapshot(files);
  const loaded = performance.now();
  const makingForLoad = seconds();
  const { findings } = doctor(snapshot);
  const done = performance.now();
  const figures: DoctorFigures = {
    ...size,
    megabytes: characters() / 1e6,
    makeSeconds: seconds(),
    loadSeconds: (loaded - start) / 1000 - makingForLoad,
    doctorSeconds: (done - loaded) / 1000 - (seconds() - makingForLoad),
    peakMiB: process.resourceUsage().maxRSS / 1024,
    alarms: findings.filter((each) => each.severity !== "info").length,
  };
  console.log(JSON.stringify(figures));
}

/** The figures of one cluster, from a process of its own (bench/run.ts, bundled with this file, takes the call). */
export function measureDoctor(size: ClusterSize): DoctorFigures {
  const self = fileURLToPath(import.meta.url);
  const args = [size.nodes, size.podsPerNode, size.services].map(String);
  const out = execFileSync(process.execPath, [self, "--doctor-once", ...args], { maxBuffer: 1 << 26 });
  return JSON.parse(out.toString()) as DoctorFigures;
}
