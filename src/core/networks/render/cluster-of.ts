/** Written objects as a cluster: as if the API server had listed them. */
import type { Cluster } from "../../model/cluster.ts";
import { ParseError } from "../../model/source.ts";
import { emptyCluster, parseClusterResource } from "../../parse/cluster.ts";
import { errorOf, resourceOf, type WrittenObject } from "./objects.ts";
import { isOwn } from "./own-kinds.ts";
import { isProgramFile } from "./program-files.ts";

/** The objects of the API among those that were written. Throws ParseError for one that is not what its kind says. */
export function clusterOf(objects: readonly WrittenObject[]): Cluster {
  const cluster = emptyCluster();
  const byResource = new Map<string, WrittenObject[]>();
  for (const object of objects) {
    if (isOwn(object) || isProgramFile(object)) continue;
    const resource = resourceOf(object);
    byResource.set(resource, [...(byResource.get(resource) ?? []), object]);
  }
  for (const [resource, list] of byResource) {
    const json = (items: readonly WrittenObject[]): string =>
      JSON.stringify({ kind: `${items[0]?.kind ?? ""}List`, items: items.map((each) => each.value) });
    for (const each of list) {
      try {
        parseClusterResource(json([each]), each.file, resource, emptyCluster());
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
        const { file, line } = error.source;
        throw errorOf(each, error.message.slice(`${file}:${line}: `.length));
      }
    }
    parseClusterResource(json(list), list[0]?.file ?? "", resource, cluster);
  }
  return cluster;
}
