/** Docker's rules in table filter: who may reach a container. */
import { formatIp } from "../../model/address.ts";
import type { Claim } from "../claim.ts";
import type { DockerBridge, DockerContainer, PublishedPort } from "./description.ts";
import { chain, policy, rule } from "./rules-place.ts";

const ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";

const each = (docker: DockerBridge, make: (container: DockerContainer, port: PublishedPort) => string): string[] =>
  docker.containers.flatMap((container) => container.ports.map((port) => make(container, port)));

/** What comes from elsewhere to a published port. */
function openPorts(docker: DockerBridge): string[] {
  const br = docker.bridge;
  return each(
    docker,
    ({ address }, { protocol, containerPort }) =>
      `-d ${formatIp(address)}/32 ! -i ${br} -o ${br} -p ${protocol} -m ${protocol} --dport ${containerPort} -j ACCEPT`,
  );
}

/** Between bridges: a packet that leaves one for another is dropped (libnetwork, setINC). */
function isolation(at: string, docker: DockerBridge, end: string[]): Claim[] {
  const br = docker.bridge;
  return [
    chain(at, "filter", "DOCKER-ISOLATION-STAGE-1", [`-i ${br} ! -o ${br} -j DOCKER-ISOLATION-STAGE-2`, ...end]),
    chain(at, "filter", "DOCKER-ISOLATION-STAGE-2", [`-o ${br} -j DROP`, ...end]),
  ];
}

/** libnetwork of 20.10, setupIPTablesInternal and setIcc: all in FORWARD. */
function filter2010(at: string, docker: DockerBridge): Claim[] {
  const br = docker.bridge;
  const forward = [
    "-j DOCKER-USER",
    "-j DOCKER-ISOLATION-STAGE-1",
    `-o ${br} ${ESTABLISHED}`,
    `-o ${br} -j DOCKER`,
    `-i ${br} ! -o ${br} -j ACCEPT`,
    `-i ${br} -o ${br} -j ${docker.icc ? "ACCEPT" : "DROP"}`,
  ];
  return [
    ...forward.map((state) => rule(at, "filter", "FORWARD", state)),
    chain(at, "filter", "DOCKER-USER", ["-j RETURN"]),
    ...isolation(at, docker, ["-j RETURN"]),
    chain(at, "filter", "DOCKER", openPorts(docker)),
  ];
}

/** What leaves the bridge: to anywhere, or with `icc` off to anywhere but back to it. */
function outgoing(docker: DockerBridge): string[] {
  const br = docker.bridge;
  return docker.icc ? [`-i ${br} -j ACCEPT`] : [`-i ${br} -o ${br} -j DROP`, `-i ${br} ! -o ${br} -j ACCEPT`];
}

/** 28 and later (drivers/bridge/internal/iptabler; integration/network/bridge/iptablesdoc): two jumps in FORWARD, the rest in chains. */
function filter28(at: string, docker: DockerBridge): Claim[] {
  const br = docker.bridge;
  const old = docker.generation === "28";
  const between = old ? "DOCKER-ISOLATION-STAGE-1" : "DOCKER-INTERNAL";
  return [
    rule(at, "filter", "FORWARD", "-j DOCKER-USER"),
    rule(at, "filter", "FORWARD", "-j DOCKER-FORWARD"),
    chain(at, "filter", "DOCKER-USER", []),
    chain(at, "filter", "DOCKER-FORWARD", ["-j DOCKER-CT", `-j ${between}`, "-j DOCKER-BRIDGE", ...outgoing(docker)]),
    chain(at, "filter", "DOCKER-CT", [`-o ${br} ${ESTABLISHED}`]),
    ...(old ? isolation(at, docker, []) : [chain(at, "filter", between, [])]),
    chain(at, "filter", "DOCKER-BRIDGE", [`-o ${br} -j DOCKER`]),
    // Each port's rule is inserted at the top, so the last one is first.
    chain(at, "filter", "DOCKER", [...openPorts(docker).toReversed(), `! -i ${br} -o ${br} -j DROP`]),
  ];
}

/** Table filter of one bridge network, with FORWARD's policy when Docker set it (libnetwork, setupIPForwarding). */
export function filterRules(at: string, docker: DockerBridge): Claim[] {
  return [
    ...(docker.forwardingByDocker ? [policy(at, "filter", "FORWARD", "DROP")] : []),
    ...(docker.generation === "20.10" ? filter2010(at, docker) : filter28(at, docker)),
  ];
}
