/** sshd on loopback in each node's namespaces of a real cluster; ssh reaches it by a configuration like anyone's. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { SSHD, type RealCluster } from "./real-cluster.ts";

/** Gives `work` the words of an ssh command that knows the nodes by their names; the daemons are gone when it is done. */
export async function withSsh<T>(cluster: RealCluster, work: (command: string) => Promise<T>): Promise<T> {
  const at = (name: string): string => join(cluster.home, name);
  for (const key of ["key", "host-key"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", at(key)], { stdio: "ignore" });
  writeFileSync(
    at("sshd_config"),
    `Port 2222\nListenAddress 127.0.0.1\nHostKey ${at("host-key")}\nAuthorizedKeysFile ${at("key.pub")}\nStrictModes no\nUsePAM no\nPidFile none\n`,
  );
  writeFileSync(
    at("ssh_config"),
    `Host n*\n  User root\n  IdentityFile ${at("key")}\n  UserKnownHostsFile /dev/null\n  StrictHostKeyChecking no\n  LogLevel ERROR\n` +
      `  ProxyCommand ${cluster.entrance} %n busybox nc 127.0.0.1 2222\n`,
  );
  const daemons = [];
  for (const node of cluster.nodes) {
    await cluster.on(node, "mkdir", "-p", "/run/sshd");
    daemons.push(cluster.start(node, ["-m", "-n", "-p", "-u"], SSHD, "-D", "-f", at("sshd_config")));
    const listens = async (): Promise<boolean> =>
      (await cluster.tried(node, "sh", "-c", "busybox nc -w 1 127.0.0.1 2222 </dev/null | grep -q SSH")).status === 0;
    await expect.poll(listens, { timeout: 10_000 }).toBe(true);
  }
  try {
    return await work(`ssh -F ${at("ssh_config")}`);
  } finally {
    // nsenter has forked into the node's process namespace: the daemon is its child.
    for (const { pid } of daemons) execFileSync("sh", ["-c", `kill $(pgrep -P ${pid}) ${pid} 2>/dev/null; true`]);
    for (const node of cluster.nodes) await cluster.on(node, "rmdir", "/run/sshd");
  }
}
