/** HAProxy: before the API servers of a VirtualIP, on each of its nodes; or as the ingress controller, in a pod. */
import { LabError, type Lab, type LabDaemon } from "../parts.ts";
import { ingressConf } from "./ingress-conf.ts";
import { until } from "./wait.ts";

const PATH = "/etc/haproxy/haproxy.cfg";
const PATIENCE = 10;
const INGRESS_PORT = 80;

/**
 * The file as a lab runs it: sockets below the machine's folder, and checks without TLS, because the servers of a lab speak plain HTTP.
 * Everything else stays as the network renders it.
 */
export function haproxyForLab(text: string, folder: string): string {
  return text
    .replaceAll(/^(\s*stats socket )\S+/gm, `$1${folder}/haproxy.sock`)
    .replaceAll(/^\s*log\s+\/\S+.*\n/gm, "")
    .replaceAll("verify none check check-ssl", "check");
}

/** Ports on which a configuration listens. */
const portsOf = (text: string): string[] => [...text.matchAll(/^\s*bind\s+\S*:(\d+)\b/gm)].map(([, port = ""]) => port);

/** Starts it on a machine that a network rendered it for. Resolves to the ports that it is to listen on. */
export async function startHaproxy(lab: Lab, machine: string): Promise<string[]> {
  const file = lab.intended.files.find((each) => each.at === machine && each.path === PATH);
  if (file === undefined) throw new LabError(`haproxy: no network of the scenario has a configuration for ${machine}`);
  const folder = lab.folderOf(machine);
  const path = `${folder}${PATH}`;
  await lab.write(path, haproxyForLab(file.text, folder));
  lab.record(machine, PATH, path);
  await lab.start(`haproxy@${machine}`, { at: `${machine}/host`, argv: ["haproxy", "-db", "-f", path] });
  return portsOf(file.text);
}

/** Waits until every port has a listener. */
async function listening(lab: Lab, at: string, name: string, ports: readonly string[]): Promise<void> {
  await until(lab, name, [name], PATIENCE, async () => {
    const { out } = await lab.run({ at, argv: ["ss", "-Hltn"] });
    const missing = ports.find((port) => !new RegExp(`:${port}\\s`).test(out));
    return missing === undefined ? null : `nothing listens on port ${missing}`;
  });
}

/** In a pod: its port 80 is HAProxy's, with what the Ingresses ask for behind it. */
async function startIngress(lab: Lab, pod: string): Promise<void> {
  const place = lab.places.find((each) => each.pod !== null && `${each.pod.namespace}/${each.pod.name}` === pod);
  if (place === undefined) throw new LabError(`haproxy: the lab has no pod ${pod} with a network of its own`);
  const text = ingressConf(lab.intended.objects, INGRESS_PORT);
  if (text === null) throw new LabError("haproxy: the scenario has no Ingress for the pod to serve");
  const path = `${lab.folderOf(place.machine)}/pods/${place.pod?.name}/haproxy.cfg`;
  const name = `haproxy@${place.pod?.name}`;
  await lab.write(path, text);
  await lab.release(place.place, INGRESS_PORT);
  await lab.start(name, { at: place.place, argv: ["haproxy", "-db", "-f", path] });
  await listening(lab, place.place, name, [String(INGRESS_PORT)]);
}

export const haproxyDaemon: LabDaemon = {
  name: "haproxy",
  summary:
    "HAProxy before the API servers of a VirtualIP; with `pod: NAMESPACE/NAME`, as the ingress controller in that pod",
  programs: [
    { program: "haproxy", package: "haproxy" },
    { program: "ss", package: "iproute2" },
  ],
  async start(lab, { on, options }) {
    const { pod } = options;
    if (pod !== undefined) {
      await startIngress(lab, String(pod));
      return;
    }
    const machines = on.length > 0 ? on : lab.intended.files.filter(({ path }) => path === PATH).map(({ at }) => at);
    if (machines.length === 0)
      throw new LabError("haproxy: the scenario has no VirtualIP (also: [vip]), so there is nothing to balance");
    await Promise.all(
      machines.map(async (machine) =>
        listening(lab, `${machine}/host`, `haproxy@${machine}`, await startHaproxy(lab, machine)),
      ),
    );
  },
};
