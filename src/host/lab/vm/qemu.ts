/** The command line of QEMU: a machine without disks and without a network. */
import type { VmTools } from "./needs.ts";

export interface VmSize {
  /** MiB. */
  memory: number;
  cpus: number;
  accel: "tcg" | "kvm";
}

/** What QEMU calls the end of the channel that is a descriptor; the holder puts in the number. */
const CHANNEL = "fd=CHANNEL_FD";

/** Words without spaces in them. */
const words = (text: string): string[] => text.split(" ");

/** QEMU's own words quote a comma by another. */
const quoted = (path: string): string => path.replaceAll(",", ",,");

/** x86-64-v2, as today's distributions are built for; what a larger processor has costs an emulator more than it brings. */
const EMULATED = "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt";

/**
 * QEMU with its arguments. `folder` is the lab's: it has `kernel` and `initramfs`, gets `console.log`. The files of the host
 * are the machine's to read.
 */
export function qemuCommand({ qemu, python }: VmTools, folder: string, size: VmSize): string[] {
  const cmdline = [
    "console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off nokaslr no_timer_check random.trust_cpu=on",
    `kubewalk.python=${python}`,
  ].join(" ");
  return [
    qemu,
    // Nothing but what is named here: no network, no display, no user's configuration.
    ...words("-nodefaults -no-user-config -display none -no-reboot -nic none -machine pc,usb=off"),
    ...words(size.accel === "tcg" ? `-accel tcg,thread=multi -cpu ${EMULATED}` : "-accel kvm -cpu host"),
    ...words(`-smp ${size.cpus} -m ${size.memory}`),
    "-kernel",
    `${folder}/kernel`,
    "-initrd",
    `${folder}/initramfs`,
    "-append",
    cmdline,
    "-chardev",
    `file,id=console,path=${quoted(folder)}/console.log`,
    ...words("-serial chardev:console"),
    ...words("-fsdev local,id=root,path=/,security_model=none,multidevs=remap,readonly=on"),
    ...words("-device virtio-9p-pci,fsdev=root,mount_tag=root"),
    ...words(`-device virtio-serial-pci -chardev socket,id=channel,${CHANNEL}`),
    ...words("-device virtserialport,chardev=channel,name=kubewalk -device virtio-rng-pci"),
  ];
}
