"""Settings of namespaces, below /proc/sys."""


def path_of(key):
    """`net.ipv4.conf.flannel/1.accept_ra` as sysctl(8) writes it: in a device's name a slash stands for a dot."""
    return key.replace("/", "\0").replace(".", "/").replace("\0", ".")


def write(spaces, settings):
    """settings: [[namespace, key, value]], in their order; answers those that the kernel refused, with its words."""
    refused = []
    current = None
    for ns, key, value in settings:
        if ns != current:
            spaces.enter(ns)
            current = ns
        try:
            with open(f"/proc/sys/{path_of(key)}", "w") as f:
                f.write(value)
        except OSError as e:
            refused.append([ns, key, e.strerror])
    return refused
