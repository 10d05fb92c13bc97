# What the shell part wrote, made into a tar archive; secrets are replaced on the way. Bytes that should be NUL are printed as \001, which tr
# makes NUL afterwards: not every awk can print one.
#
# A line that begins with the mark is the shell part talking: B kind file (a file begins), X (it ends), E status began ended command (it ends,
# and was a command; complaints follow, up to the dot), C (what comes is a second read, to compare), H name value, D what changed, ! the end.

function octal(n, width) { return sprintf("%0" width "o", n) }

function nuls(n) { return substr(NULS, 1, n) }

function field(text, width) { return text nuls(width - length(text)) }

# The header of POSIX ustar.
function header(name, size, type,   prefix, at, head, tail, i, sum) {
  prefix = ""
  if (length(name) > 100) {
    for (at = length(name) - 101; at <= length(name); at++) if (at > 0 && substr(name, at, 1) == "/") break
    if (at <= 156 && at < length(name)) { prefix = substr(name, 1, at - 1); name = substr(name, at + 1) }
    else {
      # Too long for it: the way of GNU tar.
      header("././@LongLink", length(name) + 1, "L")
      printf "%s%s", name, nuls(512 - length(name) % 512)
      name = substr(name, 1, 100)
    }
  }
  head = field(name, 100) "0000644" NUL "0000000" NUL "0000000" NUL octal(size, 11) NUL octal(TIME, 11) NUL
  tail = type field("", 100) "ustar" NUL "00" field("root", 32) field("root", 32) "0000000" NUL "0000000" NUL field(prefix, 155) nuls(12)
  sum = 8 * 32
  for (i = 1; i <= length(head); i++) sum += CODE[substr(head, i, 1)]
  for (i = 1; i <= length(tail); i++) sum += CODE[substr(tail, i, 1)]
  printf "%s%s", head octal(sum, 6) NUL " ", tail
}

# The lines 1 to count of LINE as a file; returns its size in bytes.
function put(name, count, whole,   i, size) {
  size = 0
  for (i = 1; i <= count; i++) size += length(LINE[i]) + 1
  if (!whole && count > 0) size--
  if (size == 0) return 0
  header(name, size, "0")
  for (i = 1; i < count; i++) print LINE[i]
  printf "%s%s", LINE[count], whole ? "\n" : ""
  if (size % 512) printf "%s", nuls(512 - size % 512)
  return size
}

function json(text,   out, i, c) {
  if (text !~ /["\\\t\r\001-\037]/) return "\"" text "\""
  out = ""
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c == "\"" || c == "\\") out = out "\\" c
    else if (c == "\n") out = out "\\n"
    else if (c == "\t") out = out "\\t"
    else if (CODE[c] < 32) out = out " "
    else out = out c
  }
  return "\"" out "\""
}

function removed(what) {
  REMOVED[++removals] = "{\"file\":" json(FILE) ",\"line\":" AT ",\"what\":" json(what) "}"
}

# ---- secrets

# Whether words that people wrote beside rules may hold a secret. Those of kube-proxy, Calico and CNI plugins do not.
function suspect(text,   low, rest, word) {
  if (text ~ /^[a-z0-9][a-z0-9.-]*\/[a-z0-9][a-z0-9.-]*(:[a-zA-Z0-9-]+)?( (cluster|external|loadbalancer) IP| -> [0-9a-f.:\[\]]+| [a-z ]+)?$/) return 0
  low = tolower(text)
  if (low ~ /passw|passphrase|secret|token|credential|bearer|api.?key|auth.?pass|private.?key|psk|(^|[^a-z])(pass|pwd|key)[ \t]*[=:]|:\/\/[^ \/]*:[^ \/]*@|eyj[a-z0-9_-]*\.|-----begin/) return 1
  rest = text
  while (match(rest, /[A-Za-z0-9+\/_=-]+/)) {
    word = substr(rest, RSTART, RLENGTH)
    rest = substr(rest, RSTART + RLENGTH)
    if (length(word) >= 20 && word ~ /[a-z]/ && word ~ /[A-Z]/ && word ~ /[0-9]/) return 1
  }
  return 0
}

# The length of the quoted text that s begins with, its quotes included; 0 when it does not end.
function quoted(s, quote,   i, c) {
  for (i = 2; i <= length(s); i++) {
    c = substr(s, i, 1)
    if (c == "\\") i++
    else if (c == quote) return i
  }
  return 0
}

# A line of iptables-save, ipset save or nft list ruleset.
function rule(s,   out, start, value, length_of) {
  out = ""
  # iptables: --comment TEXT; nft and ipset: comment "TEXT".
  while (match(s, /--(comment|[a-z]*-prefix|string|hex-string)[ \t]+|(comment|prefix)[ \t]+"/)) {
    start = RSTART + RLENGTH
    if (substr(s, start - 1, 1) == "\"") start--
    out = out substr(s, 1, start - 1)
    s = substr(s, start)
    if (substr(s, 1, 1) == "\"") {
      length_of = quoted(s, "\"")
      if (length_of == 0) length_of = length(s)
      value = substr(s, 2, length_of - 2)
      if (suspect(value)) { removed("comment"); out = out "\"REMOVED\"" } else out = out substr(s, 1, length_of)
    } else {
      match(s, /^[^ \t]*/)
      length_of = RLENGTH
      value = substr(s, 1, length_of)
      if (suspect(value)) { removed("comment"); out = out "REMOVED" } else out = out value
    }
    s = substr(s, length_of + 1)
  }
  return out s
}

# One line that is all of a JSON document: split, since searching what remains again and again would take the square of its length.
function rules_in_json(s, before,   parts, count, i, length_of) {
  count = split(s, parts, before)
  if (count < 2) return s
  for (i = 2; i <= count; i++) {
    length_of = quoted("\"" substr(parts[i], 1, 2000), "\"")
    if (length_of > 2 && suspect(substr(parts[i], 1, length_of - 2))) {
      removed("comment")
      parts[i] = "REMOVED" substr(parts[i], length_of - 1)
    }
  }
  return join(parts, 1, count, before)
}

# Halves, so that no character is copied more often than the logarithm of their number.
function join(parts, from, to, between,   middle) {
  if (from == to) return parts[from]
  middle = int((from + to) / 2)
  return join(parts, from, middle, between) between join(parts, middle + 1, to, between)
}

function without_logins(s,   start) {
  while (match(s, /:\/\/[^ \/:@"]+:[^ \/@"]+@/)) {
    removed("login in a URL")
    s = substr(s, 1, RSTART + 2) "REMOVED@" substr(s, RSTART + RLENGTH)
  }
  while (match(s, /eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+/)) {
    removed("token")
    s = substr(s, 1, RSTART - 1) "REMOVED" substr(s, RSTART + RLENGTH)
  }
  return s
}

function indent_of(s) { match(s, /^[ \t-]*/); return RLENGTH }

# A line of a configuration file, of whatever format.
function setting(s,   out, low, start, key, value, separator, n, c) {
  if (PEM) {
    if (s ~ /-----END /) PEM = 0
    return "REMOVED"
  }
  if (s ~ /-----BEGIN [A-Z ]*PRIVATE KEY/) {
    PEM = s !~ /-----END /
    removed("private key")
    return "REMOVED"
  }
  if (HIDE_BELOW >= 0) {
    if (s ~ /^[ \t]*$/ || indent_of(s) > HIDE_BELOW) return s ~ /^[ \t]*$/ ? s : substr(s, 1, indent_of(s)) "REMOVED"
    HIDE_BELOW = -1
  }
  s = without_logins(s)
  out = ""
  if (HIDE_NEXT && s !~ /^[ \t]*$/) {
    HIDE_NEXT = 0
    match(s, /^[ \t]*/)
    out = substr(s, 1, RLENGTH) "REMOVED"
    s = substr(s, RLENGTH + 1)
    c = substr(s, 1, 1)
    n = c == "\"" || c == "\047" ? quoted(s, c) : 0
    if (n == 0) { match(s, /^[^ \t;}]*/); n = RLENGTH }
    if (c == "\"") out = substr(out, 1, length(out) - 7) "\"REMOVED\""
    s = substr(s, n + 1)
  }
  if (s ~ /^[ \t]*(#|;|\/\/|!)/) {
    low = tolower(s)
    if (match(low, /passw|passphrase|secret|token|auth_pass|psk|credential|private.?key/)) {
      removed("comment")
      return out substr(s, 1, RSTART - 1) "REMOVED"
    }
    return out s
  }
  if (match(s, /[ \t;](#|\/\/)/)) {
    low = tolower(substr(s, RSTART))
    if (low ~ /passw|passphrase|secret|token|auth_pass|psk|credential|private.?key/) {
      removed("comment")
      s = substr(s, 1, RSTART + 1) " REMOVED"
    }
  }
  if (SECTION) {
    if (s ~ /^\[/) SECTION = 0
    else if (match(s, /=/)) { removed("secret"); return out substr(s, 1, RSTART) "REMOVED" }
  }
  if (s ~ /^\[.*secrets\]/) SECTION = 1
  while (1) {
    low = tolower(s)
    if (!match(low, /passw(or)?d|passphrase|passwort|(^|[^a-z])pwd|secret|token|auth[_-]pass|psk|wep-key|private[_-]?key|preshared|community|credential|api[_-]?key|access[_-]?key|key-data|certificate-data|authority-data|key-string|message-digest-key|stats[ \t]+auth|(^|[^a-z])pin[ \t]*=|fsid/)) return out s
    start = RSTART + RLENGTH
    match(substr(s, start), /^[A-Za-z0-9_.-]*/)
    key = substr(low, 1, start + RLENGTH - 1)
    sub(/^.*[^a-z0-9_.-]/, "", key)
    start += RLENGTH
    out = out substr(s, 1, start - 1)
    s = substr(s, start)
    # The quote that ends the key, and what stands between it and the value.
    match(s, /^["\047]?[ \t]*[:=]?[ \t]*/)
    separator = substr(s, 1, RLENGTH)
    out = out separator
    s = substr(s, RLENGTH + 1)
    if (key ~ /([_-](file|path|dir|ttl|flags|type|mode|name|webhook)|file|path)$/) continue
    if (key ~ /^message-digest-key$/ && match(s, /^[0-9]+[ \t]+md5[ \t]+/)) { out = out substr(s, 1, RLENGTH); s = substr(s, RLENGTH + 1) }
    c = substr(s, 1, 1)
    if (s ~ /^(true|false|null|yes|no|none|""|\047\047|\{|[0-9]\}|;)/ && s !~ /^(true|false|null|yes|no|none)[^ \t,;}]/) continue
    if (s == "") {
      # The value is on the lines that follow.
      if (separator ~ /:/) HIDE_BELOW = indent_of(out)
      else if (separator !~ /=/) HIDE_NEXT = 1
      removed(key)
      return out
    }
    if (separator ~ /:/ && s ~ /^[|>][-+0-9]*[ \t]*$/) { HIDE_BELOW = indent_of(out); removed(key); return out s }
    if (c == "[") { match(s, /^\[[^\]]*\]?/); n = RLENGTH; value = "[\"REMOVED\"]" }
    else if (c == "\"" || c == "\047") { n = quoted(s, c); if (n == 0) n = length(s); value = c "REMOVED" c }
    else {
      if (separator ~ /=/ || separator ~ /:/) match(s, /^[^,}]*/)
      else match(s, /^[^ \t;}]*/)
      if (separator ~ /=/ ) match(s, /^.*/)
      n = RLENGTH
      value = "REMOVED"
    }
    if (n == 0) return out s
    removed(key)
    out = out value
    s = substr(s, n + 1)
  }
}

# The words of a command line, one a line, in place; secrets among them go.
function arguments(count,   i, low, at) {
  for (i = 1; i <= count; i++) {
    AT = i
    LINE[i] = without_logins(LINE[i])
    low = tolower(LINE[i])
    if (low !~ /passw|passphrase|secret|token|credential|psk|private-?key|api-?key|auth-?pass|access-?key/) continue
    at = index(LINE[i], "=")
    key = at ? substr(low, 1, at - 1) : low
    if (key ~ /-(file|path|dir|ttl|period|webhook|duration|interval|mode|url|name|namespace|audience|audiences|lookup|issuer)$/) continue
    if (at) { removed(key); LINE[i] = substr(LINE[i], 1, at) "REMOVED" }
    else if (low ~ /^-/) { if (i < count && LINE[i + 1] !~ /^-/) { removed(key); LINE[++i] = "REMOVED" } }
    else if (low !~ /^\//) { removed("argument"); LINE[i] = "REMOVED" }
  }
}

# Variables that say how a daemon is configured; no other leaves the node.
function variables(count,   i, out) {
  out = ""
  for (i = 1; i <= count; i++) {
    if (LINE[i] !~ /^(FELIX_|CALICO_|FLANNELD_|IP=|IP6=|IP_|IP6_|NODENAME=|NODE_NAME=|NO_DEFAULT_POOLS=|CLUSTER_TYPE=|USE_POD_CIDR=|DATASTORE_TYPE=|FIREWALL_MODE=|K8S_NODE_NAME=)/) continue
    if (tolower(LINE[i]) ~ /passw|secret|token|credential|psk|key|cert/ || LINE[i] ~ /[ \t]/) continue
    out = out " " without_logins(LINE[i])
  }
  return out
}

function is_kubeconfig(count,   i, kind, users) {
  kind = users = 0
  for (i = 1; i <= count; i++) {
    if (LINE[i] ~ /kind"?[ \t]*:[ \t]*"?Config"?[ \t]*(,|}|$)/) kind = 1
    if (LINE[i] ~ /(users|clusters|contexts)"?[ \t]*:/) users = 1
  }
  return kind && users
}

# /proc/sys/net/ipv4/conf/eth0.5/forwarding:1, as sysctl prints it: net.ipv4.conf.eth0/5.forwarding = 1
function sysctl_line(s,   at, key) {
  at = index(s, ":")
  key = substr(s, 11, at - 11)
  gsub(/\./, "\001", key)
  gsub(/\//, ".", key)
  gsub(/\001/, "/", key)
  return key " = " substr(s, at + 1)
}

# ---- one file

# What of a ruleset counts when it is compared: neither counters nor times.
function essence(count,   i, s, out) {
  out = ""
  n = 0
  for (i = 1; i <= count; i++) {
    s = LINE[i]
    if (s ~ /^# (Generated|Completed) /) continue
    if (s ~ /^(:|\[)/) gsub(/\[[0-9]+:[0-9]+\]/, "", s)
    gsub(/counter packets [0-9]+ bytes [0-9]+/, "counter", s)
    gsub(/last used [0-9a-z]+|expires [0-9a-z]+|used [0-9]+ /, "", s)
    ESSENCE[++n] = s
  }
  return n == 0 ? "" : join(ESSENCE, 1, n, "\n")
}

function commit(is_command,   i, size, name, low, whole) {
  # The shell part ended what came with a newline of its own; when what came ended with one as well, an empty line is the last.
  whole = COUNT > 0 && LINE[COUNT] == ""
  if (whole) COUNT--
  if (is_command && SECOND) {
    SECOND = 0
    if ((FILE in FIRST) && STATUS == "0") {
      if (FIRST[FILE] != essence(COUNT)) CHANGED[FILE] = 1
      delete FIRST[FILE]
    }
    return
  }
  if (KIND == "environment") { PREFIX = variables(COUNT); return }
  if (KIND == "arguments") {
    arguments(COUNT)
    name = PREFIX == "" ? "" : "env" PREFIX " "
    for (i = 1; i <= COUNT; i++) name = name (i > 1 ? " " : "") LINE[i]
    LINE[1] = name
    PREFIX = ""
    COUNT = whole = 1
  } else if (KIND == "file") {
    PEM = SECTION = HIDE_NEXT = 0
    HIDE_BELOW = -1
    low = tolower(FILE)
    AT = 1
    if (low ~ /kubeconfig|\/admin\.conf$/ || is_kubeconfig(COUNT)) { removed("the whole file, a kubeconfig"); return }
    for (i = 1; i <= COUNT; i++) { AT = i; LINE[i] = setting(LINE[i]) }
  } else if (KIND == "rules") {
    for (i = 1; i <= COUNT; i++) if (LINE[i] ~ /comment|prefix|string/) { AT = i; LINE[i] = rule(LINE[i]) }
    if (FILE ~ /^host\/(nft|iptables-save)\.txt$/ && !ONCE) FIRST[FILE] = essence(COUNT)
  } else if (KIND == "json") {
    for (i = 1; i <= COUNT; i++) { AT = i; LINE[i] = rules_in_json(rules_in_json(LINE[i], "\"comment\": \""), "\"prefix\": \"") }
  } else if (KIND == "sysctl") {
    for (i = 1; i <= COUNT; i++) LINE[i] = sysctl_line(LINE[i])
  }
  if (FILE ~ /sysctl\.txt$/)
    for (i = 1; i <= COUNT; i++) if (LINE[i] ~ /^net\.(ipv4\.tcp_fastopen_key|ipv6\.conf\.[^ ]*stable_secret)[ \t]*=/) {
      AT = i
      sub(/=.*/, "= REMOVED", LINE[i])
      removed("key")
    }
  if (FILE ~ /addr\.json$/) for (i = 1; i <= COUNT; i++) { AT = i; LINE[i] = rules_in_json(LINE[i], "\"ifalias\":\"") }
  if (FILE == "host/route4.json" && !ONCE) FIRST[FILE] = essence(COUNT)
  size = put(FILE, COUNT, whole)
  if (is_command) {
    COMMAND_FILE[++commands] = FILE
    COMMAND[commands] = "\"command\":" json(SAID) ",\"exit\":" STATUS ",\"stderr\":" json(COMPLAINT) \
      ",\"seconds\":" sprintf("%.2f", SECONDS) ",\"bytes\":" size
  }
}

function finish(   i, n) {
  n = 0
  LINE[++n] = "["
  for (i = 1; i <= commands; i++)
    LINE[++n] = "{\"file\":" json(COMMAND_FILE[i]) "," COMMAND[i] ((COMMAND_FILE[i] in CHANGED) ? ",\"changed\":true" : "") "}" (i < commands ? "," : "")
  LINE[++n] = "]"
  put("commands.json", n, 1)
  n = 0
  LINE[++n] = "{\"format\":\"kubewalk.collect/v1\",\"startedAt\":" sprintf("%.3f", FACT["startedAt"] + 0) ",\"endedAt\":" sprintf("%.3f", FACT["endedAt"] + 0) ","
  LINE[++n] = "\"changed\":["
  for (i = 1; i <= changes; i++) LINE[++n] = json(CHANGES[i]) (i < changes ? "," : "")
  LINE[++n] = "],\"removed\":["
  for (i = 1; i <= removals; i++) LINE[++n] = REMOVED[i] (i < removals ? "," : "")
  LINE[++n] = "]}"
  put("collect.json", n, 1)
  printf "%s%s", nuls(512), nuls(512)
}

BEGIN {
  NUL = "\001"
  NULS = NUL
  while (length(NULS) < 512) NULS = NULS NULS
  for (i = 1; i < 256; i++) CODE[sprintf("%c", i)] = i
  CODE[NUL] = 0
  MARK = ENVIRON["mark"]
  TIME = 0
  ONCE = ENVIRON["KUBEWALK_ONCE"] != ""
}

substr($0, 1, 1) == "\001" && substr($0, 1, length(MARK)) == MARK {
  said = substr($0, length(MARK) + 1)
  what = substr(said, 1, 1)
  rest = substr(said, 3)
  if (what == "B") { at = index(rest, " "); KIND = substr(rest, 1, at - 1); FILE = substr(rest, at + 1); COUNT = 0; open = 1 }
  else if (what == "X") { open = 0; commit(0) }
  else if (what == "E") {
    open = 0
    split(rest, part, " ")
    STATUS = part[1]
    SECONDS = part[3] - part[2]
    SAID = substr(rest, length(part[1] part[2] part[3]) + 4)
    COMPLAINT = ""
    complaining = 1
  } else if (what == ".") { complaining = 0; commit(1) }
  else if (what == "C") SECOND = 1
  else if (what == "D") { CHANGES[++changes] = rest }
  else if (what == "H") {
    at = index(rest, " ")
    FACT[substr(rest, 1, at - 1)] = substr(rest, at + 1)
    if (rest ~ /^startedAt/) TIME = int(FACT["startedAt"] + 0)
  } else if (what == "!") { for (each in CHANGED) CHANGES[++changes] = each; finish() }
  next
}

open { if (index($0, "\001")) gsub(/\001/, "?"); LINE[++COUNT] = $0; next }

complaining { COMPLAINT = COMPLAINT (COMPLAINT == "" ? "" : "\n") $0 }
