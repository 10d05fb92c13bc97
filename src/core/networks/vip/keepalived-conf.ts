/** keepalived.conf of a node, as OpenShift's template makes it (on-prem/files/keepalived-keepalived.yaml). */
import { checkDescription, routerIds, type VipDescription } from "./description.ts";

/** Priority of the API's instance, and what each check that succeeds adds to it. */
const API_PRIORITY = 40;
const INGRESS_PRIORITY = 20;

interface Script {
  name: string;
  command: string;
  interval: number;
  weight: number;
  rise: number;
  fall: number;
}

/**
 * The load balancer on this node answers; the load balancer or the API server on this node answers. The second weighs little: it keeps
 * the address on some node when every load balancer is down.
 */
const API_SCRIPTS: readonly Script[] = [
  {
    name: "chk_ocp_lb",
    command: "/usr/bin/timeout 1.9 /etc/keepalived/chk_ocp_script.sh",
    interval: 2,
    weight: 20,
    rise: 3,
    fall: 3,
  },
  {
    name: "chk_ocp_both",
    command: "/usr/bin/timeout 1.9 /etc/keepalived/chk_ocp_script_both.sh",
    interval: 2,
    weight: 5,
    rise: 3,
    fall: 3,
  },
];
const INGRESS_SCRIPTS: readonly Script[] = [
  {
    name: "chk_ingress",
    command: "/usr/bin/timeout 0.9 /usr/bin/curl -o /dev/null -Lfs http://localhost:1936/healthz/ready",
    interval: 1,
    weight: 20,
    rise: 3,
    fall: 2,
  },
  {
    name: "chk_default_ingress",
    command: "/usr/bin/timeout 4.9 /etc/keepalived/chk_default_ingress.sh",
    interval: 5,
    weight: 50,
    rise: 3,
    fall: 2,
  },
];

const scriptBlock = (script: Script): string => `vrrp_script ${script.name} {
    script "${script.command}"
    interval ${script.interval}
    weight ${script.weight}
    rise ${script.rise}
    fall ${script.fall}
}
`;

interface Instance {
  name: string;
  routerId: number;
  priority: number;
  /** VRRP's own passwords have 8 characters; keepalived cuts off the rest. */
  password: string;
  vip: string;
  scripts: readonly Script[];
}

function instanceBlock(instance: Instance, description: VipDescription, self: string): string {
  const me = description.nodes.find((node) => node.name === self);
  const peers = description.nodes.filter((node) => node.name !== self).map((node) => `        ${node.address}\n`);
  const unicast = `    unicast_src_ip ${me?.address ?? ""}
    unicast_peer {
${peers.join("")}    }
`;
  return `vrrp_instance ${instance.name} {
    state BACKUP
    interface ${me?.interface ?? ""}
    virtual_router_id ${instance.routerId}
    priority ${instance.priority}
    advert_int 1
${description.unicast ? unicast : ""}    authentication {
        auth_type PASS
        auth_pass ${instance.password}
    }
    virtual_ipaddress {
        ${instance.vip}/${description.prefixLen}
    }
    track_script {
${instance.scripts.map((script) => `        ${script.name}\n`).join("")}    }
}
`;
}

/**
 * The file of the node `self`. Throws IntentError when the description makes no sense or does not know `self`
 * (checkDescription; an unknown node has no interface to say).
 */
export function keepalivedConf(description: VipDescription, self: string): string {
  checkDescription(description);
  const ids = routerIds(description.cluster);
  const api: Instance = {
    name: `${description.cluster}_API`,
    routerId: ids.api,
    priority: API_PRIORITY,
    password: `${description.cluster}_api_vip`,
    vip: description.vip,
    scripts: API_SCRIPTS,
  };
  const instances = [api];
  if (description.ingressVip !== null)
    instances.push({
      name: `${description.cluster}_INGRESS`,
      routerId: ids.ingress,
      priority: INGRESS_PRIORITY,
      password: `${description.cluster}_ingress_vip`,
      vip: description.ingressVip,
      scripts: INGRESS_SCRIPTS,
    });
  return [
    `global_defs {
    enable_script_security
    script_user root
    max_auto_priority -1
    vrrp_garp_master_refresh 60
}
`,
    ...instances.flatMap((instance) => instance.scripts.map(scriptBlock)),
    ...instances.map((instance) => instanceBlock(instance, description, self)),
  ].join("\n");
}
