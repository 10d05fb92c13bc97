/** DNS: each pod's resolv.conf, and the cache of NodeLocal DNSCache. */
import { kubeletDns } from "../dns/kubelet-dns.ts";
import { nodeLocalDns } from "../dns/node-local-dns.ts";
import { podDns, podDnsWish } from "../dns/pod-dns.ts";
import { resolvConfText } from "../dns/resolv-conf.ts";
import { fillIn } from "./fill-in.ts";
import type { WrittenObject } from "./objects.ts";
import { part, textOf, textsOf } from "./plain.ts";
import { rendererOf, type OnMachine, type RenderedFile, type RenderedNote } from "./renderer.ts";

const MODES = ["cluster", "nodelocal"] as const;

/** The cluster's DNS server when no Service kube-dns says another (kubeadm: the tenth address of the Service network). */
const DNS_ADDRESS = "10.96.0.10";
/** Link-local address of the cache (kubernetes/dns, nodelocaldns.yaml). */
const LOCAL_ADDRESS = "169.254.20.10";
/** A machine's own resolver when no Machine says another: an address for documentation (RFC 5737). */
const HOST_RESOLV_CONF = "nameserver 192.0.2.53\n";

function dnsAddresses(objects: readonly WrittenObject[]): string[] {
  const service = objects.find(
    (each) => each.kind === "Service" && each.namespace === "kube-system" && each.name === "kube-dns",
  );
  if (service === undefined) return [DNS_ADDRESS];
  const spec = part(service.value, "spec");
  const many = textsOf(spec["clusterIPs"]);
  return many.length > 0 ? many : [textOf(spec["clusterIP"])];
}

/** resolv.conf of each pod on a node, and what kubelet says of it in events. */
function resolvers({ site, machine }: OnMachine): { files: RenderedFile[]; notes: RenderedNote[] } {
  const kubelet = kubeletDns(machine);
  const pods = kubelet === null ? [] : site.cluster.pods.filter((pod) => pod.node === machine.name);
  const files: RenderedFile[] = [];
  const notes: RenderedNote[] = [];
  for (const pod of pods) {
    const wish = podDnsWish(site.cluster, pod);
    if (wish === null || kubelet === null) continue;
    const at = `${machine.name}/pod/${pod.namespace}/${pod.name}`;
    const { conf, events } = podDns(wish, kubelet);
    files.push({ at, path: "/etc/resolv.conf", text: resolvConfText(conf) });
    if (events.length > 0) notes.push({ at, title: "what kubelet says in events", lines: events });
  }
  return { files, notes };
}

export const dnsRenderer = rendererOf(
  "dns",
  "DNS: each pod's resolv.conf; NodeLocal DNSCache's device and rules",
  MODES,
  (written, { mode }) => {
    const objects = fillIn(written);
    const servers = dnsAddresses(objects);
    const kubelet = {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      clusterDNS: servers,
      clusterDomain: "cluster.local",
    };
    // Of one family, as the cache itself asks for.
    const [first = DNS_ADDRESS] = servers;
    const local = first.includes(":") ? first : `${LOCAL_ADDRESS},${first}`;
    const words = ["-localip", local, "-conf", "/etc/Corefile", "-upstreamsvc", "kube-dns-upstream"];
    return {
      objects,
      started: {
        commands: { kubelet: {}, ...(mode === "nodelocal" ? { "node-cache": { words } } : {}) },
        files: { "kubelet.yaml": JSON.stringify(kubelet), "/etc/resolv.conf": HOST_RESOLV_CONF },
      },
      networks: [nodeLocalDns],
      files: (on) => resolvers(on).files,
      notes: (on) => resolvers(on).notes,
    };
  },
);
