/** Files of nodes' programs that objects bring: configuration kinds, and ConfigMaps that are mounted as files. */
import { stringify } from "yaml";
import type { MachineFile } from "../site.ts";
import type { WrittenObject } from "./objects.ts";
import { isRecord } from "./plain.ts";

/** Objects of which no API server knows: configuration of a node's own programs, by the file that it becomes. */
const PROGRAM_FILES: Readonly<Record<string, string>> = {
  KubeProxyConfiguration: "kube-proxy.yaml",
  KubeletConfiguration: "kubelet.yaml",
};

export const isProgramFile = ({ kind }: Pick<WrittenObject, "kind">): boolean => Object.hasOwn(PROGRAM_FILES, kind);

/** Entries of well-known ConfigMaps, and the file that a node has of them. */
const CONFIG_MAPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "kube-proxy": { "config.conf": "kube-proxy.yaml" },
  "kube-flannel-cfg": {
    "cni-conf.json": "/etc/cni/net.d/10-flannel.conflist",
    "net-conf.json": "/etc/kube-flannel/net-conf.json",
  },
  "calico-config": { cni_network_config: "/etc/cni/net.d/10-calico.conflist" },
};

/** What Calico's install-cni puts in place of its template's words (cni-plugin/pkg/install). MTU 0 leaves it to Felix. */
const CALICO_WORDS: readonly [RegExp, string][] = [
  [/__CNI_MTU__/g, "0"],
  [/__KUBERNETES_NODE_NAME__/g, ""],
  [/__KUBECONFIG_FILEPATH__/g, "/etc/cni/net.d/calico-kubeconfig"],
  [/__LOG_LEVEL__/g, "info"],
  [/__SERVICEACCOUNT_TOKEN__/g, ""],
];

/** Where an entry of a ConfigMap is mounted; null when networks do not read it. A conflist is one in any ConfigMap. */
function pathOf(map: string, key: string): string | null {
  const known = Object.hasOwn(CONFIG_MAPS, map) ? CONFIG_MAPS[map]?.[key] : undefined;
  return known ?? (key.endsWith(".conflist") ? `/etc/cni/net.d/${key}` : null);
}

/** Files by path, or by name for those of programs/. */
export function programFiles(objects: readonly WrittenObject[]): Map<string, MachineFile> {
  const files = new Map<string, MachineFile>();
  for (const object of objects) {
    const { kind, name, value, file, line } = object;
    const program = PROGRAM_FILES[kind];
    if (program !== undefined) files.set(program, { text: stringify(value), source: { file, line } });
    const data = value["data"];
    if (kind !== "ConfigMap" || !isRecord(data)) continue;
    for (const [key, text] of Object.entries(data)) {
      const path = pathOf(name, key);
      if (path === null || typeof text !== "string") continue;
      const replaced =
        name === "calico-config" ? CALICO_WORDS.reduce((all, [word, to]) => all.replace(word, to), text) : text;
      files.set(path, { text: replaced, source: { file, line: object.lineOf(["data", key]) } });
    }
  }
  return files;
}
