/** Whose address and port is this? Services by everything that leads to them. */
import type { Service, ServicePort } from "../model/cluster.ts";
import type { Directory } from "../names/directory.ts";
import type { Target, Way } from "./target.ts";
import { targets } from "./targets.ts";

export type ServiceTarget = Target & { aim: { kind: "service"; service: Service; port: ServicePort; way: Way } };

const known = new WeakMap<Directory, Map<string, ServiceTarget>>();

const keyOf = (proto: string, address: string, port: number): string => `${proto} ${address} ${port}`;

const isService = (target: Target): target is ServiceTarget => target.aim.kind === "service";

/** The Service port that `proto` to `address`:`port` leads to, by clusterIP, externalIP, load balancer or nodePort. */
export function serviceAt(dir: Directory, proto: string, address: string, port: number): ServiceTarget | undefined {
  let map = known.get(dir);
  if (map === undefined) {
    map = new Map();
    for (const target of targets(dir))
      if (isService(target) && target.port !== undefined)
        map.set(keyOf(target.proto, target.address, target.port), target);
    known.set(dir, map);
  }
  return map.get(keyOf(proto, address, port));
}

/** Endpoints that a Service port's slices name, ready or not, as `ADDRESS PORT`. */
export function namedEndpoints(dir: Directory, service: Service, port: ServicePort): Set<string> {
  const found = new Set<string>();
  for (const slice of dir.slices.get(`${service.namespace}/${service.name}`) ?? []) {
    const own = slice.ports.find((each) => each.name === port.name && each.protocol === port.protocol)?.port;
    if (own === undefined || own === null) continue;
    for (const endpoint of slice.endpoints) for (const address of endpoint.addresses) found.add(`${address} ${own}`);
  }
  return found;
}
