# What guests written in Python have in common: their way in, by the same HTTP and WebSocket as the page's browser, and
# what they say. The argument of each is JSON: "link", "name", "width", "height" of the picture that it sends, and what
# it needs beside that. Each line of output is a JSON object with an "event"; the end of standard input makes the guest
# leave.

import json
import ssl
import sys
import threading
import urllib.request
from urllib.parse import urlsplit

lock = threading.Lock()


def say(event, **more):
    with lock:
        print(json.dumps({"event": event, **more}), flush=True)


def enter():
    """Exchanges the link's token for a session. Gives the settings, and where signalling is with what to ask there."""
    settings = json.loads(sys.argv[1])
    link = urlsplit(settings["link"])
    base = f"{link.scheme}://{link.netloc}"
    # The room's own authority is one that nobody has heard of.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    request = urllib.request.Request(
        f"{base}/guest/session",
        data=json.dumps({"token": link.fragment, "name": settings["name"]}).encode(),
        headers={"Content-Type": "application/json", "Origin": base},
    )
    with urllib.request.urlopen(request, context=context, timeout=30) as answer:
        say("session", session=json.load(answer)["room_name"])
        cookie = answer.headers["Set-Cookie"].split(";")[0]
    signalling = {
        "uri": f"wss://{link.netloc}/guest/signalling",
        "ssl": context,
        "origin": base,
        "additional_headers": {"Cookie": cookie},
    }
    return settings, signalling
