/** Docker's rules in tables nat and raw: published ports, and the host's address for what leaves. */
import { formatIp, formatPrefix } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { DockerBridge, DockerContainer, PublishedPort } from "./description.ts";
import { chain, rule } from "./rules-place.ts";

type Published = DockerContainer & { port: PublishedPort };

const published = (docker: DockerBridge): Published[] =>
  docker.containers.flatMap((container) => container.ports.map((port) => ({ ...container, port })));

/** From the host's port to the container's; with docker-proxy not for what containers send, which the proxy takes (setPerPortNAT). */
function dnat(docker: DockerBridge, { address, port }: Published): string {
  const { protocol, hostPort, hostIP, containerPort } = port;
  const to = hostIP === null ? "" : `-d ${formatIp(hostIP)}/32 `;
  const from = docker.userlandProxy ? `! -i ${docker.bridge} ` : "";
  const target = `DNAT --to-destination ${formatIp(address)}:${containerPort}`;
  return `${to}${from}-p ${protocol} -m ${protocol} --dport ${hostPort} -j ${target}`;
}

/** A container that reaches itself by its published port must see the host's address. */
function ownPort({ address, port: { protocol, containerPort } }: Published): string {
  const own = `${formatIp(address)}/32`;
  return `-s ${own} -d ${own} -p ${protocol} -m ${protocol} --dport ${containerPort} -j MASQUERADE`;
}

/** Table nat. */
export function natRules(at: string, docker: DockerBridge): Claim[] {
  const ports = published(docker);
  const br = docker.bridge;
  const proxy = docker.userlandProxy;
  const local = "-m addrtype --dst-type LOCAL -j DOCKER";
  // Since 29 what containers send to published ports is rewritten, proxy or not.
  const skip = proxy && docker.generation !== "29" ? [`-i ${br} -j RETURN`] : [];
  // 20.10 has the rule for a container's own ports in any case.
  const own = docker.generation === "20.10" || !proxy ? ports : [];
  return [
    rule(at, "nat", "PREROUTING", local),
    rule(at, "nat", "OUTPUT", `${proxy ? "! -d 127.0.0.0/8 " : ""}${local}`),
    ...(proxy ? [] : [rule(at, "nat", "POSTROUTING", `-o ${br} -m addrtype --src-type LOCAL -j MASQUERADE`)]),
    rule(at, "nat", "POSTROUTING", `-s ${formatPrefix(docker.subnet)} ! -o ${br} -j MASQUERADE`),
    ...own.map((each) => rule(at, "nat", "POSTROUTING", ownPort(each))),
    chain(at, "nat", "DOCKER", [...skip, ...ports.map((each) => dnat(docker, each))]),
  ];
}

/**
 * Table raw, since 28: a container's address is no way around the published ports for those who can route to it (filterDirectAccess), and
 * a port that is published on the host's loopback is for the host alone (filterPortMappedOnLoopback).
 */
export function rawRules(at: string, docker: DockerBridge): Claim[] {
  if (docker.generation === "20.10") return [];
  return docker.containers.flatMap((container) => [
    rule(at, "raw", "PREROUTING", `-d ${formatIp(container.address)}/32 ! -i ${docker.bridge} -j DROP`),
    ...container.ports
      .filter(({ hostIP }) => hostIP !== null && hostIP.a >>> 24 === 127)
      .map(({ hostIP, protocol, hostPort }) => {
        const to = hostIP === null ? "" : formatIp(hostIP);
        return rule(
          at,
          "raw",
          "PREROUTING",
          `-d ${to}/32 ! -i lo -p ${protocol} -m ${protocol} --dport ${hostPort} -j DROP`,
        );
      }),
  ]);
}
