/** Faults of routes between nodes, and of who tells them. */
import { nodeNames } from "../daemons/addresses.ts";
import { restartBird } from "../daemons/bird.ts";
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import { LabError, type Lab } from "../parts.ts";
import { internalIp } from "../daemons/addresses.ts";
import { claimsAt, commandFault, host, nodeOf, restore, sh, type Options, type ShippedFault } from "./fault.ts";

/** Routes of a node to blocks of others. */
function blockRoute(lab: Lab, options: Options) {
  const node = nodeOf(lab, options, 1);
  const found = claimsAt(lab, host(node), "route").find(
    ({ state }) => state.ways[0]?.dev === "vxlan.calico" && state.type === "unicast",
  );
  if (found === undefined)
    throw new LabError(`${node} has no route through vxlan.calico: this fault needs Calico's VXLAN`);
  return { node, claim: found };
}

export const blockRouteMissing: ShippedFault = {
  id: "block-route-missing",
  summary: "a node has no route to another node's block of addresses",
  scenario: "calico-vxlan",
  async breakIt(lab, options) {
    const { node, claim } = blockRoute(lab, options);
    await sh(lab, host(node), `ip route del ${claim.state.dst}`);
  },
  mendIt: (lab, options) => restore(lab, [blockRoute(lab, options).claim]),
};

export const bgpDown: ShippedFault = {
  id: "bgp-down",
  summary: "BIRD is dead on a node",
  scenario: "calico-bgp",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 2);
    if (!(await lab.stop(`bird-calico@${node}`))) throw new LabError(`no BIRD of Calico runs on ${node}`);
  },
  async mendIt(lab, options) {
    await restartBird(lab, nodeOf(lab, options, 2));
  },
};

const SECOND = "/etc/bird/bird.conf";

/** A host's own BIRD beside Calico's: it writes the same table, and calls the router. */
const secondBird = (id: string): string =>
  [
    "log stderr all;",
    `router id ${id};`,
    "protocol device { scan time 10; }",
    "protocol kernel kernel4 {",
    "  scan time 20;",
    "  ipv4 { import none; export where source = RTS_BGP; };",
    "}",
    "protocol bgp tor_a {",
    `  local ${id} as 4200000011;`,
    "  neighbor 172.30.0.1 as 65001;",
    "  ipv4 { import all; export none; };",
    "}",
    "",
  ].join("\n");

export const twoBirds: ShippedFault = {
  id: "two-birds",
  summary: "a second BIRD writes the same kernel table",
  scenario: "calico-bgp",
  async breakIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    const folder = lab.folderOf(node);
    const path = `${folder}${SECOND}`;
    await lab.write(path, secondBird(internalIp(lab, node) ?? ""));
    await lab.write(`${path}.cmdline`, `bird -f -c ${SECOND}\n`);
    lab.record(node, SECOND, path);
    lab.record(node, "bird.cmdline", `${path}.cmdline`);
    const argv = ["bird", "-f", "-c", path, "-s", `${folder}/second.ctl`];
    await lab.start(`bird-second@${node}`, { at: host(node), argv });
  },
  async mendIt(lab, options) {
    const node = nodeOf(lab, options, 1);
    const path = `${lab.folderOf(node)}${SECOND}`;
    await lab.stop(`bird-second@${node}`);
    // What a package brings: it calls nobody and writes nothing.
    await lab.write(path, "protocol device { }\n");
    await lab.write(`${path}.cmdline`, "");
  },
};

export const noLocalEndpoint = commandFault(
  {
    id: "no-local-endpoint",
    summary: "the router sends a Local Service's traffic to a node without an endpoint of it",
    scenario: "metallb-bgp",
  },
  (lab) => {
    const cluster = clusterOf(lab.intended.objects);
    const service = cluster.services.find(
      (each) => each.externalTrafficPolicy === "Local" && each.loadBalancerIPs.length > 0,
    );
    if (service === undefined)
      throw new LabError("the lab has no Service with an address and externalTrafficPolicy Local");
    const near = new Set(
      cluster.endpointSlices
        .filter((slice) => slice.namespace === service.namespace && slice.service === service.name)
        .flatMap(({ endpoints }) => endpoints.map(({ node }) => node)),
    );
    const node = nodeNames(lab).find((name) => !near.has(name)) ?? "";
    const route = `${service.loadBalancerIPs[0]}/32 via ${internalIp(lab, node)}`;
    return { at: host("fabric"), breaks: [`ip route add ${route}`], mends: [`ip route del ${route}`] };
  },
);

/** The switches, which are the first that see where a packet says it is from. */
async function refuseTransit(lab: Lab, verb: "add" | "del"): Promise<void> {
  const switches = lab.machines.filter((name) => /^tor\d$/.test(name));
  if (switches.length === 0) throw new LabError("the lab has no switches: this fault needs a fabric of kind tors");
  const nodes = nodeNames(lab);
  for (const name of switches)
    await sh(
      lab,
      host(name),
      // What comes in by a cable, and is not for the switch itself: its sessions with the nodes go on.
      ...nodes.map((node) => `ip rule ${verb} priority 50 from 172.20.0.0/16 iif ${node} prohibit`),
    );
}

export const masqueradeTransitAddress: ShippedFault = {
  id: "masquerade-transit-address",
  summary: "masqueraded packets bear the address of a cable to a switch, and the fabric refuses it",
  scenario: "host-bird",
  breakIt: (lab) => refuseTransit(lab, "add"),
  mendIt: (lab) => refuseTransit(lab, "del"),
};
