/** What selectors choose from: workload endpoints, host endpoints and sets of networks, with the labels that they inherit. */
import { formatIp } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import { list, object, resources, text, texts } from "../raw.ts";
import { calicoObjects } from "./objects.ts";
import { NAMESPACE_LABEL, NAMESPACE_PREFIX, networks, SERVICE_ACCOUNT_PREFIX } from "./rule.ts";
import type { LabelOf } from "./selector.ts";
import type { NamedPort, WorkloadEndpoint } from "./workload-endpoints.ts";

/** Something with labels that stands for networks. */
export interface Labelled {
  labelOf: LabelOf;
  /** `10.0.0.0/8`, `10.0.0.1/32`. */
  nets: string[];
  ports: readonly NamedPort[];
}

/** Labels of profiles by their names: those of namespaces, of service accounts, and of Calico's own profiles (NamespaceToProfile). */
export type ProfileLabels = ReadonlyMap<string, ReadonlyMap<string, string>>;

const NAME_LABEL = "projectcalico.org/name";

export function profileLabels(cluster: Cluster): ProfileLabels {
  const found = new Map<string, Map<string, string>>();
  const add = (profile: string, prefix: string, name: string, labels: Record<string, string>): void => {
    const all = Object.entries({ ...labels, [NAME_LABEL]: name });
    found.set(profile, new Map(all.map(([key, value]) => [prefix + key, value])));
  };
  for (const { name, labels } of resources(cluster, "namespaces")) add(`kns.${name}`, NAMESPACE_PREFIX, name, labels);
  for (const { namespace, name, labels } of resources(cluster, "serviceaccounts"))
    add(`ksa.${namespace}.${name}`, SERVICE_ACCOUNT_PREFIX, name, labels);
  return found;
}

/** The labels that an endpoint has itself or, failing that, inherits of one of its profiles (felix/labelindex). */
export function inherited(own: ReadonlyMap<string, string>, profiles: readonly string[], all: ProfileLabels): LabelOf {
  const parents = profiles.map((profile) => all.get(profile)).filter((labels) => labels !== undefined);
  return (name) => {
    const value = own.get(name);
    if (value !== undefined) return value;
    for (const parent of parents) {
      const given = parent.get(name);
      if (given !== undefined) return given;
    }
    // A namespace that was not recorded is known by its name at least.
    const namespace = profiles.find((profile) => profile.startsWith("kns."))?.slice(4);
    if (namespace === undefined || all.has(`kns.${namespace}`)) return undefined;
    return name === NAMESPACE_PREFIX + NAME_LABEL || name === `${NAMESPACE_PREFIX}kubernetes.io/metadata.name`
      ? namespace
      : undefined;
  };
}

/** Everything that selectors of rules choose from. */
export function labelled(
  cluster: Cluster,
  endpoints: readonly WorkloadEndpoint[],
  profiles: ProfileLabels,
): Labelled[] {
  const workloads = endpoints.map((endpoint): Labelled => ({
    labelOf: inherited(endpoint.labels, endpoint.profiles, profiles),
    nets: endpoint.addresses.map((ip) => `${formatIp(ip)}/${ip.v === 4 ? 32 : 128}`),
    ports: endpoint.ports,
  }));
  const hosts = calicoObjects(cluster, "hostendpoints").map(({ labels, spec }): Labelled => {
    const ports = list(spec["ports"]).map(object);
    return {
      labelOf: inherited(new Map(Object.entries(labels)), texts(spec["profiles"]), profiles),
      nets: networks(texts(spec["expectedIPs"])),
      ports: ports.flatMap((each): NamedPort[] => {
        const protocol = text(each["protocol"])?.toLowerCase();
        const port = each["port"];
        const known = protocol === "tcp" || protocol === "udp" || protocol === "sctp";
        return known && typeof port === "number" ? [{ name: text(each["name"]) ?? "", protocol, port }] : [];
      }),
    };
  });
  const sets = [...calicoObjects(cluster, "globalnetworksets"), ...calicoObjects(cluster, "networksets")].map(
    ({ namespace, labels, spec }): Labelled => {
      const own = new Map(Object.entries(labels));
      if (namespace !== "") own.set(NAMESPACE_LABEL, namespace);
      const parents = namespace === "" ? [] : [`kns.${namespace}`];
      return { labelOf: inherited(own, parents, profiles), nets: networks(texts(spec["nets"])), ports: [] };
    },
  );
  return [...workloads, ...hosts, ...sets];
}
