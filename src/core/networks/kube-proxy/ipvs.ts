/** kube-proxy in IPVS mode: a device with every Service's address, virtual servers, ipsets, and the rules that look into them. */
import type { IpvsService } from "../../model/ipvs.ts";
import type { Claim } from "../claim.ts";
import type { Machine, Site } from "../site.ts";
import type { XtFamily } from "../state.ts";
import type { KubeProxyConfig } from "./config.ts";
import type { Jump } from "./iptables/frame.ts";
import { IPVS_JUMPS, ipvsChains, type IpvsChain } from "./ipvs/chains.ts";
import { ipvsEntries } from "./ipvs/entries.ts";
import { nodeAddresses, nodePortAddressesOf, ownAddresses } from "./ipvs/node-addresses.ts";
import { ipvsServers } from "./ipvs/servers.ts";
import { SET_NAMES, setName, SETS } from "./ipvs/sets.ts";
import type { IpFamily } from "./node-ips.ts";
import { servicePorts } from "./service-ports.ts";

const OWNER = "kube-proxy";
const DEVICE = "kube-ipvs0";

export interface IpvsIntent {
  claims: Claim[];
  /** Virtual servers, which are no claims: their counterpart is `ipvsadm -S -n`. */
  services: IpvsService[];
}

/** The same with virtual servers only when they are asked for: they are many. */
interface OneFamily {
  claims: Claim[];
  services: () => IpvsService[];
}

function ofFamily(
  site: Site,
  machine: Machine,
  family: IpFamily,
  config: KubeProxyConfig,
  local: readonly string[],
): OneFamily {
  const at = machine.place;
  const xt: XtFamily = family === 4 ? "ip" : "ip6";
  const ports = servicePorts(site, machine, family, config);
  const own = nodeAddresses(local, family);
  const answering = nodePortAddressesOf(own, family, config);
  const entries = ipvsEntries(ports, { config, family, nodeAddresses: own, nodePortAddresses: answering });
  const chain = ({ table, chain: name, rules, freeOrder }: IpvsChain): Claim => ({
    owner: OWNER,
    at,
    kind: "chain",
    state: { backend: "iptables", family: xt, table, chain: name },
    rules,
    ...(freeOrder !== undefined && freeOrder > 1 ? { freeOrder } : {}),
  });
  const rule = ({ table, from, rule: state }: Jump): Claim => ({
    owner: OWNER,
    at,
    kind: "rule",
    chain: { backend: "iptables", family: xt, table, chain: from },
    state,
  });
  const claims: Claim[] = [
    ...[...entries.bound].map((ip): Claim => ({
      owner: OWNER,
      at,
      kind: "address",
      state: { dev: DEVICE, address: `${ip}/${family === 4 ? 32 : 128}`, scope: "global" },
    })),
    ...SET_NAMES.map((name): Claim => ({
      owner: OWNER,
      at,
      kind: "set",
      state: {
        backend: "ipset",
        name: setName(name, family),
        type: SETS[name][0],
        family: SETS[name][0] === "bitmap:port" ? null : family === 4 ? "inet" : "inet6",
        elements: [...entries.sets[name]],
      },
    })),
    ...IPVS_JUMPS.map(rule),
    ...ipvsChains(entries, config, family).map(chain),
  ];
  return { claims, services: () => ipvsServers(ports, answering, config) };
}

/**
 * What kube-proxy v1.34 programs in IPVS mode, both families (pkg/proxy/ipvs/proxier.go). `local` are the machine's addresses, with or
 * without prefix lengths, those of networks' bridges and tunnels among them where they are known: each answers node ports, and none of
 * them is put on kube-ipvs0 a second time.
 */
export function intendIpvs(
  site: Site,
  machine: Machine,
  config: KubeProxyConfig,
  local: readonly string[] = ownAddresses(machine),
): IpvsIntent {
  // A dummy is never brought up: addresses are local without that, and nobody asks it for a neighbour.
  const device: Claim = {
    owner: OWNER,
    at: machine.place,
    kind: "link",
    state: { name: DEVICE, type: "dummy", mtu: 1500, up: false, master: null },
  };
  const families = [ofFamily(site, machine, 4, config, local), ofFamily(site, machine, 6, config, local)];
  return {
    claims: [device, ...families.flatMap(({ claims }) => claims)],
    get services() {
      return families.flatMap(({ services }) => services());
    },
  };
}
