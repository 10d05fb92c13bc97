/** For tests: holds what a network intends against a snapshot, whatever else is registered. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { compareNamespace } from "../../../diff/diff.ts";
import { Tally } from "../../../diff/tally.ts";
import type { Diff } from "../../../diff/types.ts";
import type { Link } from "../../../model/link.ts";
import type { Snapshot } from "../../../model/snapshot.ts";
import { assembleSnapshot } from "../../../parse/snapshot.ts";
import type { Claim } from "../../claim.ts";
import { kernelClaims } from "../../kernel.ts";
import type { Network } from "../../network.ts";
import { nodesOf, type Machine } from "../../site.ts";
import type { RouteState } from "../../state.ts";
import { siteOf } from "../../site-of.ts";

const RECORDINGS = new URL("../../../../../../shared/fixtures", import.meta.url).pathname;

/** Folders of recordings without a fault (`NAME--FAULT` has one); none where they are not at hand. */
export function healthyRecordings(): string[] {
  if (!existsSync(RECORDINGS)) return [];
  return readdirSync(RECORDINGS)
    .filter((name) => !name.includes("--") && existsSync(join(RECORDINGS, name, "snapshot")))
    .map((name) => join(RECORDINGS, name, "snapshot"));
}

/** A snapshot of a folder. */
export function loadFolder(dir: string): Snapshot {
  const walk = (folder: string): string[] =>
    readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? walk(path) : [relative(dir, path)];
    });
  const paths = walk(dir);
  const known = new Set(paths);
  return assembleSnapshot({
    paths: () => paths,
    read: (path) => (known.has(path) ? readFileSync(join(dir, path), "utf8") : undefined),
  });
}

/** A snapshot of texts by path. */
export function loadTexts(files: ReadonlyMap<string, string>): Snapshot {
  return assembleSnapshot({ paths: () => [...files.keys()], read: (path) => files.get(path) });
}

function peersOf(machine: Machine): Map<string, string> {
  const found = new Map<string, string>();
  for (const { place, device, hostDevice } of machine.sandboxes) {
    if (device === null || hostDevice === null) continue;
    found.set(`${machine.place} ${hostDevice.name}`, `${place} ${device.name}`);
    found.set(`${place} ${device.name}`, `${machine.place} ${hostDevice.name}`);
  }
  return found;
}

const keyOf = (route: RouteState): string => `${route.table} ${route.dst} ${route.metric}`;

/** Compares every node with what `networks` and the kernel alone intend: everything else is unowned. */
export function compareWith(snapshot: Snapshot, networks: readonly Network[]): Diff {
  const site = siteOf(snapshot);
  const tally = new Tally();
  for (const machine of nodesOf(site)) {
    const claims = networks.flatMap((network) => network.intend(site, machine));
    const peers = peersOf(machine);
    for (const ns of snapshot.namespaces.filter((each) => each.node === machine.name)) {
      const own = claims.filter((claim: Claim) => claim.at === ns.place);
      // A route that a program puts in the place of the kernel's own is the program's.
      const taken = new Set(own.flatMap((claim) => (claim.kind === "route" ? [keyOf(claim.state)] : [])));
      const derived = kernelClaims(ns).filter((claim) => claim.kind !== "route" || !taken.has(keyOf(claim.state)));
      const here = [...own, ...derived];
      const peerOf = (link: Link): string | undefined => peers.get(`${ns.place} ${link.name}`);
      compareNamespace(ns, here, peerOf, (source) => snapshot.line(source), tally);
    }
  }
  return tally.result();
}
