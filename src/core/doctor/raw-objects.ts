/** Recorded objects that become no model of their own, by name, each with the line on which it begins. */
import type { Source } from "../model/source.ts";
import { object, text } from "../networks/raw.ts";
import type { Chart } from "./chart.ts";
import { objectSources } from "./object-sources.ts";
import type { Evidence } from "./types.ts";

/** Where the object `name` of a resource (`ippools.crd.projectcalico.org`) stands; null when it was not recorded. */
export function rawSource(chart: Chart, resource: string, name: string): Source | null {
  const all = chart.snapshot.cluster.raw.get(resource) ?? [];
  const at = all.findIndex((each) => text(object(object(each)["metadata"])["name"]) === name);
  return at < 0 ? null : (objectSources(chart.snapshot, resource)[at] ?? { file: `cluster/${resource}.json`, line: 1 });
}

/** The API groups in which Calico's resources may have been recorded. */
const CALICO = ["crd.projectcalico.org", "projectcalico.org"] as const;

/** Whether Calico's objects of one kind (`ippools`) were recorded, if only to say that there are none. */
export function calicoRecorded(chart: Chart, plural: string): boolean {
  return CALICO.some((group) => chart.snapshot.cluster.raw.has(`${plural}.${group}`));
}

/** One of Calico's objects as evidence, in the words of `said`; empty when its place is not known. */
export function calicoEvidence(chart: Chart, plural: string, name: string, said: string): Evidence[] {
  for (const group of CALICO) {
    const source = rawSource(chart, `${plural}.${group}`, name);
    if (source !== null) return [chart.evidence(source, said)];
  }
  return [];
}
