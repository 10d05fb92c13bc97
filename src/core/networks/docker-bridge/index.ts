/** Docker's bridge network: where all of this began. */
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import type { Machine, Site } from "../site.ts";
import { parseDocker, type DockerBridge } from "./description.ts";
import { dockerDevices } from "./devices.ts";
import { filterRules } from "./filter.ts";
import { natRules, rawRules } from "./nat.ts";

/** Everything that Docker puts into the namespace `at` for its bridge network; `mac` is the bridge's, when it is known. */
export function dockerClaims(at: string, docker: DockerBridge, mac: string | null = null): Claim[] {
  return [
    ...dockerDevices(at, docker, mac),
    ...filterRules(at, docker),
    ...natRules(at, docker),
    ...rawRules(at, docker),
  ];
}

export const dockerBridge: Network = {
  name: "docker",
  about: "Docker's bridge: docker0, published ports with or without docker-proxy, isolation",
  /** For a machine with a description of its containers, `docker.json` beside its programs' configuration. */
  intend(_site: Site, machine: Machine): Claim[] {
    const file = machine.file("docker.json");
    if (file === null) return [];
    const docker = parseDocker(file.text, file.source.file);
    return dockerClaims(machine.place, docker, machine.macOf(docker.bridge));
  },
};
