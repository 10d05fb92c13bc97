/** What an API server refused, in words that say what would help. */

export class KubeError extends Error {
  override readonly name = "KubeError";

  constructor(
    message: string,
    /** The HTTP status; null when there was no answer. */
    readonly status: number | null,
  ) {
    super(message);
  }
}

/** The verb of RBAC for a request (apiserver pkg/endpoints/request, RequestInfoFactory.NewRequestInfo). */
function verbOf(method: string, named: boolean): string {
  switch (method) {
    case "POST":
      return "create";
    case "DELETE":
      return named ? "delete" : "deletecollection";
    case "PATCH":
      return "patch";
    case "PUT":
      return "update";
    default:
      return named ? "get" : "list";
  }
}

/** What RBAC calls the thing at this path; null for paths of no resource. */
export function permissionOf(method: string, path: string): { verb: string; resource: string; group: string } | null {
  const parts = path
    .split("?", 1)[0]!
    .split("/")
    .filter((part) => part !== "");
  const group = parts[0] === "apis" ? (parts[1] ?? "") : "";
  const rest = parts.slice(parts[0] === "apis" ? 3 : 2);
  if (rest[0] === "namespaces" && rest.length > 2) rest.splice(0, 2);
  const [resource, name, sub] = rest;
  if (resource === undefined) return null;
  // A web socket begins with a GET; servers from 1.35 on ask for create as well.
  if (sub !== undefined)
    return { verb: sub === "exec" ? "get and create" : verbOf(method, true), resource: `${resource}/${sub}`, group };
  return { verb: verbOf(method, name !== undefined), resource, group };
}

function messageOf(text: string): string {
  try {
    const status = JSON.parse(text) as { message?: unknown };
    if (typeof status.message === "string") return status.message;
  } catch {
    // Proxies answer in HTML and the like.
  }
  return text.trim().split("\n")[0]?.slice(0, 200) ?? "";
}

/** The error for an answer with a status from 400 on. */
export function refusal(method: string, path: string, status: number, text: string): KubeError {
  const said = messageOf(text);
  if (status === 401)
    return new KubeError(
      `the API server does not know who asks (401 Unauthorized): the credentials of the kubeconfig are wrong or have expired`,
      401,
    );
  const permission = permissionOf(method, path);
  if (status === 403 && permission !== null) {
    const { verb, resource, group } = permission;
    const of = group === "" ? "" : ` (API group ${group})`;
    return new KubeError(
      `not allowed to ${verb} ${resource}${of}; the role in deploy/ allows what collecting needs. The API server said: ${said}`,
      403,
    );
  }
  return new KubeError(`${method} ${path.split("?", 1)[0]}: ${status} ${said}`, status);
}
