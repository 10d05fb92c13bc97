/**
 * A floating address for the Kubernetes API as OpenShift runs it on its own machines: keepalived moves the address, HAProxy behind it
 * shares the connections among the API servers (machine-config-operator templates/master/00-master/on-prem, baremetal-runtimecfg).
 */
import { utf8ToBytes } from "@noble/hashes/utils.js";
import { parseIp } from "../../model/address.ts";
import { IntentError } from "../network.ts";

/** A machine that may hold the address and runs an API server. */
export interface VipNode {
  name: string;
  /** Its own address in the VIP's network. */
  address: string;
  /** Device that the address is put on. */
  interface: string;
}

export interface VipDescription {
  /** Name of the cluster: names the VRRP instances, their passwords, and decides their router ids. */
  cluster: string;
  vip: string;
  /** Prefix length that the address is put on the device with; releases before 4.9 used 32 and 128. */
  prefixLen: number;
  nodes: VipNode[];
  /** Where clients connect to, 6443. */
  apiPort: number;
  /** Where HAProxy listens, 9445. */
  lbPort: number;
  /** HAProxy's statistics on localhost, 29445 (the template's 30000 in old releases). */
  statPort: number;
  /** Where HAProxy tells that it is alive, 9444. */
  healthPort: number;
  /** VRRP by unicast to the other nodes instead of multicast. */
  unicast: boolean;
  /** A second floating address, for ingress; null for none. */
  ingressVip: string | null;
}

export const API_PORT = 6443;
export const LB_PORT = 9445;
export const STAT_PORT = 29445;
export const HEALTH_PORT = 9444;

/** Fletcher's checksum of 8 bits, modulo 15 (baremetal-runtimecfg pkg/utils/utils.go, FletcherChecksum8). */
export function fletcher8(text: string): number {
  let a = 0;
  let b = 0;
  for (const byte of utf8ToBytes(text)) {
    a = ((a + byte) & 255) % 15;
    b = (b + a) % 15;
  }
  return (b << 4) | a;
}

/**
 * Virtual router ids of a cluster's two instances (pkg/config/node.go, PopulateVRIDs): the checksum of its name and purpose plus one,
 * as 0 is no id. Two clusters in one network may get the same id by chance.
 */
export function routerIds(cluster: string): { api: number; ingress: number } {
  const api = fletcher8(`${cluster}-api`) + 1;
  const ingress = fletcher8(`${cluster}-ingress`) + 1;
  return { api, ingress: ingress === api ? ingress + 1 : ingress };
}

/** Checks a description. Throws IntentError when it names no cluster or node, or something in it is no address. */
export function checkDescription(description: VipDescription): void {
  if (description.cluster === "") throw new IntentError("The cluster of a virtual address has no name");
  if (description.nodes.length === 0) throw new IntentError(`Nobody can hold ${description.vip}: there are no nodes`);
  for (const text of [description.vip, ...description.nodes.map((node) => node.address)])
    if (parseIp(text) === null)
      throw new IntentError(`The virtual address of ${description.cluster}: "${text}" is no address`);
}
