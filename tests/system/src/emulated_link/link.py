"""A link between two network namespaces: rate, drop-tail queue, delay, jitter and loss, in real time.

Arguments: the namespace of the far end (/proc/PID/ns/net), the interface's name, the seed of what is random. The near
end is in the namespace that this program is started in. Both ends are TUN devices: whole IP packets, with checksums
and without segmentation offload.

A line of JSON on standard input changes a direction or asks for what it has carried, and is answered by one:
    {"direction": "to_far", "rate_bps": 3e6, "queue_s": 0.3, "delay_s": 0.02, "jitter_s": 0, "loss": 0, "burst": 1}
    {"direction": "to_far", "report": true}
The end of standard input ends it.
"""

import collections
import ctypes
import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN = 0x0001
IFF_NO_PI = 0x1000
LARGEST = 65536
# Packets that are read at once, so that what is due is not late behind a burst.
READ_AT_ONCE = 32
# Of what is reported.
BIN = 0.05


def tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def enter(namespace):
    with open(namespace, "rb") as file:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)


class Direction:
    """What goes one way: loss, then the queue before the rate, then the delay."""

    def __init__(self, out, seed):
        self.out = out
        self.random = random.Random(seed)
        self.rate_bps = None
        self.queue_s = self.delay_s = self.jitter_s = self.loss = 0.0
        self.burst = 1
        self.losing = 0
        self.queue = collections.deque()
        self.queued_bytes = 0
        # When the queue's first packet has been sent.
        self.sent_at = None
        self.travelling = []
        self.last_due = 0.0
        self.order = 0
        self.bins = {}

    def change(self, now, conditions):
        self.serve(now)
        old = self.rate_bps
        for name, value in conditions.items():
            setattr(self, name, value)
        if self.sent_at is not None and old != self.rate_bps:
            # What is left of the packet that is being sent takes its time at the new rate.
            left_bits = (self.sent_at - now) * old
            self.sent_at = now + (left_bits / self.rate_bps if self.rate_bps else 0.0)

    def count(self, now, carried=0, dropped=0, lost=0, waited=0.0):
        entry = self.bins.setdefault(int(now / BIN), [0, 0, 0, 0.0])
        entry[0] += carried
        entry[1] += dropped
        entry[2] += lost
        entry[3] = max(entry[3], waited)

    def is_lost(self):
        if self.losing > 0:
            self.losing -= 1
            return True
        # Bursts begin so much more rarely as they are longer, so that `loss` is the share of all packets.
        begins = self.loss / (self.burst - self.loss * (self.burst - 1)) if self.loss else 0.0
        if begins and self.random.random() < begins:
            self.losing = self.burst - 1
            return True
        return False

    def take(self, now, packet):
        if self.is_lost():
            self.count(now, lost=1)
        elif not self.rate_bps and not self.queue:
            self.send(now, now, packet)
        elif self.rate_bps and self.queued_bytes * 8 > self.queue_s * self.rate_bps:
            self.count(now, dropped=1)
        else:
            self.queue.append((now, packet))
            self.queued_bytes += len(packet)
            if self.sent_at is None:
                self.sent_at = now + self.duration(packet)

    def duration(self, packet):
        return len(packet) * 8 / self.rate_bps if self.rate_bps else 0.0

    def send(self, at, taken, packet):
        self.count(at, carried=len(packet), waited=at - taken)
        # Jitter delays, and does not reorder.
        due = at + self.delay_s + (self.random.uniform(0.0, self.jitter_s) if self.jitter_s else 0.0)
        self.last_due = due = max(due, self.last_due)
        self.order += 1
        heapq.heappush(self.travelling, (due, self.order, packet))

    def serve(self, now):
        while self.sent_at is not None and self.sent_at <= now:
            taken, packet = self.queue.popleft()
            self.queued_bytes -= len(packet)
            at = self.sent_at
            self.sent_at = at + self.duration(self.queue[0][1]) if self.queue else None
            self.send(at, taken, packet)
        while self.travelling and self.travelling[0][0] <= now:
            packet = heapq.heappop(self.travelling)[2]
            try:
                os.write(self.out, packet)
            except OSError:
                # An interface that is down loses what is sent to it.
                pass

    def next(self):
        due = [self.sent_at] if self.sent_at is not None else []
        if self.travelling:
            due.append(self.travelling[0][0])
        return min(due, default=None)

    def report(self):
        bins = [[number * BIN, *entry] for number, entry in sorted(self.bins.items())]
        self.bins = {}
        return bins


def main():
    far_namespace, name, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
    near = tun(name)
    enter(far_namespace)
    far = tun(name)
    directions = {"to_far": Direction(far, seed), "to_near": Direction(near, seed + 1)}
    sources = {near: directions["to_far"], far: directions["to_near"]}
    print("ready", flush=True)
    commands = sys.stdin.fileno()
    text = b""
    while True:
        due = [at for at in (each.next() for each in sources.values()) if at is not None]
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([*sources, commands], [], [], wait)
        for device, direction in sources.items():
            if device not in ready:
                continue
            for _ in range(READ_AT_ONCE):
                try:
                    packet = os.read(device, LARGEST)
                except OSError:
                    break
                direction.take(time.monotonic(), packet)
        if commands in ready:
            read = os.read(commands, LARGEST)
            if not read:
                return
            *lines, text = (text + read).split(b"\n")
            for line in lines:
                command = json.loads(line)
                direction = directions[command.pop("direction")]
                now = time.monotonic()
                bins = []
                if command.pop("report", False):
                    bins = direction.report()
                else:
                    direction.change(now, command)
                print(json.dumps({"now": now, "bins": bins}), flush=True)
        now = time.monotonic()
        for direction in sources.values():
            direction.serve(now)


main()
