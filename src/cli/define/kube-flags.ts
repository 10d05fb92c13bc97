/** The flags of kubectl by which a cluster is found. */
import { type Command, Option } from "commander";
import type { KubeFlags } from "../../host/collect/kube/connection.ts";
import { UsageError } from "../exit.ts";

/** What commander makes of them. */
export interface KubeOptions {
  kubeconfig?: string;
  context?: string;
  cluster?: string;
  user?: string;
  namespace?: string;
  server?: string;
  token?: string;
  as?: string;
  asGroup?: string[];
  asUid?: string;
  requestTimeout?: string;
  tlsServerName?: string;
  insecureSkipTlsVerify?: boolean;
  certificateAuthority?: string;
  clientCertificate?: string;
  clientKey?: string;
}

const many = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value];

/** Adds the flags, in a group of their own in the help. */
export function addKubeFlags(command: Command): Command {
  const flags: Option[] = [
    new Option("--kubeconfig <file>", "kubeconfig (default: as kubectl)"),
    new Option("--context <name>", "context of the kubeconfig"),
    new Option("--cluster <name>", "cluster of the kubeconfig"),
    new Option("--user <name>", "user of the kubeconfig"),
    new Option("-n, --namespace <name>", "namespace"),
    new Option("-s, --server <url>", "address of the API server"),
    new Option("--token <token>", "bearer token"),
    new Option("--as <user>", "act as this user"),
    new Option("--as-group <group>", "act as a member of this group; may be given several times").argParser(many),
    new Option("--as-uid <uid>", "act as the user with this uid"),
    new Option("--request-timeout <duration>", "how long a request may take: 10s, 1m; 0 is no limit"),
    new Option("--tls-server-name <name>", "name to expect in the server's certificate"),
    new Option("--insecure-skip-tls-verify", "do not check the server's certificate"),
    new Option("--certificate-authority <file>", "certificates to check the server's by"),
    new Option("--client-certificate <file>", "certificate to show to the server"),
    new Option("--client-key <file>", "key of that certificate"),
  ];
  for (const flag of flags) command.addOption(flag.helpGroup("As for kubectl:"));
  return command;
}

/** Milliseconds of a Go duration in whole or broken units, or of plain seconds. Throws UsageError. */
export function milliseconds(text: string, flag: string): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Math.round(Number(text) * 1000);
  const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text)
    throw new UsageError(`${flag} must be a duration such as 30s or 2m, not "${text}"`);
  return Math.round(parts.reduce((sum, part) => sum + Number(part[1]) * units[part[2]!]!, 0));
}

/** What `connect` takes. Throws UsageError for a duration that is none. */
export function kubeFlags(options: KubeOptions): KubeFlags {
  const { requestTimeout, ...rest } = options;
  const flags: KubeFlags = { ...rest };
  if (requestTimeout !== undefined) flags.requestTimeout = milliseconds(requestTimeout, "--request-timeout");
  return flags;
}
