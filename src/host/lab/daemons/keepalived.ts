/** keepalived on the nodes of a VirtualIP: by VRRP one of them holds the address. */
import { LabError, type Lab, type LabDaemon } from "../parts.ts";
import { addressesOf } from "./addresses.ts";
import { until } from "./wait.ts";

const PATH = "/etc/keepalived/keepalived.conf";
/** Checks have to succeed three times, two seconds apart, before they count. */
const PATIENCE = 30;

/** What OpenShift's checks ask, by the sockets of the node: the load balancer listens; it or the API server does. */
const SCRIPTS: Readonly<Record<string, string>> = {
  "chk_ocp_script.sh": "ss -Hltn 'sport = :LB' | grep -q .",
  "chk_ocp_script_both.sh": "ss -Hltn 'sport = :LB or sport = :API' | grep -q .",
  "chk_default_ingress.sh": "ss -Hltn 'sport = :80' | grep -q .",
};

/** Ports of the load balancer and of the API, as HAProxy's configuration of the same machine has them. */
function ports(lab: Lab, machine: string): { lb: string; api: string } {
  const text =
    lab.intended.files.find(({ at, path }) => at === machine && path === "/etc/haproxy/haproxy.cfg")?.text ?? "";
  const lb = /^frontend\s+main\s*\n\s*bind\s+\S*:(\d+)/m.exec(text)?.[1];
  const api = /^\s*server\s+\S+\s+\S+:(\d+)\s/m.exec(text)?.[1];
  return { lb: lb ?? "9445", api: api ?? "6443" };
}

/** Addresses that a configuration floats. */
export function floatingAddresses(text: string): string[] {
  return [...text.matchAll(/virtual_ipaddress\s*\{([^}]*)\}/g)].flatMap(([, body = ""]) =>
    body
      .split("\n")
      .map((line) => line.trim().split(/[\s/]/, 1)[0] ?? "")
      .filter((each) => each !== ""),
  );
}

/** Starts keepalived on a machine with this configuration; `/etc/keepalived` in it means the machine's own folder. */
export async function startKeepalived(lab: Lab, machine: string, text: string): Promise<void> {
  const folder = lab.folderOf(machine);
  const path = `${folder}${PATH}`;
  const { lb, api } = ports(lab, machine);
  const scripts = Object.entries(SCRIPTS).map(([name, body]) =>
    lab.write(
      `${folder}/etc/keepalived/${name}`,
      `#!/bin/sh\n${body.replaceAll("LB", lb).replaceAll("API", api)}\n`,
      0o755,
    ),
  );
  await Promise.all([...scripts, lab.write(path, text.replaceAll("/etc/keepalived/", `${folder}/etc/keepalived/`))]);
  // The snapshot has it as it was meant, with the usual paths.
  const usual = `${folder}/keepalived.conf`;
  await lab.write(usual, text);
  lab.record(machine, PATH, usual);
  const pid = (which: string): string => `${folder}/keepalived-${which}.pid`;
  await lab.start(`keepalived@${machine}`, {
    at: `${machine}/host`,
    argv: ["keepalived", "-n", "-l", "-D", "--vrrp", "-f", path, "-p", pid("main"), "-r", pid("vrrp")],
  });
}

/** Machines that hold an address now. */
export async function holders(lab: Lab, address: string, machines: readonly string[]): Promise<string[]> {
  const own = await Promise.all(machines.map((machine) => addressesOf(lab, `${machine}/host`)));
  return machines.filter((_, i) => own[i]?.some((each) => each.address === address));
}

export const keepalivedDaemon: LabDaemon = {
  name: "keepalived",
  summary: "keepalived, which moves a VirtualIP between its nodes by VRRP",
  programs: [
    { program: "keepalived", package: "keepalived" },
    { program: "ss", package: "iproute2" },
  ],
  async start(lab, { on }) {
    const files = lab.intended.files.filter(({ at, path }) => path === PATH && (on.length === 0 || on.includes(at)));
    if (files.length === 0)
      throw new LabError("keepalived: the scenario has no VirtualIP (also: [vip]), so there is no address to hold");
    await Promise.all(files.map(({ at, text }) => startKeepalived(lab, at, text)));
    const machines = files.map(({ at }) => at);
    const addresses = [...new Set(files.flatMap(({ text }) => floatingAddresses(text)))];
    const names = machines.map((machine) => `keepalived@${machine}`);
    await until(lab, "keepalived", names, PATIENCE, async () => {
      const logs = await Promise.all(names.map((name) => lab.logOf(name)));
      // While checks come in one by one the address may move.
      const unsure = names.find((_, i) => !/VRRP_Script\(chk_ocp_lb\) succeeded/.test(logs[i] ?? ""));
      if (unsure !== undefined) return `the checks of ${unsure} have not succeeded`;
      for (const address of addresses) {
        const found = await holders(lab, address, machines);
        if (found.length !== 1) return `${address} is held by ${found.length === 0 ? "nobody" : found.join(" and ")}`;
      }
      return null;
    });
  },
};
