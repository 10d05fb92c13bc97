/** Statements of a rule, each added to the rule's program. */
import type { NftJson } from "../../../model/nftables.ts";
import type { Effect, Test } from "../program.ts";
import { MAYBE, NEXT, NO, QUEUE, STOLEN, UNSURE, YES } from "../program.ts";
import type { RuleBuilder } from "./builder.ts";
import { objectOf, tagged, under, word } from "./json.ts";
import { mangleEffect } from "./mangle.ts";
import { mapping } from "./map.ts";
import { compileMatch } from "./match.ts";
import { natEffect, ownAddressEffect, tproxyEffect } from "./nat.ts";
import { rejectEffect } from "./reject.ts";
import { maybe } from "./scope.ts";
import type { RuleScope } from "./scope.ts";
import { setEffect } from "./set-statement.ts";
import { verdictEffect, verdictMap } from "./verdict.ts";

/** Adds a statement, `{"kind": …}`, to the rule. What is not modelled may do anything, and says so. */
export function addStatement(rule: RuleBuilder, json: NftJson): void {
  const statement = tagged(json);
  if (statement === null) return rule.effect(unmodelled("a statement that can't be read"));
  const { tag, body } = statement;
  const scope = rule.scope;
  switch (tag) {
    case "match": {
      const match = compileMatch(scope, body);
      if (match.random !== null) return rule.random(match.random, json);
      return match.asks
        ? rule.askingTest(match.test)
        : rule.test(match.test, match.keys, json, match.guard, match.sure);
    }
    case "limit":
    case "quota":
    case "ct count":
      return rule.test(maybe(`${wordsOf(tag, body)} can go either way`), {}, json);
    case "counter":
      return objectMap(rule, scope, body, json);
    case "log":
    case "last":
    case "continue":
    case "dup":
    case "ct timeout":
    case "ct expectation":
    case "secmark":
    case "reset":
      return;
    case "ct helper":
      return rule.effect(helperEffect(scope, body));
    case "accept":
    case "drop":
    case "return":
    case "jump":
    case "goto":
      return rule.effect(verdictEffect(scope, json) ?? unmodelled(tag));
    case "vmap":
      return rule.vmap(verdictMap(scope, body));
    case "mangle": {
      const effect = mangleEffect(scope, body);
      if (effect !== null) rule.effect(effect);
      return;
    }
    case "dnat":
      return rule.effect(natEffect(scope, "dst", body));
    case "snat":
      return rule.effect(natEffect(scope, "src", body));
    case "masquerade":
    case "redirect":
      return rule.effect(ownAddressEffect(scope, tag, body));
    case "tproxy":
      return rule.effect(tproxyEffect(scope, body));
    case "reject":
      return rule.effect(rejectEffect(scope, body));
    case "notrack":
      return rule.effect(notrack);
    case "queue":
      return rule.effect(() => QUEUE);
    case "fwd":
      // The packet leaves by another device (nft_fwd_netdev_eval).
      return rule.effect(() => STOLEN);
    case "set":
    case "map":
      return rule.effect(setEffect(scope, tag, body));
    case "flow":
      return rule.askingTest(offload);
    case "meter":
      return rule.test(maybe(`meter ${word(objectOf(body) ?? {}, "name")} can go either way`), {}, json);
    case "xt":
      return xt(rule, body, json);
    default:
      return rule.effect(unmodelled(`statement ${tag}`));
  }
}

const unmodelled =
  (what: string): Effect =>
  (s) => {
    s.why = `${what} is not modelled`;
    return UNSURE;
  };

/** `limit rate 10/second`, from JSON. */
function wordsOf(tag: string, body: NftJson): string {
  if (typeof body === "string") return `${tag} "${body}"`;
  const o = objectOf(body) ?? {};
  if (tag === "limit" && o["rate"] !== undefined)
    return `limit rate ${String(o["rate"])}/${word(o, "per") || "second"}`;
  const size = o["val"] ?? o["bytes"];
  return typeof size === "number" ? `${tag} ${size}` : tag;
}

/** `counter name KEY map { … }`: without an element for the key the rule breaks (nft_objref_map_eval); a counter does nothing. */
function objectMap(rule: RuleBuilder, scope: RuleScope, body: NftJson, json: NftJson): void {
  const map = under(body, "map");
  if (map === undefined) return;
  const objects = mapping(scope, map, (name) => name);
  rule.test(
    (s) => {
      const found = objects.get(s);
      return found === undefined ? MAYBE : found === null ? NO : YES;
    },
    {},
    json,
  );
}

/** nft_notrack_eval: packets that have a connection, or are untracked already, stay as they are. */
const notrack: Effect = (s) => {
  if (s.pkt.ct === null && s.pkt.ctInfo !== "untracked") s.services.notrack(s);
  return NEXT;
};

/** nft_ct_helper_obj_eval: only new connections of the helper's protocol get it. */
function helperEffect(scope: RuleScope, body: NftJson): Effect {
  const object = typeof body === "string" ? objectOf(scope.table.object("ct helper", body) ?? undefined) : null;
  if (object === null) return unmodelled("ct helper by a map");
  const helper = word(object, "type");
  const proto = word(object, "protocol") === "udp" ? 17 : 6;
  return (s) => {
    const ct = s.pkt.ct;
    if (ct !== null && !ct.confirmed && ct.proto === proto) ct.helper = helper;
    return NEXT;
  };
}

/**
 * `flow add @f`: nft_flow_offload_eval breaks for connections that are not confirmed. The flow table carries a
 * connection the way that its first packets went, so that nothing else follows from it here.
 */
const offload: Test = (s) => {
  if (s.pkt.ct === null || !s.pkt.ct.confirmed) return NO;
  s.why = "whether the flow table takes the connection is not known";
  return MAYBE;
};

/** iptables' own matches and targets, of which nft prints the name at most. */
function xt(rule: RuleBuilder, body: NftJson, json: NftJson): void {
  const o = objectOf(body) ?? {};
  const type = word(o, "type");
  const what = `xtables ${type || "extension"} ${word(o, "name") || "(unnamed)"}`;
  // comment_mt of xt_comment.c: always.
  if (type === "match" && word(o, "name") === "comment") return;
  if (type === "match") rule.test(maybe(`${what} is printed without what it says`), {}, json);
  else rule.effect(unmodelled(what));
}
