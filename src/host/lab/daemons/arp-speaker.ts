/** The program that answers ARP for addresses which no interface has, as MetalLB's speaker does on layer 2 (internal/layer2/arp.go). */

/**
 * Python: `speaker.py ADDRESS,… DEVICE,…`. The addresses are told when it starts (a gratuitous request and reply, which MetalLB repeats for
 * five seconds), then every question for one of them is answered with the device's own MAC address.
 */
export const ARP_SPEAKER = `import fcntl, select, socket, struct, sys

ETH_P_ARP = 0x0806
addresses = {socket.inet_aton(x) for x in sys.argv[1].split(",")}
sockets = {}


def frame(mac, to, code, ip, their_mac, their_ip):
    return to + mac + struct.pack("!HHHBBH", ETH_P_ARP, 1, 0x0800, 6, 4, code) + mac + ip + their_mac + their_ip


for device in sys.argv[2].split(","):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    s.bind((device, ETH_P_ARP))
    mac = fcntl.ioctl(s, 0x8927, struct.pack("256s", device.encode()))[18:24]
    sockets[s] = mac
    for ip in addresses:
        for code in (1, 2):
            s.send(frame(mac, b"\\xff" * 6, code, ip, b"\\xff" * 6, ip))
print("ready", flush=True)
while True:
    for s in select.select(list(sockets), [], [])[0]:
        data, (_, _, kind, _, _) = s.recvfrom(2048)
        # Own frames come back to packet sockets.
        if kind == socket.PACKET_OUTGOING or len(data) < 42:
            continue
        code, = struct.unpack("!H", data[20:22])
        asker, asker_ip, wanted = data[22:28], data[28:32], data[38:42]
        if code == 1 and wanted in addresses and asker_ip != wanted:
            s.send(frame(sockets[s], asker, 2, wanted, asker, asker_ip))
`;
