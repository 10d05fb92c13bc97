/** What Docker runs on a machine, as far as its bridge network goes. */
import { ip4, parseIp, parsePrefix, type Ip, type Prefix } from "../../model/address.ts";
import { parseObject, reader, type JsonObject } from "../cni/json-config.ts";
import { IntentError } from "../network.ts";

/**
 * Whose rules: `20.10` has all in FORWARD; `28` has chains DOCKER-FORWARD, DOCKER-CT, DOCKER-BRIDGE beside the isolation stages; `29` has
 * DOCKER-INTERNAL in place of these.
 */
export type DockerGeneration = "20.10" | "28" | "29";

export const GENERATIONS: readonly DockerGeneration[] = ["20.10", "28", "29"];

export interface PublishedPort {
  /** tcp, udp, sctp. */
  protocol: string;
  containerPort: number;
  hostPort: number;
  /** Address of the host; null for all. */
  hostIP: Ip | null;
}

export interface DockerContainer {
  name: string;
  /** IPv4 address on the bridge. */
  address: Ip;
  /** Device on the host; null when its random name is not known. */
  hostDevice: string | null;
  /** Place of the container's namespace; null when its inside is not asked for. */
  place: string | null;
  ports: PublishedPort[];
}

export interface DockerBridge {
  generation: DockerGeneration;
  /** docker0 */
  bridge: string;
  subnet: Prefix;
  gateway: Ip;
  mtu: number;
  /** Whether docker-proxy relays what comes from the host itself; without it the rules do, and ports of the bridge get hairpin mode. */
  userlandProxy: boolean;
  /** Whether containers may talk to each other. */
  icc: boolean;
  /** Whether Docker itself turned forwarding on: then FORWARD's policy is DROP. */
  forwardingByDocker: boolean;
  /** In the order in which they were started. */
  containers: DockerContainer[];
}

function address(text: string | null, what: string): Ip {
  const ip = parseIp(text ?? "");
  if (ip === null || ip.v !== 4) throw new IntentError(`${what}: should be an IPv4 address, not ${text}`);
  return ip;
}

function port(conf: JsonObject, what: string): PublishedPort {
  const o = reader(conf, what);
  const number = (name: string): number => {
    const value = o.integer(name);
    if (value === null || value < 1 || value > 65535) throw new IntentError(`${what}: "${name}" should be a port`);
    return value;
  };
  const hostIP = o.text("hostIP");
  return {
    protocol: o.text("protocol") ?? "tcp",
    containerPort: number("containerPort"),
    hostPort: number("hostPort"),
    hostIP: hostIP === null || hostIP === "0.0.0.0" ? null : address(hostIP, `${what}: "hostIP"`),
  };
}

/**
 * Reads a description: `{"generation":"28","containers":[{"name":"web","address":"172.17.0.2","ports":[{"containerPort":80,"hostPort":8080}]}]}`;
 * what is left out is as Docker has it when nothing is configured. `what` names the text in errors. Throws IntentError.
 */
export function parseDocker(text: string, what: string): DockerBridge {
  const o = reader(parseObject(text, what), what);
  const generation = GENERATIONS.find((each) => each === (o.text("generation") ?? "28"));
  if (generation === undefined)
    throw new IntentError(`${what}: "generation" should be one of ${GENERATIONS.join(", ")}`);
  const subnet = parsePrefix(o.text("subnet") ?? "172.17.0.0/16");
  if (subnet === null || subnet.ip.v !== 4) throw new IntentError(`${what}: "subnet" should be an IPv4 network`);
  const given = o.text("gateway");
  return {
    generation,
    bridge: o.text("bridge") ?? "docker0",
    subnet,
    gateway: given === null ? ip4(subnet.ip.a + 1) : address(given, `${what}: "gateway"`),
    mtu: o.integer("mtu") ?? 1500,
    userlandProxy: o.flag("userlandProxy") ?? true,
    icc: o.flag("icc") ?? true,
    forwardingByDocker: o.flag("forwardingByDocker") ?? false,
    containers: o.objects("containers").map((conf, i) => {
      const c = reader(conf, `${what}: container ${i + 1}`);
      const name = c.text("name") ?? `container-${i + 1}`;
      return {
        name,
        address: address(c.text("address"), `${what}: container ${name}`),
        hostDevice: c.text("hostDevice"),
        place: c.text("place"),
        ports: c.objects("ports").map((each) => port(each, `${what}: container ${name}`)),
      };
    }),
  };
}
