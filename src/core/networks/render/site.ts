/** A site that exists on paper: machines for the Node objects, with the configuration that other objects bring. */
import type { Site } from "../site.ts";
import { clusterOf } from "./cluster-of.ts";
import { fillIn } from "./fill-in.ts";
import { machineOf, readMachine, usualMachine, type Described, type Started } from "./machines.ts";
import type { WrittenObject } from "./objects.ts";
import { ownObjects } from "./own-kinds.ts";
import { programFiles } from "./program-files.ts";

/** A site, and what is told of its machines besides. */
export interface PaperSite {
  site: Site;
  /** In the order of the site's machines. */
  described: readonly Described[];
  /** The objects, with what the control plane would have written. */
  objects: readonly WrittenObject[];
}

/**
 * The site of these objects. `started`: programs and files that every node has besides. Throws ParseError for an object that is not what
 * its kind says, IntentError when there is no Node.
 */
export function siteFromObjects(written: readonly WrittenObject[], started: Started): PaperSite {
  const machines = ownObjects(written, "Machine").map(readMachine);
  const objects = fillIn(written);
  const cluster = clusterOf(objects);
  const files = programFiles(objects);
  const named = new Map(machines.map((each) => [each.name, each]));
  const nodes = new Map(cluster.nodes.map((node) => [node.name, node]));
  const described = [
    ...cluster.nodes.map((node) => {
      const given = named.get(node.name);
      const usual = usualMachine(node);
      if (given === undefined) return usual;
      // A Machine that tells of flags or files alone has the usual devices.
      return given.devices.length > 0 ? given : { ...given, devices: usual.devices, routes: usual.routes };
    }),
    ...machines.filter((each) => !nodes.has(each.name)),
  ];
  return {
    described,
    objects,
    site: {
      cluster,
      machines: described.map((each) => machineOf(each, nodes.get(each.name) ?? null, cluster, files, started)),
    },
  };
}
