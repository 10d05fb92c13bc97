/** A refusal names the verb and the resource that are missing. */
import { expect, test } from "vitest";
import { permissionOf, refusal } from "./kube-error.ts";

test.each([
  ["GET", "/api/v1/pods?limit=500", "list pods "],
  ["GET", "/api/v1/namespaces/kube-system/pods/x", "get pods "],
  ["POST", "/api/v1/namespaces/kube-system/pods", "create pods "],
  ["DELETE", "/api/v1/namespaces/kube-system/pods/x", "delete pods "],
  ["POST", "/api/v1/namespaces/kube-system/pods/x/exec", "get and create pods/exec "],
  ["GET", "/apis/networking.k8s.io/v1/networkpolicies", "list networkpolicies networking.k8s.io"],
  ["GET", "/api/v1/namespaces", "list namespaces "],
  ["GET", "/apis/crd.projectcalico.org/v1/namespaces/a/networkpolicies/b", "get networkpolicies crd.projectcalico.org"],
])("%s %s", (method, path, expected) => {
  const { verb, resource, group } = permissionOf(method, path)!;
  expect(`${verb} ${resource} ${group}`).toBe(expected);
});

test("403, 401 and what is no JSON", () => {
  const forbidden = refusal("GET", "/apis/apps/v1/daemonsets", 403, '{"message":"daemonsets.apps is forbidden"}');
  expect(forbidden.message).toMatch(
    /^not allowed to list daemonsets \(API group apps\).*daemonsets\.apps is forbidden$/,
  );
  expect(refusal("GET", "/api", 401, "").message).toContain("credentials");
  expect(refusal("GET", "/api/v1/x", 502, "<html>\nBad Gateway").message).toBe("GET /api/v1/x: 502 <html>");
});
