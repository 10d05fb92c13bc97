/** BIRD 2 on nodes (Calico's, and the one of a HostRouter) and on the routers that these have sessions with. */
import { birdInput } from "../../../core/networks/calico/bird/input.ts";
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import { bgpAnnouncements } from "../../../core/networks/metallb/announce.ts";
import { bgpPeers } from "../../../core/networks/metallb/objects.ts";
import { LabError, type Lab, type LabDaemon } from "../parts.ts";
import type { DaemonSpec } from "../scenario.ts";
import { addressesOf, nodeNames } from "./addresses.ts";
import { neighboursAt } from "./bgp-neighbours.ts";
import { calicoBird2 } from "./calico-bird2.ts";
import { routerBird } from "./router-bird.ts";
import { until } from "./wait.ts";

/** One process. */
interface Bird {
  machine: string;
  /** Name of the program in the lab: `bird@n1`. */
  name: string;
  /** Its usual path, by which a snapshot has it. */
  path: string;
  text: string;
}

/** Seconds until all sessions are up; a passive end waits for the other's retry of five. */
const PATIENCE = 30;

const CALICO = "/etc/calico/confd/config";

/** The BIRDs of a node: those whose files the networks rendered. */
function birdsOfNode(lab: Lab, machine: string): Bird[] {
  const files = lab.intended.files.filter((each) => each.at === machine);
  return files.flatMap(({ path, text }): Bird[] => {
    const found = new RegExp(`^${CALICO}/bird(6?)\\.cfg$`).exec(path);
    if (found !== null) {
      const family = found[1] === "6" ? 6 : 4;
      const input = birdInput(clusterOf(lab.intended.objects), machine, family);
      return input === null
        ? []
        : [{ machine, name: `bird${found[1]}-calico@${machine}`, path, text: calicoBird2(input) }];
    }
    // The machine's log is not the lab's.
    const own = text.replace(/^log syslog all;/m, "log stderr all;");
    return path === "/etc/bird/bird.conf" ? [{ machine, name: `bird@${machine}`, path, text: own }] : [];
  });
}

async function birdsOfRouter(lab: Lab, machine: string): Promise<Bird[]> {
  const addresses = (await addressesOf(lab, `${machine}/host`)).map(({ address }) => address);
  const neighbours = await neighboursAt(lab, machine);
  const id = addresses.find((address) => !address.includes(":"));
  if (neighbours.length === 0 || id === undefined) return [];
  return [
    {
      machine,
      name: `bird@${machine}`,
      path: "/etc/bird/bird.conf",
      text: routerBird(id, neighbours, lab.scenario.fabric.kind === "tors" && machine === "fabric"),
    },
  ];
}

const inLab = (lab: Lab, bird: Bird): string => `${lab.folderOf(bird.machine)}${bird.path}`;
/** BIRD's own socket; a path of it has 107 characters at most. */
const socketOf = (lab: Lab, bird: Bird): string => `${lab.folderOf(bird.machine)}/${bird.name.split("@")[0]}.ctl`;

/** Writes its file and starts it. */
async function startBird(lab: Lab, bird: Bird): Promise<void> {
  const path = inLab(lab, bird);
  await lab.write(path, bird.text);
  lab.record(bird.machine, bird.path, path);
  const command = `${inLab(lab, bird)}.cmdline`;
  await lab.write(command, `bird -f -c ${bird.path}\n`);
  lab.record(bird.machine, `${bird.name.split("@")[0]}.cmdline`, command);
  await lab.start(bird.name, {
    at: `${bird.machine}/host`,
    argv: ["bird", "-f", "-c", path, "-s", socketOf(lab, bird)],
  });
}

/** What of its sessions is not up; null when all are. */
async function sessions(lab: Lab, bird: Bird): Promise<string | null> {
  const { status, out } = await lab.run({
    at: `${bird.machine}/host`,
    argv: ["birdc", "-s", socketOf(lab, bird), "show", "protocols"],
  });
  if (status !== 0) return `${bird.name} does not answer`;
  const down = out.split("\n").filter((line) => /^\S+\s+BGP\s/.test(line) && !/\sEstablished\s*$/.test(line));
  return down.length === 0 ? null : `${bird.name}: session ${down[0]?.split(/\s+/)[0]} is not established`;
}

/** Addresses of Services that MetalLB's speakers tell to a router. */
async function announcedTo(lab: Lab, machine: string): Promise<string[]> {
  const cluster = clusterOf(lab.intended.objects);
  const own = new Set((await addressesOf(lab, `${machine}/host`)).map(({ address }) => address));
  const here = new Set(bgpPeers(cluster).flatMap(({ name, address }) => (own.has(address) ? [name] : [])));
  return bgpAnnouncements(cluster).flatMap(({ prefix, peers }) =>
    peers.some((peer) => here.has(peer)) ? [prefix] : [],
  );
}

/** Routes that BIRD has to bring to a machine and has not. */
async function routes(lab: Lab, machine: string): Promise<string | null> {
  const wanted = lab.intended.claims.flatMap((claim) =>
    claim.kind === "route" && claim.state.protocol === "bird" && claim.at === `${machine}/host`
      ? [claim.state.dst]
      : [],
  );
  if (!nodeNames(lab).includes(machine)) wanted.push(...(await announcedTo(lab, machine)));
  if (wanted.length === 0) return null;
  const listings = await lab.must(
    ["-4", "-6"].map((family) => ({
      at: `${machine}/host`,
      argv: ["ip", "-j", family, "route", "show", "table", "all", "proto", "bird"],
    })),
  );
  const there = new Set(
    listings.flatMap(({ out }) => (JSON.parse(out || "[]") as { dst: string }[]).map(({ dst }) => dst)),
  );
  const missing = wanted.find(
    (dst) =>
      !there.has(dst) && !there.has(dst.replace(/\/(?:32|128)$/, "")) && !(dst.endsWith("/0") && there.has("default")),
  );
  return missing === undefined ? null : `${machine} has no route ${missing}`;
}

async function all(lab: Lab, spec: DaemonSpec): Promise<Bird[]> {
  const nodes = new Set(nodeNames(lab));
  const machines = spec.on.length > 0 ? spec.on : lab.machines;
  const birds = await Promise.all(
    machines.map(async (machine) => {
      const own = birdsOfNode(lab, machine);
      return own.length > 0 || nodes.has(machine) ? own : birdsOfRouter(lab, machine);
    }),
  );
  return birds.flat();
}

/** Waits until every session is up, and these machines have the routes that BIRD is to bring them. */
async function working(lab: Lab, birds: readonly Bird[], machines: readonly string[]): Promise<void> {
  const names = birds.map(({ name }) => name);
  await until(lab, "bird", names, PATIENCE, async () => {
    const missing = await Promise.all([
      ...birds.map((bird) => sessions(lab, bird)),
      ...machines.map((machine) => routes(lab, machine)),
    ]);
    return missing.find((each) => each !== null) ?? null;
  });
}

export const birdDaemon: LabDaemon = {
  name: "bird",
  summary: "BIRD 2: Calico's on each node, a HostRouter's, and the routers that these have sessions with",
  programs: [
    { program: "bird", package: "bird2" },
    { program: "birdc", package: "bird2" },
  ],
  brings: (claim) => claim.kind === "route" && claim.state.protocol === "bird",
  async start(lab, spec) {
    const birds = await all(lab, spec);
    if (birds.length === 0)
      throw new LabError("bird: no network of the scenario has a configuration for BIRD, and no router has a session");
    await Promise.all(birds.map((bird) => startBird(lab, bird)));
    await working(lab, birds, [...new Set(birds.map(({ machine }) => machine))]);
  },
};

/** Starts the BIRDs of one machine again, and waits until its sessions are up and everyone has the routes that BIRD brings. */
export async function restartBird(lab: Lab, machine: string): Promise<void> {
  const nodes = new Set(nodeNames(lab));
  const own = nodes.has(machine) ? birdsOfNode(lab, machine) : await birdsOfRouter(lab, machine);
  for (const bird of own) await startBird(lab, bird);
  await working(lab, own, lab.machines);
}
