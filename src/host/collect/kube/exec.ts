/** Runs the script in a container, and streams what it prints. */
import { Exec, type V1Status } from "@kubernetes/client-node";
import { PassThrough, Writable } from "node:stream";
import { nodeScript, type Extent } from "../node-script.ts";
import { NodeError } from "../source.ts";
import type { Kube } from "./connection.ts";
import { refusal } from "./kube-error.ts";

/**
 * What the container runs: the script, by the node's own shell when it has one with what the script needs, else by the image's, which
 * reaches the node's tools one by one. The script itself comes on standard input, as proxies refuse long addresses.
 */
const BEGIN = [
  'for n in nsenter "busybox nsenter"; do',
  "if $n -m/proc/1/ns/mnt /bin/sh -c 'command -v awk && command -v tr' >/dev/null 2>&1 </dev/null; then exec $n -m/proc/1/ns/mnt /bin/sh -s; fi;",
  "done; exec sh -s",
].join(" ");

/** So much may wait to be read before the sender has to, in bytes. */
const MOST_WAITING = 4 << 20;

const MOST_COMPLAINTS = 2000;

/** The status of the command in the container; null when the connection ended without one. */
function exitOf(status: V1Status | null): { code: number; message: string } | null {
  if (status === null) return null;
  if (status.status === "Success") return { code: 0, message: "" };
  const cause = status.details?.causes?.find((each) => each.reason === "ExitCode");
  return { code: Number(cause?.message ?? 1), message: status.message ?? "" };
}

function connectionError(error: unknown, path: string): Error {
  const message =
    typeof error === "object" && error !== null && "message" in error ? String(error.message) : String(error);
  const refused = /Unexpected server response: (\d+)/.exec(message);
  return refused === null ? new NodeError(message) : refusal("POST", path, Number(refused[1]), message);
}

/**
 * Yields what the script prints in the container. Throws KubeError when the API server refuses, NodeError when the script fails or the
 * connection breaks; ends at once when `signal` fires.
 */
export async function* execScript(
  kube: Kube,
  pod: { namespace: string; name: string; container: string },
  signal: AbortSignal,
  extent: Extent | null = null,
): AsyncGenerator<Buffer, void, undefined> {
  const output = new PassThrough({ highWaterMark: MOST_WAITING });
  // Never ended: the script ends by itself, and not every protocol could tell it.
  const input = new PassThrough();
  let complaints = "";
  const errors = new Writable({
    write(chunk: Buffer, _encoding, done) {
      complaints = (complaints + chunk.toString("utf8")).slice(-MOST_COMPLAINTS);
      done();
    },
  });
  let status: V1Status | null = null;
  const exec = new Exec(kube.config);
  const path = `/api/v1/namespaces/${pod.namespace}/pods/${pod.name}/exec`;
  let socket;
  try {
    socket = await exec.exec(
      pod.namespace,
      pod.name,
      pod.container,
      ["sh", "-c", BEGIN],
      output,
      errors,
      input,
      false,
      (said) => {
        status = said;
      },
    );
  } catch (error) {
    throw connectionError(error, path);
  }
  const close = (): void => {
    socket.close();
    output.destroy();
  };
  socket.on("close", () => output.end());
  socket.on("error", () => output.end());
  socket.on("message", () => {
    if (output.writableNeedDrain) socket.pause();
  });
  output.on("drain", () => socket.resume());
  signal.addEventListener("abort", close, { once: true });
  input.write(nodeScript(extent));
  try {
    signal.throwIfAborted();
    for await (const chunk of output as AsyncIterable<Buffer>) yield chunk;
    signal.throwIfAborted();
    const exit = exitOf(status);
    if (exit === null) throw new NodeError("the connection to its pod ended too early");
    if (exit.code !== 0) throw new NodeError(complaints.trim() || exit.message);
  } finally {
    signal.removeEventListener("abort", close);
    socket.close();
  }
}
