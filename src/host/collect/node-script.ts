/** The script that runs on a node. */
import archiver from "./node/archive.awk";
import shell from "./node/collect.sh";

/** Stands in the shell part where the archiver goes. */
const PLACE = "@AWK@\n";

/** The POSIX shell script that prints a node's archive to standard output; for `sh -s` or a file of its own. */
export function nodeScript(): string {
  const at = shell.indexOf(PLACE);
  return shell.slice(0, at) + archiver + shell.slice(at + PLACE.length);
}
