/** What `kubewalk render` can show of a network: kernel state, and configuration of its daemons. */
import type { Claim } from "../claim.ts";
import type { Network } from "../network.ts";
import { nodesOf } from "../site.ts";
import type { WrittenObject } from "./objects.ts";
import { siteFromObjects, type Started } from "./site.ts";

/** A file that a daemon reads. */
export interface RenderedFile {
  /** Machine that has it. */
  at: string;
  /** Its usual path. */
  path: string;
  text: string;
}

export interface Rendering {
  claims: Claim[];
  files: RenderedFile[];
}

/** Choices that objects do not make. */
export interface RenderOptions {
  /** kube-proxy: `iptables`, `nftables`, `ipvs`; flannel: `vxlan`, `host-gw`. Null: the objects', else the first of these. */
  mode: string | null;
}

export interface Renderer {
  name: string;
  about: string;
  /** What `--mode` takes; empty when there is nothing to choose. */
  modes: readonly string[];
  /** Throws ParseError and IntentError for objects that make no sense. */
  render(objects: readonly WrittenObject[], options: RenderOptions): Rendering;
}

/** A renderer of what `networks` program on every node; `started` says how they run there when no object tells. */
export function rendererOf(
  name: string,
  about: string,
  networks: readonly Network[],
  started: (options: RenderOptions, objects: readonly WrittenObject[]) => Started,
  modes: readonly string[] = [],
): Renderer {
  return {
    name,
    about,
    modes,
    render(objects, options) {
      const site = siteFromObjects(objects, started(options, objects));
      const claims = nodesOf(site).flatMap((machine) => networks.flatMap((network) => network.intend(site, machine)));
      return { claims: claims.filter((claim) => claim.optional !== true), files: [] };
    },
  };
}
