/** For tests: holds what a network intends against a snapshot, whatever else is registered. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { folderFiles } from "../../../../host/snapshot/folder-files.ts";
import { compareNamespace, vethPeers } from "../../../diff/diff.ts";
import { Tally } from "../../../diff/tally.ts";
import type { Diff } from "../../../diff/types.ts";
import type { Link } from "../../../model/link.ts";
import type { Snapshot } from "../../../model/snapshot.ts";
import { assembleSnapshot } from "../../../parse/snapshot.ts";
import { withKernel } from "../../intent.ts";
import type { Network } from "../../network.ts";
import { nodesOf } from "../../site.ts";
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
  return assembleSnapshot(folderFiles(dir));
}

/** A snapshot of texts by path. */
export function loadTexts(files: ReadonlyMap<string, string>): Snapshot {
  return assembleSnapshot({ paths: () => [...files.keys()], read: (path) => files.get(path) });
}

/** Compares every node with what `networks` and the kernel alone intend: everything else is unowned. */
export function compareWith(snapshot: Snapshot, networks: readonly Network[]): Diff {
  const site = siteOf(snapshot);
  const tally = new Tally();
  for (const machine of nodesOf(site)) {
    const namespaces = snapshot.namespaces.filter((each) => each.node === machine.name);
    const claims = withKernel(
      networks.flatMap((network) => network.intend(site, machine)),
      namespaces,
    );
    const peers = vethPeers(machine);
    for (const ns of namespaces) {
      const here = claims.filter((claim) => claim.at === ns.place);
      const peerOf = (link: Link): string | undefined => peers.get(`${ns.place} ${link.name}`);
      compareNamespace(ns, here, peerOf, (source) => snapshot.line(source), tally);
    }
  }
  return tally.result();
}
