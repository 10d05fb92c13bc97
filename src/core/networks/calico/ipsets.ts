/** Felix's sets: pools, hosts, and what the rules of policies choose (felix/dataplane/linux/masq_mgr.go, hostip_mgr.go …). */
import { formatPrefix } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Claim } from "../claim.ts";
import type { Machine } from "../site.ts";
import type { CalicoNode } from "./calico-node.ts";
import { OWNER } from "./claims.ts";
import type { CalicoConfig } from "./config.ts";
import type { Labelled } from "./labelled.ts";
import { setName } from "./names.ts";
import { oncePer } from "../once.ts";
import type { SetMeaning, SetMeanings } from "./rule-sets.ts";
import { selects } from "./selector.ts";

const isOf = (text: string, family: 4 | 6): boolean => text.includes(":") === (family === 6);

/** The whole address space does not fit a hash:net set, but its halves do (felix/ipsets, splitting of /0). */
function halves(net: string): string[] {
  if (net === "0.0.0.0/0") return ["0.0.0.0/1", "128.0.0.0/1"];
  if (net === "::/0") return ["::/1", "8000::/1"];
  return [net];
}

/** A network as `ipset save` prints it: a single address without its length. */
const element = (net: string): string => net.replace(/(?<=\.\d+)\/32$|(?<=:[^/]*)\/128$/, "");

interface Members {
  type: "hash:net" | "hash:ip,port";
  elements: readonly string[];
}

/** What sets hold is the same on every machine, so it is computed once; by what selectors choose from, then by set. */
const membersOf = oncePer((_all: readonly Labelled[]) => new Map<string, Members>());

/** What a set of a policy's rule holds. */
function members(meaning: SetMeaning, family: 4 | 6, cluster: Cluster, all: readonly Labelled[]): Members {
  switch (meaning.of) {
    case "selector": {
      const nets = all.filter((each) => selects(meaning.selector, each.labelOf)).flatMap((each) => each.nets);
      return {
        type: "hash:net",
        elements: nets
          .filter((net) => isOf(net, family))
          .flatMap(halves)
          .map(element),
      };
    }
    case "port": {
      const elements = all
        .filter((each) => each.ports.length > 0 && selects(meaning.selector, each.labelOf))
        .flatMap((each) =>
          each.ports
            .filter((port) => port.name === meaning.port && port.protocol === meaning.protocol)
            .flatMap((port) => each.nets.map((net) => `${element(net)},${port.protocol}:${port.port}`)),
        );
      return { type: "hash:ip,port", elements: elements.filter((each) => isOf(each.split(",", 1)[0] ?? "", family)) };
    }
    case "service": {
      const slices = cluster.endpointSlices.filter(
        (slice) => slice.namespace === meaning.namespace && slice.service === meaning.name,
      );
      const elements = slices.flatMap((slice) =>
        slice.endpoints.flatMap((endpoint) =>
          endpoint.addresses
            .filter((address) => isOf(address, family))
            .flatMap((address) =>
              meaning.withPorts
                ? slice.ports
                    .filter((port) => port.port !== null)
                    .map((port) => `${address},${port.protocol.toLowerCase()}:${port.port}`)
                : [address],
            ),
        ),
      );
      return { type: meaning.withPorts ? "hash:ip,port" : "hash:net", elements };
    }
  }
}

/** Addresses of the host as its local routes have them: of the loopback device, which has a whole network, and of all but workloads' devices. */
function hostAddresses(machine: Machine, own: CalicoNode, family: 4 | 6, config: CalicoConfig): string[] {
  const loopback = family === 4 ? ["127.0.0.0", "127.0.0.1"] : ["::1"];
  const devices = machine.devices
    .filter((device) => !config.devicePrefixes.some((prefix) => device.name.startsWith(prefix)))
    .flatMap((device) => device.addresses.map((each) => each.split("/", 1)[0] ?? ""))
    .filter((each) => each !== "" && isOf(each, family));
  const tunnels = [
    ...(config.vxlan[family] && own.vtep[family] !== null ? [own.vtep[family].address] : []),
    ...(family === 4 && config.ipip && own.ipipAddress !== null ? [own.ipipAddress] : []),
  ];
  return [...loopback, ...devices, ...tunnels];
}

/** All sets of one family on one machine. `meanings` are those that the rules of its active policies need. */
export function setClaims(
  cluster: Cluster,
  machine: Machine,
  own: CalicoNode,
  nodes: ReadonlyMap<string, CalicoNode>,
  family: 4 | 6,
  config: CalicoConfig,
  meanings: SetMeanings,
  all: readonly Labelled[],
): Claim[] {
  const claim = (id: string, type: string, elements: readonly string[], hashed?: string): Claim => ({
    kind: "set",
    owner: OWNER,
    at: machine.place,
    state: {
      backend: "ipset",
      name: setName(family, id),
      type,
      family: family === 4 ? "inet" : "inet6",
      elements: [...new Set(elements)],
    },
    ...(hashed === undefined ? {} : { hashed }),
  });
  const pools = config.pools.filter((pool) => pool.family === family);
  const inNetwork = pools.filter(
    ({ allowedUses }) => allowedUses.length === 0 || allowedUses.some((use) => use !== "LoadBalancer"),
  );
  const cidrs = (some: typeof pools): string[] => some.map((pool) => formatPrefix(pool.cidr));
  const external = config.externalNodes.filter((each) => isOf(each, family)).map(element);
  const claims = [
    claim("masq-ipam-pools", "hash:net", cidrs(pools.filter((pool) => pool.natOutgoing))),
    claim("network-ip-pools", "hash:net", cidrs(inNetwork)),
    claim("this-host", "hash:ip", hostAddresses(machine, own, family, config)),
    claim("dscp-src-net", "hash:net", []),
  ];
  if (config.vxlan[family]) {
    const others = [...nodes.values()].filter((node) => node.name !== own.name);
    const ends = others.map((node) => node.vtep[family]?.node).filter((each) => each !== undefined);
    claims.push(claim("all-vxlan-net", "hash:net", [...external, ...ends]));
  }
  if ((family === 4 && config.ipip) || config.natExcludesHosts) {
    const hosts = [...nodes.values()].map((node) => node.address[family]?.text).filter((each) => each !== undefined);
    claims.push(claim("all-hosts-net", "hash:net", [...hosts, ...(family === 4 ? external : [])]));
  }
  for (const [id, meaning] of meanings) {
    const known = membersOf(all);
    const held = known.get(`${family} ${id}`) ?? members(meaning, family, cluster, all);
    known.set(`${family} ${id}`, held);
    claims.push(claim(id, held.type, held.elements, setName(family, `${id.split(":", 1)[0]}:`)));
  }
  return claims;
}
