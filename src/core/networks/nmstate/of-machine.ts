/** Everything that somebody wants of a machine's network, by its files and the cluster's policies. */
import type { Namespace } from "../../model/namespace.ts";
import { ParseError } from "../../model/source.ts";
import type { Machine } from "../site.ts";
import { onDevice, readConnection, type Connection } from "./connection-read.ts";
import type { DesiredProblem, DesiredState } from "./desired.ts";
import { readNmstate, selects, type NmstatePolicy } from "./nmstate-read.ts";

/** Folders of NetworkManager's profiles: those of the administrator win over those of this boot (nm-settings-keyfile(5)). */
const PROFILES = ["/etc/NetworkManager/system-connections/", "/run/NetworkManager/system-connections/"] as const;
const NMSTATE = "/etc/nmstate/";
/** File of the cluster's policies in a snapshot. */
export const POLICIES = "cluster/nodenetworkconfigurationpolicies.nmstate.io.json";

export interface DesiredOfMachine {
  /** In the order in which they were found; one of NetworkManager's only when it is the one in use on its device. */
  states: DesiredState[];
  /** Of all files, also of profiles that are not in use, and files that are no YAML at all. */
  problems: DesiredProblem[];
  /** Devices for which several profiles are equally good: which one is in use, the files do not tell. */
  undecided: { device: string; profiles: string[] }[];
}

const fromError = (error: ParseError): DesiredProblem => ({
  kind: "impossible",
  text: error.message.replace(`${error.source.file}:${error.source.line}: `, ""),
  source: error.source,
});

/** Reads with `read`; what it throws becomes a problem. */
function guarded<T>(read: () => T[], problems: DesiredProblem[]): T[] {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    problems.push(fromError(error));
    return [];
  }
}

/** Whether a profile may be used on a device: its name, its MAC address, or any device of the machine's own for an ethernet profile. */
function suits(connection: Connection, device: { name: string; mac: string | null; own: boolean }): boolean {
  if (connection.interface !== null) return connection.interface === device.name;
  if (connection.forMac !== null) return connection.forMac === device.mac;
  return device.own && (connection.type === "ethernet" || connection.type === "802-3-ethernet");
}

/** The profiles in use, as far as the files tell: of those that suit a device, the one with the highest autoconnect-priority. */
function inUse(
  connections: readonly Connection[],
  machine: Machine,
  host: Namespace | null,
): Pick<DesiredOfMachine, "states" | "undecided"> {
  const states: DesiredState[] = [];
  const undecided: DesiredOfMachine["undecided"] = [];
  const own = new Set(machine.devices.map((device) => device.name));
  const devices = new Map<string, { name: string; mac: string | null; own: boolean }>();
  for (const link of host?.links ?? [])
    devices.set(link.name, { name: link.name, mac: link.mac, own: own.has(link.name) });
  // A device that a profile should make and that is not there is a wish that was not fulfilled.
  for (const { interface: name } of connections)
    if (name !== null && !devices.has(name)) devices.set(name, { name, mac: null, own: false });
  for (const device of devices.values()) {
    const candidates = connections.filter((each) => each.autoconnect && suits(each, device));
    const most = Math.max(...candidates.map((each) => each.priority));
    const best = candidates.filter((each) => each.priority === most);
    // A profile that names the device is preferred to one for any device only by its priority; equals are told apart by use.
    const [only] = best;
    if (best.length > 1) undecided.push({ device: device.name, profiles: best.map((each) => each.id) });
    else if (only !== undefined) states.push(onDevice(only, device.name));
  }
  return { states, undecided };
}

/**
 * What is wanted of a machine: NetworkManager's profiles, nmstate's files, and the policies that select its node. `policies` is the text
 * of the cluster's policies (`snapshot.text(POLICIES)`), null when there are none. Never throws.
 */
export function desiredOf(machine: Machine, host: Namespace | null, policies: string | null): DesiredOfMachine {
  const problems: DesiredProblem[] = [];
  const seen = new Set<string>();
  const connections = PROFILES.flatMap((folder) => machine.files(folder)).flatMap((path): Connection[] => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const file = machine.file(path);
    // NetworkManager reads files of this ending only, and of two with one name the first folder's.
    if (file === null || !path.endsWith(".nmconnection") || seen.has(name)) return [];
    seen.add(name);
    return [readConnection(file.text, file.source.file)];
  });
  const found = machine
    .files(NMSTATE)
    .filter((path) => /\.ya?ml$/.test(path))
    .flatMap((path): NmstatePolicy[] => {
      const file = machine.file(path);
      return file === null ? [] : guarded(() => readNmstate(file.text, file.source.file), problems);
    });
  const chosen =
    policies === null
      ? []
      : guarded(() => readNmstate(policies, POLICIES), problems).filter((policy) =>
          selects(policy, machine.node?.labels ?? {}),
        );
  const { states, undecided } = inUse(connections, machine, host);
  const nmstates = [...found, ...chosen].map((policy) => policy.state);
  return {
    states: [...states, ...nmstates],
    problems: [
      ...problems,
      ...connections.flatMap((connection) => connection.state.problems),
      ...nmstates.flatMap((state) => state.problems),
    ],
    undecided,
  };
}
