/** A lab's agent in a virtual machine: the machine is booted for it, and it is asked through the channel. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentClient, type WarmAgent } from "../agent-client.ts";
import { LabError } from "../parts.ts";
import { labFolder, type ProcessId } from "../state.ts";
import type { Saying } from "../up.ts";
import { startVm } from "./holder.ts";
import { kernelImage } from "./image.ts";
import { initramfs } from "./initramfs.ts";
import { vmTools } from "./needs.ts";
import { insideEnvironment } from "./environment.ts";
import { qemuCommand, type VmSize } from "./qemu.ts";
import { askMachine } from "./session.ts";
import { connectInVm } from "./stream.ts";

/** The agent's socket in the machine (agent/vm/guest.py). */
const socketOf = (lab: string): string => `/run/kubewalk/lab/${lab}/agent.sock`;

/** Modules that the kernel would load by itself too late: their settings are there only with them. */
const EARLY: readonly string[] = ["br_netfilter", "nf_conntrack"];

/** Connects to the agent of a lab in its machine. Rejects with LabError when it does not answer. */
export async function connectVmAgent(lab: string): Promise<AgentClient> {
  return new AgentClient(await connectInVm(lab, socketOf(lab)), lab);
}

/**
 * An agent whose lab is in a machine of its own, which is booted when it begins. Throws LabError that names what this machine lacks for that.
 */
export function vmAgent(size: VmSize, say: Saying): WarmAgent {
  const tools = vmTools(size.accel);
  return {
    isVm: true,
    dismiss: () => undefined,
    async begin(lab, known) {
      const folder = labFolder(lab);
      const firsts = { kernel: kernelImage(tools.kernel), initramfs: initramfs(tools) };
      for (const [file, bytes] of Object.entries(firsts)) writeFileSync(join(folder, file), bytes);
      say(`Linux ${tools.kernel.release} boots`);
      let holder: ProcessId | null = null;
      let qemu: ProcessId | null = null;
      const vm = await startVm(tools, folder, qemuCommand(tools, folder, size), (itsHolder, itsQemu) => {
        [holder, qemu] = [itsHolder, itsQemu];
        known(itsHolder, { qemu, inner: null });
      });
      // The machine has them in its memory.
      for (const file of Object.keys(firsts)) rmSync(join(folder, file));
      await askMachine(lab, { argv: ["modprobe", "-a", ...EARLY], env: insideEnvironment() });
      const started = await askMachine(lab, { lab });
      if (started.status !== 0) throw new LabError(`the lab's process cannot start: ${started.err.trim()}`);
      if (holder !== null) known(holder, { qemu, inner: (JSON.parse(started.out) as { pid: number }).pid });
      const client = await connectVmAgent(lab);
      return {
        client,
        async commit() {
          await client.ask({ op: "commit" });
          await vm.commit();
        },
      };
    },
  };
}
