/** Docker's bridge, its containers' devices and their routes. */
import { formatIp } from "../../model/address.ts";
import { sysctlConf } from "../../model/sysctl.ts";
import type { Claim } from "../claim.ts";
import type { DockerBridge, DockerContainer } from "./description.ts";
import { MAIN_TABLE } from "../state.ts";

const OWNER = "docker";
const DEVICE = "eth0";

/** A container's pair of devices, its address and its way out (libnetwork, drivers/bridge, CreateEndpoint; sandbox, populateNetworkResources). */
function container(at: string, docker: DockerBridge, { hostDevice, place, address }: DockerContainer): Claim[] {
  const common = { type: "veth", mtu: docker.mtu, up: true } as const;
  const claims: Claim[] = [];
  if (hostDevice !== null) {
    const state = { ...common, name: hostDevice, master: docker.bridge, hairpin: !docker.userlandProxy };
    claims.push({ owner: OWNER, at, kind: "link", state });
  }
  if (place === null) return claims;
  const { gateway, subnet } = docker;
  claims.push(
    { owner: OWNER, at: place, kind: "link", state: { ...common, name: DEVICE, master: null } },
    {
      owner: OWNER,
      at: place,
      kind: "address",
      state: { dev: DEVICE, address: `${formatIp(address)}/${subnet.len}`, scope: "global" },
    },
    {
      owner: OWNER,
      at: place,
      kind: "route",
      state: {
        family: 4,
        table: MAIN_TABLE,
        dst: "0.0.0.0/0",
        type: "unicast",
        metric: 0,
        protocol: "boot",
        ways: [{ via: formatIp(gateway), dev: DEVICE }],
      },
    },
  );
  return claims;
}

/** The bridge with the gateway's address, forwarding, and the containers. A bridge without running containers is up, but has no carrier. */
export function dockerDevices(at: string, docker: DockerBridge, mac: string | null): Claim[] {
  const { bridge, gateway, subnet } = docker;
  const sysctl = (key: string): Claim => ({ owner: OWNER, at, kind: "sysctl", state: { key, value: "1" } });
  return [
    {
      owner: OWNER,
      at,
      kind: "link",
      state: { name: bridge, type: "bridge", mtu: docker.mtu, up: true, ...(mac !== null && { mac }) },
    },
    {
      owner: OWNER,
      at,
      kind: "address",
      state: { dev: bridge, address: `${formatIp(gateway)}/${subnet.len}`, scope: "global" },
    },
    sysctl("net.ipv4.ip_forward"),
    // Without the proxy the host's own packets from 127.0.0.1 are routed to containers (setupLoopbackAddressesRouting).
    ...(docker.userlandProxy ? [] : [sysctl(sysctlConf("ipv4", bridge, "route_localnet"))]),
    ...docker.containers.flatMap((each) => container(at, docker, each)),
  ];
}
