/** The first root of a virtual machine: busybox, the modules that reach the host's files, and the lab's agent. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { LabError } from "../parts.ts";
import { shippedFile } from "../shipped.ts";
import { cpio, cpioFile, withFolders, type CpioEntry } from "./cpio.ts";
import { BOOT_MODULES, moduleClosure, type Kernel } from "./kernel.ts";
import type { VmTools } from "./needs.ts";

/** The file as the kernel takes it: not compressed. */
function readModule({ modules }: Kernel, path: string): Uint8Array {
  const file = join(modules, path);
  if (path.endsWith(".gz")) return gunzipSync(readFileSync(file));
  const program = path.endsWith(".xz") ? "xz" : path.endsWith(".zst") ? "zstd" : null;
  if (program === null) return readFileSync(file);
  try {
    return execFileSync(program, ["-dc", file], { maxBuffer: 1 << 28 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw new LabError(`--vm: the kernel's modules are packed with ${program}, which is not here`);
    throw error;
  }
}

/** Busybox must need no libraries: nothing else is there. */
function readBusybox(path: string): Uint8Array {
  const bytes = readFileSync(path);
  // What a program that needs libraries names first is in its first page (elf(5), PT_INTERP).
  if (bytes.subarray(0, 4096).includes("/ld-linux"))
    throw new LabError(`--vm: ${path} needs libraries; apt-get install busybox-static`);
  return bytes;
}

/** The Python files of a folder. */
function programs(folder: string, as: string): CpioEntry[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(".py"));
  return names.toSorted().map((name) => cpioFile(`${as}/${name}`, readFileSync(join(folder, name))));
}

/** The archive. Throws LabError. */
export function initramfs({ busybox, kernel }: VmTools): Uint8Array {
  const { paths } = moduleClosure(kernel, BOOT_MODULES);
  const modules = paths.map((path, i) => cpioFile(`modules/${i}.ko`, readModule(kernel, path)));
  const order = paths.map((_, i) => `${i}.ko\n`).join("");
  return cpio(
    withFolders([
      cpioFile("init", readFileSync(shippedFile("agent/vm/init.sh")), 0o755),
      cpioFile("bin/busybox", readBusybox(busybox), 0o755),
      ...modules,
      cpioFile("modules/order", order),
      ...programs(dirname(shippedFile("agent/vm/guest.py")), "guest"),
      ...programs(dirname(shippedFile("agent/agent.py")), "agent"),
    ]),
  );
}
