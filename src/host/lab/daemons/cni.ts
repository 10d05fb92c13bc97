/** The CNI plugins of Debian, called for every pod: ADD when the lab begins, CHECK afterwards. */
import { createHash } from "node:crypto";
import { LabError, type Lab, type LabDaemon, type LabPlace } from "../parts.ts";
import { nodeNames, podAddresses, podObject, podsOn } from "./addresses.ts";
import { callPlugins, PLUGINS, type Attachment, type Conflist } from "./cni-chain.ts";

const FOLDER = "/etc/cni/net.d/";
const DATA = "/var/lib/cni/networks";

/** Owners of claims that the plugins make true. */
const OWNERS: ReadonlySet<string> = new Set(["bridge", "ptp", "macvlan", "ipvlan", "portmap", "loopback"]);

/** The conflist of a node; null when it has none. */
function conflistOf(lab: Lab, node: string): { path: string; list: Conflist } | null {
  const file = lab.intended.files.find(
    ({ at, path }) => at === node && path.startsWith(FOLDER) && path.endsWith(".conflist"),
  );
  return file === undefined ? null : { path: file.path, list: JSON.parse(file.text) as Conflist };
}

/** The list with host-local's files below the node's own folder: the machine's /var/lib/cni is not the lab's. */
function withinLab(list: Conflist, folder: string): Conflist {
  const plugins = list.plugins.map((plugin) => {
    const ipam = plugin["ipam"] as Record<string, unknown> | undefined;
    return ipam?.["type"] === "host-local" ? { ...plugin, ipam: { ...ipam, dataDir: `${folder}${DATA}` } } : plugin;
  });
  return { ...list, plugins };
}

/** Id of a pod's sandbox: the same as networks take when no runtime has given one. */
const containerId = (pod: { namespace: string; name: string }): string =>
  createHash("sha256").update(`${pod.namespace}.${pod.name}`).digest("hex");

/** hostPorts of a pod, as the container runtime tells them (CRI's PortMapping). */
function portMappings(lab: Lab, place: LabPlace): Attachment["portMappings"] {
  const spec = podObject(lab, place)?.value["spec"] as
    | { containers?: { ports?: { containerPort: number; hostPort?: number; protocol?: string; hostIP?: string }[] }[] }
    | undefined;
  return (spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.flatMap(({ containerPort, hostPort, protocol = "TCP", hostIP }) =>
      hostPort === undefined
        ? []
        : [{ hostPort, containerPort, protocol: protocol.toLowerCase(), ...(hostIP === undefined ? {} : { hostIP }) }],
    ),
  );
}

/** What the runtime tells the plugins of a pod. */
export function attachmentOf(lab: Lab, node: string, place: LabPlace): Attachment {
  const pod = place.pod ?? { namespace: "", name: "" };
  return {
    host: `${node}/host`,
    containerId: containerId(pod),
    netns: place.path,
    ifname: "eth0",
    pod,
    portMappings: portMappings(lab, place),
  };
}

/** A node's list as the lab calls it; null when the node has none. */
export function nodeConflist(lab: Lab, node: string): Conflist | null {
  const found = conflistOf(lab, node);
  return found === null ? null : withinLab(found.list, lab.folderOf(node));
}

/** Remembers the files that the plugins and libcni leave: addresses, and the result of each ADD. */
async function recordFiles(
  lab: Lab,
  node: string,
  list: Conflist,
  results: readonly [Attachment, unknown][],
): Promise<void> {
  const folder = lab.folderOf(node);
  const networks = `${folder}${DATA}/${list.name}`;
  const [listing] = await lab.must([{ at: `${node}/host`, argv: ["sh", "-c", `ls ${networks} 2>/dev/null || true`] }]);
  for (const name of listing?.out.split("\n") ?? [])
    if (name !== "" && name !== "lock") lab.record(node, `${DATA}/${list.name}/${name}`, `${networks}/${name}`);
  for (const [{ containerId: id, ifname, pod }, result] of results) {
    const path = `/var/lib/cni/results/${list.name}-${id}-${ifname}`;
    const cniArgs = [
      ["IgnoreUnknown", "1"],
      ["K8S_POD_NAMESPACE", pod.namespace],
      ["K8S_POD_NAME", pod.name],
    ];
    const text = JSON.stringify({
      kind: "cniCacheV1",
      containerId: id,
      ifName: ifname,
      networkName: list.name,
      cniArgs,
      result,
    });
    await lab.write(`${folder}${path}`, text);
    lab.record(node, path, `${folder}${path}`);
  }
}

/** Addresses that a result gives to the pod. */
const given = (result: unknown): string[] =>
  ((result as { ips?: { address: string }[] }).ips ?? []).map(({ address }) => address.split("/")[0] ?? "");

/** Every pod of a node, one after the other: host-local gives addresses in the order in which it is asked. */
async function addAll(lab: Lab, node: string): Promise<void> {
  const list = nodeConflist(lab, node);
  if (list === null) throw new LabError(`cni: no network of the scenario has a conflist for ${node}`);
  const results: [Attachment, unknown][] = [];
  for (const place of podsOn(lab, node)) {
    const attachment = attachmentOf(lab, node, place);
    const result = await callPlugins(lab, "ADD", list, attachment);
    const wanted = podAddresses(lab, place);
    if (given(result).join() !== wanted.join())
      throw new LabError(`cni: ${place.place} got ${given(result).join(", ")}, and its Pod has ${wanted.join(", ")}`);
    results.push([attachment, result]);
  }
  for (const [attachment, result] of results) await callPlugins(lab, "CHECK", list, attachment, result);
  await recordFiles(lab, node, list, results);
}

export const cniDaemon: LabDaemon = {
  name: "cni",
  summary: "the CNI plugins themselves, called with ADD and CHECK for every pod",
  programs: ["bridge", "host-local", "macvlan", "ipvlan", "ptp", "portmap"].map((plugin) => ({
    program: `${PLUGINS}/${plugin}`,
    package: "containernetworking-plugins",
  })),
  brings: (claim) => OWNERS.has(claim.owner),
  async start(lab, { on }) {
    await Promise.all((on.length > 0 ? on : nodeNames(lab)).map((node) => addAll(lab, node)));
  },
};
