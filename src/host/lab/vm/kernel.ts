/** Kernels of this machine that a virtual machine can boot, and the modules that it needs before it has a root. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A kernel in /boot with its modules. */
export interface Kernel {
  /** As uname -r prints it. */
  release: string;
  image: string;
  /** Folder of its modules. */
  modules: string;
}

/** What must be there before the host's files are: the bus, the channel, the file system and the layer above it. */
export const BOOT_MODULES: readonly string[] = [
  "virtio_pci",
  "virtio_console",
  "9pnet_virtio",
  "9p",
  "overlay",
  "virtio_rng",
];

/** Without these it boots and is worse: randomness comes more slowly. */
const OPTIONAL: ReadonlySet<string> = new Set(["virtio_rng"]);

/** A module's name as the kernel knows it: dashes are underscores, no ending. */
const moduleName = (path: string): string =>
  basename(path)
    .replace(/\.ko(?:\.(?:xz|zst|gz))?$/, "")
    .replaceAll("-", "_");

/** The lines of modules.dep (depmod(8)): each module's path with the paths that it needs, all of them, the most basic last. */
function readDependencies(folder: string): Map<string, { path: string; needs: string[] }> {
  const text = readFileSync(join(folder, "modules.dep"), "utf8");
  return new Map(
    text.split("\n").flatMap((line) => {
      const [path, rest = ""] = line.split(":", 2);
      if (path === undefined || path === "") return [];
      const needs = rest.split(" ").filter((each) => each !== "");
      return [[moduleName(path), { path, needs }] as const];
    }),
  );
}

function readBuiltIn(folder: string): Set<string> {
  const path = join(folder, "modules.builtin");
  return new Set(existsSync(path) ? readFileSync(path, "utf8").split("\n").map(moduleName) : []);
}

/**
 * Paths of modules below the kernel's folder, in an order in which they can be loaded; `missing` names those that there are not. What is built
 * into the kernel needs no file.
 */
export function moduleClosure({ modules }: Kernel, wanted: readonly string[]): { paths: string[]; missing: string[] } {
  const known = readDependencies(modules);
  const builtIn = readBuiltIn(modules);
  const paths = new Set<string>();
  const missing: string[] = [];
  for (const name of wanted) {
    const found = known.get(name);
    if (found === undefined) {
      if (!builtIn.has(name) && !OPTIONAL.has(name)) missing.push(name);
    } else for (const path of [...found.needs.toReversed(), found.path]) paths.add(path);
  }
  return { paths: [...paths], missing };
}

/** Kernels with their modules, the newest release first. */
export function kernels(boot = "/boot", lib = "/lib/modules"): Kernel[] {
  const images = existsSync(boot) ? readdirSync(boot) : [];
  return images
    .flatMap((name): Kernel[] => {
      const release = /^vmlinuz-(.+)$/.exec(name)?.[1];
      if (release === undefined) return [];
      const modules = join(lib, release);
      return existsSync(join(modules, "modules.dep")) ? [{ release, image: join(boot, name), modules }] : [];
    })
    .toSorted((a, b) => b.release.localeCompare(a.release, "en", { numeric: true }));
}

/** The newest kernel that can boot in a virtual machine; else why none can, for people. */
export function findKernel(): Kernel | string {
  const reasons: string[] = [];
  for (const kernel of kernels()) {
    const { missing } = moduleClosure(kernel, BOOT_MODULES);
    if (missing.length === 0) return kernel;
    reasons.push(`kernel ${kernel.release} lacks ${missing.join(", ")}`);
  }
  return reasons.length === 0 ? "there is no kernel in /boot with its modules in /lib/modules" : reasons.join("; ");
}
