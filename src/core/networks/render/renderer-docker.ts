/** Docker's bridge network on hosts of kind DockerHost. */
import { formatIp, formatPrefix, ip4, parseIp, parsePrefix, prefixOf, type Prefix } from "../../model/address.ts";
import { nth, sizeOf } from "../calico/ipam/range.ts";
import type { Claim } from "../claim.ts";
import { GENERATIONS, parseDocker } from "../docker-bridge/description.ts";
import { dockerClaims } from "../docker-bridge/index.ts";
import { IntentError } from "../network.ts";
import { hex, sha1Mac } from "./machines.ts";
import type { WrittenObject } from "./objects.ts";
import { ownObjects, specOf, type FieldReader } from "./own-kinds.ts";
import type { Renderer } from "./renderer.ts";

/** `[IP:]HOST:CONTAINER[/PROTOCOL]`, as `docker run --publish` takes it. */
const PUBLISH = /^(?:(\d+\.\d+\.\d+\.\d+):)?(\d+):(\d+)(?:\/(tcp|udp|sctp))?$/;

interface Container {
  name: string;
  address: string;
  hostDevice: string;
  place: string;
  ports: object[];
}

function ports(container: FieldReader): object[] {
  return container.items("ports").map((item, i) => {
    if (typeof item === "string") {
      const [, hostIP, hostPort, containerPort, protocol] = PUBLISH.exec(item) ?? [];
      if (hostPort === undefined || containerPort === undefined)
        throw container.error("ports", `should be like 8080:80 or 127.0.0.1:8080:80/udp, not ${item}`);
      return { hostIP, hostPort: Number(hostPort), containerPort: Number(containerPort), protocol };
    }
    const port = container.item("ports", i).only("hostIP", "hostPort", "containerPort", "protocol");
    for (const name of ["hostPort", "containerPort"])
      if (port.port(name) === null) throw port.error(name, "is missing");
    return {
      hostIP: port.text("hostIP"),
      hostPort: port.port("hostPort"),
      containerPort: port.port("containerPort"),
      protocol: port.text("protocol"),
    };
  });
}

/** Containers with the addresses that Docker would give them: the next that is free, after the gateway's. */
function containers(host: WrittenObject, spec: FieldReader, network: Prefix): Container[] {
  const all = spec.each("containers").map((each) => each.only("name", "address", "ports"));
  const taken = new Set(all.map((each) => each.text("address")));
  const names = new Set<string>();
  let next = 2n;
  const free = (container: FieldReader): string => {
    // The last one is the broadcast address.
    while (next < sizeOf(network) - 1n) {
      const address = formatIp(nth(network, next++));
      if (!taken.has(address)) return address;
    }
    throw container.error("", `gets no address: none of ${formatPrefix(network)} is left`);
  };
  return all.map((container) => {
    const name = container.required("name");
    if (names.has(name)) throw container.error("name", `is another container's, too: ${name}`);
    names.add(name);
    const given = container.parsed("address", "an IPv4 address", (text) => (parseIp(text)?.v === 4 ? text : null));
    return {
      name,
      address: given ?? free(container),
      hostDevice: `veth${hex(`${host.name} ${name}`).slice(0, 7)}`,
      place: `${host.name}/netns/${name}`,
      ports: ports(container),
    };
  });
}

/** A device's claim with its other end, which Docker's own claims do not say. */
function withPeer(claim: Claim, host: string, all: readonly Container[]): Claim {
  if (claim.kind !== "link" || claim.state.type !== "veth") return claim;
  const { name } = claim.state;
  const outside = all.find((each) => claim.at === `${host}/host` && each.hostDevice === name);
  const inside = all.find((each) => claim.at === each.place);
  const peer =
    outside !== undefined ? `${outside.place} eth0` : inside !== undefined ? `${host}/host ${inside.hostDevice}` : null;
  return peer === null ? claim : { ...claim, state: { ...claim.state, peer } };
}

function claimsOf(host: WrittenObject, mode: string | null): Claim[] {
  const spec = specOf(host).only(
    "generation",
    "bridge",
    "subnet",
    "gateway",
    "mtu",
    "userlandProxy",
    "icc",
    "forwardingByDocker",
    "containers",
  );
  const prefix = (text: string): Prefix | null => {
    const network = text.includes("/") ? parsePrefix(text) : null;
    return network?.ip.v === 4 ? prefixOf(network.ip, network.len) : null;
  };
  const address = (text: string): string | null => (parseIp(text)?.v === 4 ? text : null);
  const known = (text: string): string | null => GENERATIONS.find((each) => each === text) ?? null;
  const subnet = spec.parsed("subnet", "an IPv4 network", prefix) ?? prefixOf(ip4(0xac11_0000), 16);
  const all = containers(host, spec, subnet);
  const description = {
    generation: mode ?? spec.parsed("generation", `one of ${GENERATIONS.join(", ")}`, known),
    bridge: spec.text("bridge"),
    subnet: formatPrefix(subnet),
    gateway: spec.parsed("gateway", "an IPv4 address", address),
    mtu: spec.integer("mtu"),
    userlandProxy: spec.flag("userlandProxy"),
    icc: spec.flag("icc"),
    forwardingByDocker: spec.flag("forwardingByDocker"),
    containers: all,
  };
  const docker = parseDocker(JSON.stringify(description), `${host.file}:${host.line}: DockerHost ${host.name}`);
  const place = `${host.name}/host`;
  const claims = dockerClaims(place, docker, sha1Mac(`${host.name} ${docker.bridge}`));
  return claims.map((claim) => withPeer(claim, host.name, all));
}

export const dockerRenderer: Renderer = {
  name: "docker-bridge",
  about: "Docker's bridge network on a DockerHost: docker0, published ports, isolation, by Docker's version",
  modes: GENERATIONS,
  render(objects, { mode }) {
    const hosts = ownObjects(objects, "DockerHost");
    if (hosts.length === 0)
      throw new IntentError(
        "the objects hold no DockerHost (apiVersion: kubewalk/v1): there is no machine with Docker",
      );
    return {
      claims: hosts.flatMap((host) => claimsOf(host, mode)),
      files: [],
      notes: [],
      machines: hosts.map(({ name }) => ({ name, devices: [], routes: [] })),
      beneath: new Map(),
    };
  },
};
