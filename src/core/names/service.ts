/** A Service as a destination: which of its ports is meant, and which addresses its name leads to. */
import { parseIp } from "../model/address.ts";
import type { Endpoint, EndpointSlice, Service, ServicePort } from "../model/cluster.ts";
import type { Proto } from "../model/walk.ts";
import { readyEndpoints } from "./dns.ts";
import type { Directory } from "./directory.ts";
import { NameError } from "./errors.ts";
import { PROTOS, portNumber } from "./target.ts";

/** What the asker already said about how to send. */
export interface Wanted {
  proto: Proto | null;
  /** A number or a port's name; null when not given. */
  port: string | null;
  family: 4 | 6 | null;
}

/** The protocol of an object's port; Kubernetes writes it in capitals and leaves TCP out. */
export function protoOf(protocol: string): Proto {
  return PROTOS.find((p) => p === protocol.toLowerCase()) ?? "tcp";
}

/** `http 80/tcp`. */
function formatPort(p: ServicePort): string {
  return `${p.name === "" ? "" : `${p.name} `}${p.port}/${protoOf(p.protocol)}`;
}

/** The Service's port that is meant. Throws NameError when no port or more than one fits. */
export function choosePort(service: Service, wanted: Wanted): { port: number; proto: Proto; name: string } {
  const id = `${service.namespace}/${service.name}`;
  const all = service.ports;
  const number = wanted.port === null ? null : portNumber(wanted.port);
  const fits = all.filter(
    (p) =>
      (wanted.port === null || (number === null ? p.name === wanted.port : p.port === number)) &&
      (wanted.proto === null || protoOf(p.protocol) === wanted.proto),
  );
  if (fits.length === 1) {
    const p = fits[0]!;
    return { port: p.port, proto: protoOf(p.protocol), name: p.name };
  }
  const list = all.map(formatPort).join(", ");
  if (fits.length > 1) {
    throw new NameError(
      `Service ${id} has more than one port that fits: ${fits.map(formatPort).join(", ")}; name one, such as svc:${id}:${fits[0]!.port}/${protoOf(fits[0]!.protocol)}`,
    );
  }
  if (all.length === 0) throw new NameError(`Service ${id} has no ports`);
  const what = [wanted.port === null ? "" : ` ${wanted.port}`, wanted.proto === null ? "" : ` of ${wanted.proto}`].join(
    "",
  );
  throw new NameError(`Service ${id} has no port${what}; it has ${list}`);
}

/** Addresses of one family, or of the first one's family when none is asked for. */
export function ofFamily(addresses: readonly string[], family: 4 | 6 | null): string[] {
  const wanted = family ?? (addresses.length > 0 ? parseIp(addresses[0]!)?.v : undefined);
  return addresses.filter((a) => parseIp(a)?.v === wanted);
}

/** Addresses of endpoints, IPv4 before IPv6, each once, in the order of the slices. */
export function endpointAddresses(endpoints: readonly { slice: EndpointSlice; endpoint: Endpoint }[]): string[] {
  const all = new Set(endpoints.flatMap(({ endpoint }) => endpoint.addresses));
  const valid = [...all].filter((a) => parseIp(a) !== null);
  return [...valid.filter((a) => parseIp(a)?.v === 4), ...valid.filter((a) => parseIp(a)?.v === 6)];
}

/**
 * The addresses that a Service's name leads to: its first clusterIP (of the wanted family); for a headless one every ready
 * endpoint. Throws NameError when there is none.
 */
export function serviceAddresses(dir: Directory, service: Service, family: 4 | 6 | null): string[] {
  const id = `${service.namespace}/${service.name}`;
  const all = service.headless ? endpointAddresses(readyEndpoints(dir, service)) : service.clusterIPs;
  const found = ofFamily(all, family);
  if (found.length > 0) return service.headless ? found : found.slice(0, 1);
  if (all.length > 0) throw new NameError(`Service ${id} has no IPv${family} address; it has ${all.join(", ")}`);
  if (service.headless) {
    throw new NameError(
      `Service ${id} is headless and has no ready endpoint: its name leads to no address, so no packet is sent`,
    );
  }
  throw new NameError(`Service ${id} has no cluster address`);
}
