/** Every network that kubewalk knows. */
import { calico } from "./calico/index.ts";
import { cilium } from "./cilium/index.ts";
import { cni } from "./cni/index.ts";
import { nodeLocalDns } from "./dns/node-local-dns.ts";
import { dockerBridge } from "./docker-bridge/index.ts";
import { flannel } from "./flannel/index.ts";
import { kubeProxy } from "./kube-proxy/index.ts";
import { kubelet } from "./kubelet.ts";
import type { Network } from "./network.ts";
import { vip } from "./vip/index.ts";

export const NETWORKS: readonly Network[] = [
  kubelet,
  kubeProxy,
  flannel,
  calico,
  cni,
  dockerBridge,
  cilium,
  nodeLocalDns,
  vip,
];
