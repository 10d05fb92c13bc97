/** HAProxy as an ingress controller: what Ingresses ask for, as its configuration. */
import type { WrittenObject } from "../../../core/networks/render/objects.ts";
import { LabError } from "../parts.ts";

interface Path {
  path?: string;
  pathType?: string;
  backend?: { service?: { name?: string; port?: { number?: number; name?: string } } };
}

interface IngressSpec {
  rules?: { host?: string; http?: { paths?: Path[] } }[];
}

interface Route {
  host: string | null;
  path: string;
  exact: boolean;
  /** `NAMESPACE_NAME_PORT`. */
  backend: string;
  server: string;
}

/** Where a Service is reached: its own address, as a proxy without the list of endpoints has it. */
function serverOf(objects: readonly WrittenObject[], namespace: string, name: string, port: number | string): string {
  const service = objects.find((each) => each.kind === "Service" && each.name === name && each.namespace === namespace)
    ?.value["spec"] as { clusterIP?: string; ports?: { name?: string; port: number }[] } | undefined;
  const number = service?.ports?.find((each) => each.port === port || each.name === port)?.port;
  if (service?.clusterIP === undefined || number === undefined)
    throw new LabError(
      `haproxy: an Ingress names the port ${port} of Service ${namespace}/${name}, which is not there`,
    );
  return `${service.clusterIP.includes(":") ? `[${service.clusterIP}]` : service.clusterIP}:${number}`;
}

function routesOf(objects: readonly WrittenObject[]): Route[] {
  return (
    objects
      .filter(({ kind }) => kind === "Ingress")
      .flatMap(({ namespace, value }) =>
        ((value["spec"] as IngressSpec | undefined)?.rules ?? []).flatMap(({ host, http }) =>
          (http?.paths ?? []).map(({ path = "/", pathType, backend }): Route => {
            const name = backend?.service?.name ?? "";
            const port = backend?.service?.port?.number ?? backend?.service?.port?.name ?? "";
            return {
              host: host ?? null,
              path,
              exact: pathType === "Exact",
              backend: `${namespace}_${name}_${port}`,
              server: serverOf(objects, namespace, name, port),
            };
          }),
        ),
      )
      // The longest path that fits is meant (networking.k8s.io/v1, HTTPIngressPath).
      .toSorted((a, b) => b.path.length - a.path.length)
  );
}

/** The configuration for `port`; null when there is no Ingress. Throws LabError for a Service that is not there. */
export function ingressConf(objects: readonly WrittenObject[], port: number): string | null {
  const routes = routesOf(objects);
  if (routes.length === 0) return null;
  const backends = new Map(routes.map(({ backend, server }) => [backend, server]));
  const rules = routes.map(({ host, path, exact, backend }) => {
    const name = host === null ? "" : ` { hdr(host) -i ${host} }`;
    return `  use_backend ${backend} if${name} { path${exact ? "" : "_beg"} ${path} }`;
  });
  return [
    "defaults",
    "  mode http",
    "  timeout connect 5s",
    "  timeout client 30s",
    "  timeout server 30s",
    "frontend ingress",
    `  bind :::${port} v4v6`,
    ...rules,
    ...[...backends].flatMap(([name, server]) => [`backend ${name}`, `  server service ${server}`]),
    "",
  ].join("\n");
}
