#!/usr/bin/env python3
"""A proxy that delays every request to an S3 server, and counts requests and bytes.

usage: s3_proxy.py LISTEN_PORT SERVER_PORT DELAY_MS
GET /__count answers with the counts since the last time as one line of text, and starts anew.
"""
import http.client
import http.server
import sys
import threading
import time

LISTEN, SERVER, DELAY = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
lock = threading.Lock()
counts = {}
# What the hop to the next server is about, and not the request.
HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


def add(name, number=1):
    with lock:
        counts[name] = counts.get(name, 0) + number


def report():
    with lock:
        taken = dict(counts)
        counts.clear()
    kinds = [f"{m} {taken[m]}" for m in ("GET", "list", "HEAD", "PUT", "POST", "DELETE") if m in taken]
    total = sum(taken.get(m, 0) for m in ("GET", "list", "HEAD", "PUT", "POST", "DELETE"))
    up, down = taken.get("up", 0) / 1e6, taken.get("down", 0) / 1e6
    return f"{total} | {', '.join(kinds)} | {up:.1f} | {down:.1f}"


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_one(self):
        if self.path == "/__count":
            text = report().encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            return
        body = self.body()
        time.sleep(DELAY)
        is_list = self.command == "GET" and ("list-type=" in self.path or "delimiter=" in self.path)
        add("list" if is_list else self.command)
        add("up", len(body))
        server = http.client.HTTPConnection("127.0.0.1", SERVER)
        # The Host is what the client signed.
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP and name.lower() != "content-length":
                server.putheader(name, value)
        server.putheader("Content-Length", str(len(body)))
        server.endheaders(body)
        answer = server.getresponse()
        content = answer.read()
        add("down", len(content))
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP and (name.lower() != "content-length" or self.command == "HEAD"):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        server.close()


for method in METHODS:
    setattr(Proxy, f"do_{method}", Proxy.handle_one)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", LISTEN), Proxy).serve_forever()
