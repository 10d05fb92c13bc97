/** kube-proxy in its three modes. */
import { parse, stringify } from "yaml";
import type { IpvsService } from "../../model/ipvs.ts";
import { formatIp } from "../../model/address.ts";
import { kubeProxyConfig } from "../kube-proxy/config.ts";
import { kubeProxy } from "../kube-proxy/index.ts";
import { intendIpvs } from "../kube-proxy/ipvs.ts";
import { clusterFamilies, POD_NETWORK } from "./fill-in.ts";
import type { WrittenObject } from "./objects.ts";
import { isRecord } from "./plain.ts";
import { rendererOf, type OnMachine, type RenderedFile } from "./renderer.ts";

/** ipvsadm's words for protocols. */
const PROTOCOLS: Readonly<Record<number, string>> = { 6: "-t", 17: "-u", 132: "--sctp-service" };
const METHODS = { masq: "-m", gatewaying: "-g", ipip: "-i" } as const;

/** What `ipvsadm --restore` loads, as `ipvsadm --save -n` prints it. */
export function ipvsRestoreText(services: readonly IpvsService[]): string {
  const bracketed = (ip: IpvsService["ip"]): string =>
    ip === null ? "" : ip.v === 6 ? `[${formatIp(ip)}]` : formatIp(ip);
  const lines = services.flatMap((service) => {
    const where =
      service.fwmark === null
        ? `${PROTOCOLS[service.proto ?? 6] ?? "-t"} ${bracketed(service.ip)}:${service.port}`
        : `-f ${service.fwmark}`;
    const persistent = service.persistent === null ? "" : ` -p ${service.persistent}`;
    const more = service.flags.map((flag) => ` ${flag}`).join("");
    const reals = service.reals.map(
      (real) => `-a ${where} -r ${bracketed(real.ip)}:${real.port} ${METHODS[real.method]} -w ${real.weight}`,
    );
    return [`-A ${where} -s ${service.scheduler}${persistent}${more}`, ...reals];
  });
  return lines.map((line) => `${line}\n`).join("");
}

/** The virtual servers, which are no claims. */
function virtualServers({ site, machine }: OnMachine): RenderedFile[] {
  const config = kubeProxyConfig(site, machine);
  if (config?.mode !== "ipvs") return [];
  const text = ipvsRestoreText(intendIpvs(site, machine, config).services);
  return text === "" ? [] : [{ at: machine.place, path: "ipvsadm --restore", text }];
}

/** The mode that was asked for, in whatever object has kube-proxy's configuration. */
function setMode(objects: readonly WrittenObject[], mode: string): void {
  for (const { kind, name, value } of objects) {
    if (kind === "KubeProxyConfiguration") value["mode"] = mode;
    const data = value["data"];
    if (kind !== "ConfigMap" || name !== "kube-proxy" || !isRecord(data)) continue;
    const config: unknown = typeof data["config.conf"] === "string" ? parse(data["config.conf"]) : null;
    if (isRecord(config)) data["config.conf"] = stringify({ ...config, mode });
  }
}

export const kubeProxyRenderer = rendererOf(
  "kube-proxy",
  "Services, as kube-proxy's three modes program them",
  ["iptables", "nftables", "ipvs"],
  (objects, { mode }) => {
    if (mode !== null) setMode(objects, mode);
    const config = {
      apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
      kind: "KubeProxyConfiguration",
      clusterCIDR: clusterFamilies(objects)
        .map((family) => POD_NETWORK[family])
        .join(","),
      ...(mode === null ? {} : { mode }),
    };
    return {
      objects,
      started: {
        commands: { "kube-proxy": { words: ["--config", "/var/lib/kube-proxy/config.conf"] } },
        files: { "kube-proxy.yaml": JSON.stringify(config) },
      },
      networks: [kubeProxy],
      files: virtualServers,
    };
  },
);
