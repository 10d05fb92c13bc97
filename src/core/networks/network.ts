/** What every network offers. */
import type { Claim } from "./claim.ts";
import type { Machine, Site } from "./site.ts";

/** A system that programs kernels: a CNI plugin, a daemon, kube-proxy, the kernel itself. */
export interface Network {
  /** `owner` of its claims. */
  name: string;
  /** One line for people. */
  about: string;
  /**
   * What it would program on this machine (root namespace and pods' namespaces) for these objects; nothing when it does not run there.
   * Throws IntentError when its configuration makes no sense.
   */
  intend(site: Site, machine: Machine): Claim[];
}

/** A network's configuration or objects that it cannot work with; `message` names the file or object. */
export class IntentError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "IntentError";
  }
}
