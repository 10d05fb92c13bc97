/** The kernel as QEMU starts it at once: unpacked here, which an emulated processor would need many seconds for. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Kernel } from "./kernel.ts";

/** Offsets in the head of an image (Linux Documentation/arch/x86/boot.rst). */
const SETUP_SECTORS = 0x1f1;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

/** What the payload begins with, and who unpacks it. */
const PACKERS: readonly { magic: readonly number[]; unpack: (payload: Uint8Array) => Uint8Array }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58], unpack: by("xz", "-dc", "--single-stream") },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], unpack: by("zstd", "-dc") },
  { magic: [0x1f, 0x8b], unpack: gunzipSync },
];

function by(program: string, ...args: string[]): (payload: Uint8Array) => Uint8Array {
  return (input) => execFileSync(program, args, { input, maxBuffer: 1 << 29, stdio: ["pipe", "pipe", "ignore"] });
}

/** Whether the kernel can be started without its own first stage (CONFIG_PVH). */
function startsUnpacked({ image, release }: Kernel): boolean {
  const config = join(dirname(image), `config-${release}`);
  return existsSync(config) && /^CONFIG_PVH=y$/m.test(readFileSync(config, "utf8"));
}

/** The kernel unpacked where that works, else the image as it is. */
export function kernelImage(kernel: Kernel): Uint8Array {
  const image = readFileSync(kernel.image);
  if (!startsUnpacked(kernel)) return image;
  const at = ((image[SETUP_SECTORS] ?? 0) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  // Behind the packed kernel stands its unpacked length.
  const payload = image.subarray(at, at + image.readUInt32LE(PAYLOAD_LENGTH) - 4);
  const packer = PACKERS.find(({ magic }) => magic.every((byte, i) => payload[i] === byte));
  try {
    return packer?.unpack(payload) ?? image;
  } catch {
    // The program is absent: the machine does it, and takes longer.
    return image;
  }
}
