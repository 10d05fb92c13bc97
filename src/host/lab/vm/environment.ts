/** The environment of programs in a virtual machine. */

/** Folders of programs first that every Debian has: what stands in others may be scripts that look for them again, slowly. */
const FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Of the host and not of the machine. */
const NOT_THERE: ReadonlySet<string> = new Set(["KUBEWALK_RUN", "TMPDIR"]);

/** This process's environment, as far as that means anything there, and `more`. */
export function insideEnvironment(more: Record<string, string> = {}): Record<string, string> {
  const own = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
    value === undefined || NOT_THERE.has(name) ? [] : [[name, value]],
  );
  return { ...Object.fromEntries(own), PATH: `${FOLDERS}:${process.env["PATH"] ?? ""}`, ...more };
}
