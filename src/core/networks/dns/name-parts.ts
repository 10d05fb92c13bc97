/** A name under a cluster zone, taken apart (CoreDNS plugin/kubernetes/parse.go, parseRequest). */

export type NameParts =
  /** The zone itself, `svc.ZONE`, `pod.ZONE`: there, without records. */
  | { kind: "apex" }
  | { kind: "invalid" }
  | {
      kind: "record";
      what: "svc" | "pod";
      namespace: string;
      /** Empty for `NAMESPACE.svc.ZONE`. */
      name: string;
      endpoint: string;
      /** Of `_port._protocol.NAME…`, without underscores; empty for none. */
      port: string;
      protocol: string;
    };

const bare = (label: string): string => (label.startsWith("_") ? label.slice(1) : label);

/** Takes `name` (lower case, under `zone`) apart. */
export function nameParts(name: string, zone: string): NameParts {
  const base = name === zone ? "" : name.slice(0, -(zone.length + 1));
  if (base === "" || base === "svc" || base === "pod") return { kind: "apex" };
  const labels = base.split(".");
  const what = labels.pop();
  if (what !== "svc" && what !== "pod") return { kind: "invalid" };
  const parts = { kind: "record", what, namespace: "", name: "", endpoint: "", port: "", protocol: "" } as const;
  const namespace = labels.pop() ?? "";
  const object = labels.pop() ?? "";
  if (labels.length > 2) return { kind: "invalid" };
  if (labels.length === 2)
    return { ...parts, namespace, name: object, port: bare(labels[0]!), protocol: bare(labels[1]!) };
  return { ...parts, namespace, name: object, endpoint: labels[0] ?? "" };
}
