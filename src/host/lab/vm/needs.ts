/** What a virtual machine needs of this one, looked for before anything is made. */
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { LabError } from "../parts.ts";
import { findKernel, type Kernel } from "./kernel.ts";

/** Everything that was found. */
export interface VmTools {
  qemu: string;
  busybox: string;
  python: string;
  kernel: Kernel;
}

/** Debian's Python first: others are looked for by scripts that take their time. */
const FOLDERS: readonly string[] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

function find(program: string): string | null {
  const folders = [...FOLDERS, ...(process.env["PATH"] ?? "").split(delimiter).filter((each) => each.startsWith("/"))];
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? null;
}

/**
 * Finds the programs and the kernel. Throws LabError that names all that is missing, with the Debian packages that bring it.
 * `accel`: kvm asks for /dev/kvm as well.
 */
export function vmTools(accel: "tcg" | "kvm"): VmTools {
  if (process.platform !== "linux" || process.arch !== "x64")
    throw new LabError("--vm needs Linux on an x86-64 processor: the machine in it shares this one's programs");
  const qemu = find("qemu-system-x86_64");
  const busybox = find("busybox");
  const python = find("python3");
  const kernel = findKernel();
  const missing: string[] = [];
  const packages: string[] = [];
  const lacks = (what: string, from: string): void => {
    missing.push(what);
    packages.push(from);
  };
  if (qemu === null) lacks("qemu-system-x86_64", "qemu-system-x86");
  if (typeof kernel === "string") lacks(kernel, "linux-image-amd64");
  if (busybox === null) lacks("busybox", "busybox-static");
  if (python === null) lacks("python3", "python3-minimal");
  if (qemu === null || busybox === null || python === null || typeof kernel === "string")
    throw new LabError(`--vm: not here: ${missing.join("; ")}; apt-get install ${packages.join(" ")}`);
  if (accel === "kvm") needKvm();
  return { qemu, busybox, python, kernel };
}

function needKvm(): void {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch {
    throw new LabError("--accel kvm needs /dev/kvm; without it the machine is emulated, by --accel tcg");
  }
}
