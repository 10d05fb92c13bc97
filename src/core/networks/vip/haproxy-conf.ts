/** haproxy.cfg of a control-plane node, as OpenShift's template makes it (on-prem/files/haproxy-haproxy.yaml). */
import { checkDescription, type VipDescription } from "./description.ts";

/**
 * The file; the same on every node. Each API server is asked for /readyz over TLS every 3 s, is in after 3 answers and out after 3
 * failures. Throws IntentError when the description makes no sense.
 */
export function haproxyConf(description: VipDescription): string {
  checkDescription(description);
  const servers = description.nodes.map((node) => {
    const address = node.address.includes(":") ? `[${node.address}]` : node.address;
    return `   server ${node.name} ${address}:${description.apiPort} weight 1 verify none check check-ssl inter 3s fall 3 rise 3\n`;
  });
  return `global
  stats socket /var/lib/haproxy/run/haproxy.sock  mode 600 level admin expose-fd listeners
defaults
  maxconn 20000
  mode    tcp
  log     /var/run/haproxy/haproxy-log.sock local0 notice alert
  log-format "%ci:%cp -> %fi:%fp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
  option  dontlognull
  retries 3
  timeout http-request 30s
  timeout queue        1m
  timeout connect      10s
  timeout client       86400s
  timeout server       86400s
  timeout tunnel       86400s
frontend  main
  bind :::${description.lbPort} v4v6
  default_backend masters
listen health_check_http_url
  bind :::${description.healthPort} v4v6
  mode http
  monitor-uri /haproxy_ready
  option dontlognull
listen stats
  bind localhost:${description.statPort}
  mode http
  stats enable
  stats hide-version
  stats uri /haproxy_stats
  stats refresh 30s
  stats auth Username:Password
backend masters
   option  httpchk GET /readyz HTTP/1.0
   balance roundrobin
${servers.join("")}`;
}
