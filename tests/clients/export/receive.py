"""Takes what sinks send over HTTPS, and writes it down: `receive.py PORT FOLDER`.

Takes e-mail at the next port but two as well. It stands for Elasticsearch, which no registry has, and ClickHouse, whose package is large: it judges `_bulk` line by line, refuses the first call
with 429 and the first document of the second with 503, so that both are seen to come again, and refuses an id that it has with
409, as `create` does.
"""

import base64
import http.server
import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller

FOLDER = sys.argv[2]
LOCK = threading.Lock()
IDS = set()
CALLS = {}


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        name = self.path.split("/")[1].split("?")[0]
        with LOCK:
            CALLS[name] = CALLS.get(name, 0) + 1
            status, answer = self.bulk(name, body) if name.startswith("es") else (200 if name.startswith("clickhouse") else 204, b"")
            with open(f"{FOLDER}/received/{name}.jsonl", "a", encoding="utf-8") as file:
                call = {"path": self.path, "headers": dict(self.headers.items()), "status": status,
                        "body": base64.b64encode(body).decode()}
                file.write(json.dumps(call) + "\n")
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def bulk(self, name, body):
        if self.headers["authorization"] != "ApiKey c2VjcmV0":
            return 401, b"{}"
        if CALLS[name] == 1:
            return 429, b"{}"
        if self.headers["content-type"] != "application/x-ndjson" or not body.endswith(b"\n"):
            return 400, b"{}"
        lines = body.decode().splitlines()
        items = []
        for at in range(0, len(lines), 2):
            action, document = json.loads(lines[at]), json.loads(lines[at + 1])
            known = action["create"]["_id"]
            if CALLS[name] == 2 and at == 0:
                items.append({"create": {"status": 503, "error": {"type": "unavailable_shards_exception"}}})
            elif known in IDS:
                items.append({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}})
            elif "@timestamp" not in document:
                items.append({"create": {"status": 400, "error": {"type": "document_parsing_exception"}}})
            else:
                IDS.add(known)
                items.append({"create": {"status": 201}})
        errors = any("error" in item["create"] for item in items)
        return 200, json.dumps({"errors": errors, "items": items}).encode()

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_3
context.load_cert_chain(f"{FOLDER}/server.pem", f"{FOLDER}/server.key")


class Mails:
    async def handle_DATA(self, _server, session, envelope):
        with LOCK, open(f"{FOLDER}/received/mail.jsonl", "a", encoding="utf-8") as file:
            mail = {"to": envelope.rcpt_tos, "text": envelope.content.decode(), "tls": session.ssl is not None}
            file.write(json.dumps(mail) + "\n")
        return "250 taken"


Controller(Mails(), hostname="127.0.0.1", port=int(sys.argv[1]) + 3, tls_context=context, require_starttls=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
