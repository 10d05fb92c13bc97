/** Whether kube-proxy counts packets with nfacct. */
import type { KubeProxyConfig } from "../config.ts";

/**
 * Counters of dropped invalid packets and of node ports on 127.0.0.1 came with v1.31 (pull requests 122812 and 125015). kube-proxy
 * is taken to be as old as the node's kubelet; a node that does not say is taken for a new one.
 */
export function countsWithNfacct(config: KubeProxyConfig): boolean {
  const version = /^v?(\d+)\.(\d+)/.exec(config.node?.kubeletVersion ?? "");
  return version === null || Number(version[1]) > 1 || Number(version[2]) >= 31;
}
