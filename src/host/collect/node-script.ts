/** The script that runs on a node. */
import archiver from "./node/archive.awk";
import shell from "./node/collect.sh";

/** Stands in the shell part where the archiver goes. */
const PLACE = "@AWK@\n";

/** What of a node is asked for, where not all of it is. */
export interface Extent {
  /** Pods as NAMESPACE/NAME: of pods' namespaces only theirs. What changes meanwhile is not looked for. */
  pods: Iterable<string>;
}

/** A pod's full name as Kubernetes allows it; nothing else may get into a script. */
const POD = /^[a-z\d.-]+\/[a-z\d.-]+$/;

function settings({ pods }: Extent): string {
  const names = [...pods].filter((pod) => POD.test(pod));
  // The list must not be empty: that would be all.
  return `KUBEWALK_ONCE=yes KUBEWALK_PODS='${["/", ...names].join(" ")}'\n`;
}

/**
 * The POSIX shell script that prints a node's archive to standard output, of the whole node or of an extent; for `sh -s` or a file of its
 * own.
 */
export function nodeScript(extent: Extent | null = null): string {
  const at = shell.indexOf(PLACE);
  return (extent === null ? "" : settings(extent)) + shell.slice(0, at) + archiver + shell.slice(at + PLACE.length);
}
