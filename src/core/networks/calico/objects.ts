/** Calico's custom resources as they were recorded. */
import type { Cluster } from "../../model/cluster.ts";
import { object, resources, text, textMap, type Resource } from "../raw.ts";

export type CalicoObject = Resource;

/**
 * The objects of one kind (`ippools`), of either API group. Objects that Calico's own programs wrote carry their labels and annotations
 * in an annotation (libcalico-go/lib/backend/k8s/resources, ConvertK8sResourceToCalicoResource).
 */
export function calicoObjects(cluster: Cluster, plural: string): CalicoObject[] {
  const all = [
    ...resources(cluster, `${plural}.crd.projectcalico.org`),
    ...resources(cluster, `${plural}.projectcalico.org`),
  ];
  return all.map((each) => {
    const stored = each.annotations["projectcalico.org/metadata"];
    if (stored === undefined) return each;
    let meta: ReturnType<typeof object>;
    try {
      meta = object(JSON.parse(stored));
    } catch {
      return each;
    }
    return {
      ...each,
      name: text(meta["name"]) ?? each.name,
      labels: { ...each.labels, ...textMap(meta["labels"]) },
      annotations: { ...each.annotations, ...textMap(meta["annotations"]) },
    };
  });
}
