/** Every daemon that a scenario can name. */
import type { LabDaemon } from "../parts.ts";
import { birdDaemon } from "./bird.ts";
import { cniDaemon } from "./cni.ts";
import { dnsmasqDaemon } from "./dnsmasq.ts";
import { flanneldDaemon } from "./flanneld.ts";
import { haproxyDaemon } from "./haproxy.ts";
import { keepalivedDaemon } from "./keepalived.ts";
import { metallbSpeakerDaemon } from "./metallb-speaker.ts";

export const DAEMONS: readonly LabDaemon[] = [
  cniDaemon,
  flanneldDaemon,
  metallbSpeakerDaemon,
  birdDaemon,
  haproxyDaemon,
  keepalivedDaemon,
  dnsmasqDaemon,
];
