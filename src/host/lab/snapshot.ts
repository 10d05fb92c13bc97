/** A snapshot of a lab: what its namespaces' own commands print, the cluster's objects, the nodes' files and the fabric. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { resourceOf, type WrittenObject } from "../../core/networks/render/objects.ts";
import { isOwn } from "../../core/networks/render/own-kinds.ts";
import { isProgramFile } from "../../core/networks/render/program-files.ts";
import { objectsNow } from "./faults/objects.ts";
import { LabError, type LabPlace } from "./parts.ts";
import { shippedFile } from "./shipped.ts";
import type { StandingLab } from "./standing.ts";
import type { Plan } from "./up.ts";
import { FABRIC, type Wiring } from "./wiring.ts";

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;

/** Where a place's listings belong: `nodes/n1/host`, `nodes/n1/netns/INODE`; a namespace that is no pod's has its own name there. */
export function folderOf({ place, machine, pod }: LabPlace, inode: number): string {
  const name = pod === null ? (place.split("/").pop() ?? "") : String(inode);
  return join("nodes", machine, place.endsWith("/host") ? "host" : `netns/${name}`);
}

interface Command {
  file: string;
  command: string;
  exit: number;
  stderr: string;
}

/** Moves one namespace's listings to where they belong; answers which commands ran. Empty listings are left out. */
function settle(from: string, to: string, within: string): Command[] {
  const log = readFileSync(join(from, "log"), "utf8").split("\n");
  mkdirSync(to, { recursive: true });
  return log.flatMap((line): Command[] => {
    const [, exit = "", file = "", command = ""] = /^(\d+) (\S+) (.*)$/.exec(line) ?? [];
    if (file === "") return [];
    const text = readFileSync(join(from, file), "utf8");
    if (exit === "0" && text.trim() !== "") writeFileSync(join(to, file), text);
    const stderr = readFileSync(join(from, `err.${file}`), "utf8").trim();
    return [{ file: `${within}/${file}`, command, exit: Number(exit), stderr }];
  });
}

/** Resources of which a cluster has a list, if an empty one. */
const ALWAYS = ["pods", "services", "endpointslices.discovery.k8s.io", "networkpolicies.networking.k8s.io"];

/** The cluster's objects, a file for each resource, as `kubectl get -A -o json` prints them. */
export function clusterFiles(objects: readonly WrittenObject[]): Map<string, string> {
  const isCluster = objects.some(({ kind }) => kind === "Node");
  const byResource = new Map<string, WrittenObject[]>(isCluster ? ALWAYS.map((resource) => [resource, []]) : []);
  for (const each of objects) {
    if (isOwn(each) || isProgramFile(each)) continue;
    const resource = resourceOf(each);
    byResource.set(resource, [...(byResource.get(resource) ?? []), each]);
  }
  return new Map(
    [...byResource].map(([resource, list]) => [
      `cluster/${resource}.json`,
      json({ apiVersion: "v1", kind: "List", items: list.map((each) => each.value) }),
    ]),
  );
}

/** fabric.json: segments with who hangs on them, routers, hosts beyond. */
function fabricFile(wiring: Wiring, outer: ReadonlySet<string>): string {
  const segments = wiring.segments.map(({ name, attached }) => ({
    name,
    attached: attached.map(({ machine, dev }) => [machine, dev]),
  }));
  const names = (kind: string): string[] =>
    wiring.machines.flatMap((each) => (each.kind === kind && outer.has(each.name) ? [each.name] : []));
  return json({ format: "kubewalk.fabric/v1", segments, routers: names("router"), external: names("host") });
}

/** Machines beside the cluster: routers, and hosts that run no network of the scenario. */
function outerMachines({ wiring, computed }: Plan): Set<string> {
  const own = new Set(computed.claims.map((claim) => claim.at.split("/", 1)[0]));
  return new Set(wiring.machines.flatMap((each) => (each.kind === "node" || own.has(each.name) ? [] : [each.name])));
}

/** Files of machines: what networks read of them, what daemons recorded. */
async function machineFiles(lab: StandingLab, { computed }: Plan, out: string): Promise<void> {
  const put = (machine: string, path: string, text: string): void =>
    write(join(out, "nodes", machine, path.startsWith("/") ? `files${path}` : `programs/${path}`), text);
  for (const { machine, commands, files } of computed.configuration) {
    for (const [program, words] of commands) put(machine, `${program}.cmdline`, `${words}\n`);
    for (const [path, text] of files) put(machine, path, text);
  }
  for (const { at, path, text } of computed.files) if (path.startsWith("/") && !at.includes("/")) put(at, path, text);
  for (const [machine, files] of lab.recorded)
    for (const [path, inLab] of files) put(machine, path, await lab.read(inLab));
}

/**
 * Writes a snapshot of a lab into a folder that is not there yet or is empty. `at` is when it is taken, for its head. Rejects with LabError.
 */
export async function snapshotLab(lab: StandingLab, plan: Plan, out: string, at: string | null): Promise<void> {
  if (existsSync(out) && readdirSync(out).length > 0) throw new LabError(`${out}: is there already and not empty`);
  const { wiring, computed, scenario } = plan;
  const isMachine = new Set(wiring.machines.map((each) => each.name));
  // The fabric's namespace holds bridges and is a machine only where it routes.
  const places = lab.places.filter((each) => each.machine !== FABRIC || isMachine.has(FABRIC));
  const inodes = await lab.inodes();
  const inLab = `/run/lab/listings-${process.pid}`;
  await lab.write("/run/lab/listing.sh", readFileSync(shippedFile("agent/listing.sh"), "utf8"));
  await lab.makeFolders(places.map((each) => `${inLab}/${inodes.get(each.place)}`));
  await lab.must(
    places.map((each) => ({
      at: each.place,
      argv: [
        "sh",
        "/run/lab/listing.sh",
        `${inLab}/${inodes.get(each.place)}`,
        each.place.endsWith("/host") ? "all" : "some",
      ],
    })),
  );
  await lab.withFolder(inLab, (outer) => {
    const commands = new Map<string, Command[]>();
    for (const each of places) {
      const inode = inodes.get(each.place) ?? 0;
      const folder = folderOf(each, inode);
      const within = folder.split("/").slice(2).join("/");
      const ran = settle(join(outer, String(inode)), join(out, folder), within);
      commands.set(each.machine, [...(commands.get(each.machine) ?? []), ...ran]);
      if (!each.place.endsWith("/host")) {
        write(
          join(out, folder, "netns.json"),
          json({ inode, pid: null, path: `/run/netns/${each.netns}`, pod: each.pod }),
        );
      }
      const resolv = computed.files.find((file) => file.at === each.place && file.path === "/etc/resolv.conf");
      if (resolv !== undefined && !each.place.endsWith("/host")) write(join(out, folder, "resolv.conf"), resolv.text);
    }
    for (const [machine, list] of commands) write(join(out, "nodes", machine, "commands.json"), json(list));
  });
  const beside = outerMachines(plan);
  for (const [file, text] of clusterFiles(objectsNow(lab))) write(join(out, file), text);
  await machineFiles(lab, plan, out);
  write(join(out, "fabric.json"), fabricFile(wiring, beside));
  const nodes = lab.machines.filter((name) => !beside.has(name) && (name !== FABRIC || isMachine.has(FABRIC)));
  const network = scenario.networks
    .map(({ network: name, mode }) => (mode === null ? name : `${name}-${mode}`))
    .join("+");
  write(join(out, "snapshot.json"), json({ format: "kubewalk.snapshot/v1", takenAt: at, nodes, network }));
}
