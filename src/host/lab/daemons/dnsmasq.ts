/** dnsmasq as the cluster's DNS: in each pod behind the Service kube-dns. */
import { clusterOf } from "../../../core/networks/render/cluster-of.ts";
import { LabError, type Lab, type LabDaemon, type LabPlace } from "../parts.ts";
import { podAddresses } from "./addresses.ts";
import { dnsmasqConf } from "./dns-records.ts";
import { until } from "./wait.ts";

const PATIENCE = 10;

/** Pods that are endpoints of the Service kube-dns, with their node. */
function servers(lab: Lab): LabPlace[] {
  const slices = clusterOf(lab.intended.objects).endpointSlices.filter(
    ({ namespace, service }) => namespace === "kube-system" && service === "kube-dns",
  );
  const pods = new Set(
    slices.flatMap(({ endpoints }) => endpoints.map(({ pod }) => (pod === null ? "" : `${pod.namespace}/${pod.name}`))),
  );
  return lab.places.filter(({ pod }) => pod !== null && pods.has(`${pod.namespace}/${pod.name}`));
}

export const dnsmasqDaemon: LabDaemon = {
  name: "dnsmasq",
  summary: "dnsmasq as the cluster's DNS, with the records that CoreDNS would answer",
  programs: [
    { program: "dnsmasq", package: "dnsmasq-base" },
    { program: "ss", package: "iproute2" },
  ],
  async start(lab, { options }) {
    const { upstream = null } = options;
    if (upstream !== null && typeof upstream !== "string") throw new LabError("dnsmasq: upstream should be an address");
    const found = servers(lab);
    if (found.length === 0)
      throw new LabError("dnsmasq: the Service kube-system/kube-dns has no pod with a network of its own behind it");
    const text = dnsmasqConf(clusterOf(lab.intended.objects), upstream);
    const names = await Promise.all(
      found.map(async ({ place, machine, pod }) => {
        const folder = `${lab.folderOf(machine)}/pods/${pod?.name}`;
        const path = `${folder}/dnsmasq.conf`;
        await lab.write(path, text);
        await lab.release(place, 53);
        const addresses = podAddresses(lab, { pod }).map((address) => `--listen-address=${address}`);
        const name = `dnsmasq@${pod?.name}`;
        const own = ["--bind-interfaces", ...addresses, `--pid-file=${folder}/dnsmasq.pid`, "--user=root"];
        await lab.start(name, { at: place, argv: ["dnsmasq", "--keep-in-foreground", `--conf-file=${path}`, ...own] });
        return name;
      }),
    );
    await until(lab, "dnsmasq", names, PATIENCE, async () => {
      const running = await lab.running();
      const gone = names.find((name) => !running.has(name));
      if (gone !== undefined) throw new LabError(`${gone} ended at once: ${(await lab.logOf(gone)).trim()}`);
      const listings = await Promise.all(found.map(({ place }) => lab.run({ at: place, argv: ["ss", "-Hlun"] })));
      const silent = found.find((_, i) => !/:53\s/.test(listings[i]?.out ?? ""));
      return silent === undefined ? null : `nothing listens on port 53 in ${silent.place}`;
    });
  },
};
