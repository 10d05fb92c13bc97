/** A connection to an API server, by the flags that kubectl has. */
import { KubeConfig } from "@kubernetes/client-node";
import { existsSync } from "node:fs";
import type { IncomingMessage, RequestOptions } from "node:http";
import http from "node:http";
import https from "node:https";
import { delimiter } from "node:path";
import { KubeError, refusal } from "./kube-error.ts";

/** As kubectl's own flags; undefined where it was not given. */
export interface KubeFlags {
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
  /** Milliseconds for a request; 0 is no limit. */
  requestTimeout?: number;
  tlsServerName?: string;
  insecureSkipTlsVerify?: boolean;
  certificateAuthority?: string;
  clientCertificate?: string;
  clientKey?: string;
}

/** kubectl's configuration with impersonation, for requests and web sockets alike. */
class Config extends KubeConfig {
  impersonation: Record<string, string | string[]> = {};

  override async applyToHTTPSOptions(options: https.RequestOptions): Promise<void> {
    await super.applyToHTTPSOptions(options);
    options.headers = { ...(options.headers as Record<string, string>), ...this.impersonation };
  }
}

function impersonation(flags: KubeFlags): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  if (flags.as !== undefined) headers["Impersonate-User"] = flags.as;
  if (flags.asUid !== undefined) headers["Impersonate-Uid"] = flags.asUid;
  if (flags.asGroup !== undefined && flags.asGroup.length > 0) headers["Impersonate-Group"] = flags.asGroup;
  return headers;
}

function named<T extends { name: string }>(list: readonly T[], name: string, what: string): T {
  const found = list.find((each) => each.name === name);
  if (found === undefined) {
    const known = list.map((each) => each.name).join(", ") || "none";
    throw new KubeError(`the kubeconfig has no ${what} "${name}"; it has ${known}`, null);
  }
  return found;
}

function absentFrom<T extends { name: string }>(list: readonly T[], others: readonly T[]): T[] {
  return others.filter((other) => list.every((each) => each.name !== other.name));
}

/**
 * The files of KUBECONFIG as kubectl merges them: the first that names something decides it, and files that are not there do not count.
 * Without the variable, what is usual.
 */
function loadDefault(config: KubeConfig): void {
  const listed = (process.env["KUBECONFIG"] ?? "").split(delimiter).filter((file) => file !== "");
  if (listed.length === 0) return config.loadFromDefault();
  for (const file of listed.filter((each) => existsSync(each))) {
    const other = new KubeConfig();
    other.loadFromFile(file);
    config.clusters = [...config.clusters, ...absentFrom(config.clusters, other.clusters)];
    config.users = [...config.users, ...absentFrom(config.users, other.users)];
    config.contexts = [...config.contexts, ...absentFrom(config.contexts, other.contexts)];
    config.currentContext ||= other.currentContext;
  }
}

/** Loads the configuration and applies the flags to what it says is current, as kubectl does. Throws KubeError. */
function configure(flags: KubeFlags): { config: Config; namespace: string } {
  const config = new Config();
  try {
    if (flags.kubeconfig !== undefined) config.loadFromFile(flags.kubeconfig);
    else loadDefault(config);
  } catch (error) {
    throw new KubeError(
      `the kubeconfig cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      null,
    );
  }
  if (flags.context !== undefined) named(config.contexts, flags.context, "context");
  const context = config.contexts.find((each) => each.name === (flags.context ?? config.currentContext));
  const clusterName = flags.cluster ?? context?.cluster;
  const userName = flags.user ?? context?.user;
  const oldCluster = clusterName === undefined ? undefined : named(config.clusters, clusterName, "cluster");
  const oldUser = userName === undefined ? undefined : named(config.users, userName, "user");
  const server = flags.server ?? oldCluster?.server;
  if (server === undefined)
    throw new KubeError(
      "no cluster: the kubeconfig has no current context; give --context, --kubeconfig or --server",
      null,
    );
  const cluster = {
    ...oldCluster,
    name: "kubewalk",
    server: server.replace(/\/+$/, ""),
    skipTLSVerify: flags.insecureSkipTlsVerify ?? oldCluster?.skipTLSVerify ?? false,
    ...(flags.certificateAuthority === undefined ? {} : { caFile: flags.certificateAuthority, caData: undefined }),
    ...(flags.tlsServerName === undefined ? {} : { tlsServerName: flags.tlsServerName }),
  };
  const user = {
    ...oldUser,
    name: "kubewalk",
    ...(flags.token === undefined ? {} : { token: flags.token, authProvider: undefined, exec: undefined }),
    ...(flags.clientCertificate === undefined ? {} : { certFile: flags.clientCertificate, certData: undefined }),
    ...(flags.clientKey === undefined ? {} : { keyFile: flags.clientKey, keyData: undefined }),
  };
  config.clusters = [cluster];
  config.users = [user];
  config.contexts = [{ name: "kubewalk", cluster: "kubewalk", user: "kubewalk" }];
  config.currentContext = "kubewalk";
  config.impersonation = impersonation(flags);
  return { config, namespace: flags.namespace ?? context?.namespace ?? "default" };
}

/** Milliseconds for a request when --request-timeout does not say. */
const PATIENCE = 30_000;

export interface Kube {
  readonly config: KubeConfig;
  readonly server: string;
  /** The namespace that names without one are in. */
  readonly namespace: string;
  /** Whether the namespace was asked for by a flag, and is not just the context's. */
  readonly namespaceGiven: boolean;
  /** The parsed answer. Rejects with KubeError for any status from 400 on, and when there is no answer. */
  request(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Record<string, unknown>>;
}

function textOf(response: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("end", () => resolve(Buffer.concat(chunks).toString("utf8")));
    response.on("error", reject);
    response.on("aborted", () => reject(new Error("the connection was closed")));
  });
}

function answerOf(
  options: RequestOptions,
  url: URL,
  body: Buffer | undefined,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === "http:" ? http.request : https.request;
    const request = send(url, options, (response) => {
      textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    });
    request.on("timeout", () => request.destroy(new Error("no answer in time")));
    request.on("error", reject);
    request.end(body);
  });
}

/** Connects; nothing is asked as yet. Throws KubeError when the configuration makes no sense. */
export function connect(flags: KubeFlags): Kube {
  const { config, namespace } = configure(flags);
  const { server } = config.getCurrentCluster()!;
  const timeout = flags.requestTimeout ?? PATIENCE;
  // Credentials are made once: a plugin that gives them may take a second.
  let credentials: Promise<https.RequestOptions> | null = null;
  const prepare = async (): Promise<https.RequestOptions> => {
    const options: https.RequestOptions = {};
    await config.applyToHTTPSOptions(options);
    // Requests follow one another closely: each its own connection would cost more than most of them.
    if (options.agent instanceof https.Agent && options.agent.constructor === https.Agent)
      options.agent = new https.Agent({ ...options.agent.options, keepAlive: true });
    return options;
  };
  return {
    config,
    server,
    namespace,
    namespaceGiven: flags.namespace !== undefined,
    async request(method, path, body, signal) {
      let answer;
      try {
        credentials ??= prepare();
        const common = await credentials;
        const headers = { ...(common.headers as Record<string, string>), Accept: "application/json" };
        const text = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
        // Node.js gives no length with the body of a DELETE, which a server then takes for the next request.
        const described = { "Content-Type": "application/json", "Content-Length": text?.length ?? 0 };
        const options: https.RequestOptions = {
          ...common,
          method,
          headers: text === undefined ? headers : { ...headers, ...described },
          ...(timeout > 0 ? { timeout } : {}),
          ...(signal === undefined ? {} : { signal }),
        };
        answer = await answerOf(options, new URL(server + path), text);
      } catch (error) {
        if (signal?.aborted === true) throw error;
        throw new KubeError(`${server}: ${error instanceof Error ? error.message : String(error)}`, null);
      }
      if (answer.status >= 400) throw refusal(method, path, answer.status, answer.text);
      try {
        return JSON.parse(answer.text) as Record<string, unknown>;
      } catch {
        throw new KubeError(`${server}${path}: the answer is no JSON`, answer.status);
      }
    },
  };
}
