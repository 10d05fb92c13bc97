/** Bundles the command into `outdir`/kubewalk.mjs. Rejects when something cannot be resolved or parsed. */
export function bundleCommand(outdir: string): Promise<void>;
