/** Every network that `kubewalk render` knows. */
import type { Renderer } from "./renderer.ts";
import { birdRenderer } from "./renderer-bird.ts";
import { calicoRenderer } from "./renderer-calico.ts";
import { ciliumRenderer } from "./renderer-cilium.ts";
import { cniRenderer } from "./renderer-cni.ts";
import { dnsRenderer } from "./renderer-dns.ts";
import { dockerRenderer } from "./renderer-docker.ts";
import { flannelRenderer } from "./renderer-flannel.ts";
import { kubeProxyRenderer } from "./renderer-kube-proxy.ts";
import { metallbRenderer } from "./renderer-metallb.ts";
import { nodeIpRenderer } from "./renderer-node-ip.ts";
import { vipRenderer } from "./renderer-vip.ts";

export const RENDERERS: readonly Renderer[] = [
  kubeProxyRenderer,
  flannelRenderer,
  calicoRenderer,
  ciliumRenderer,
  cniRenderer,
  dockerRenderer,
  metallbRenderer,
  vipRenderer,
  birdRenderer,
  dnsRenderer,
  nodeIpRenderer,
];
