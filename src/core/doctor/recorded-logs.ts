/** Lines of recorded logs and events that name a fault in words: a snapshot has them only when whoever took it added them. */
import type { Snapshot } from "../model/snapshot.ts";
import { object } from "../networks/raw.ts";
import { objectSources } from "./object-sources.ts";
import type { Evidence } from "./types.ts";

const LOGS = /\/(dmesg|kern\.log|messages|syslog|journal)[^/]*$|\.log$/;

const logs = new WeakMap<Snapshot, Map<string, string[]>>();

/** A snapshot's log files by machine. */
function logsOf(snapshot: Snapshot): Map<string, string[]> {
  let found = logs.get(snapshot);
  if (found !== undefined) return found;
  found = new Map();
  for (const file of snapshot.files) {
    if (!LOGS.test(file)) continue;
    const node = file.split("/")[1] ?? "";
    found.set(node, [...(found.get(node) ?? []), file]);
  }
  logs.set(snapshot, found);
  return found;
}

/** Lines of a machine's recorded logs (files of the kernel's and of programs) that match, at most `most`. */
export function logLines(snapshot: Snapshot, node: string, wanted: RegExp, most = 3): Evidence[] {
  const folder = `nodes/${node}/`;
  const files = [
    ...["dmesg.txt", "host/dmesg.txt"].map((name) => folder + name),
    ...(logsOf(snapshot).get(node) ?? []),
  ];
  const found: Evidence[] = [];
  for (const file of files) {
    const lines = snapshot.text(file)?.split("\n") ?? [];
    for (let i = 0; i < lines.length && found.length < most; i++)
      if (wanted.test(lines[i]!)) found.push({ file, line: i + 1, text: lines[i]!.trim() });
  }
  return found;
}

export interface Told {
  evidence: Evidence;
  /** Object that the event is about. */
  about: { kind: string; namespace: string; name: string };
}

/** Recorded events of the cluster whose message matches. */
export function events(snapshot: Snapshot, wanted: RegExp): Told[] {
  const found: Told[] = [];
  for (const resource of ["events", "events.events.k8s.io"]) {
    (snapshot.cluster.raw.get(resource) ?? []).forEach((item, i) => {
      const event = object(item);
      const message = typeof event["message"] === "string" ? event["message"] : event["note"];
      if (typeof message !== "string" || !wanted.test(message)) return;
      const about = object(event["involvedObject"] ?? event["regarding"]);
      const word = (key: string): string => (typeof about[key] === "string" ? about[key] : "");
      const at = objectSources(snapshot, resource)[i] ?? { file: `cluster/${resource}.json`, line: 1 };
      found.push({
        evidence: { ...at, text: message },
        about: { kind: word("kind"), namespace: word("namespace"), name: word("name") },
      });
    });
  }
  return found;
}
