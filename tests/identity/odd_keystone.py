"""A Keystone that answers oddly, as no real one does at will: one token with a status of its choice, another with too much."""

import http.server
import json
import threading
import time


class OddKeystone:
    """Lets the service in; a token whose name begins with `good` is a reader's, others are as their names say."""

    def __init__(self, project):
        odd = self
        self.project = project
        self.own = None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body, **headers):
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                odd.own = "own"
                self.answer(201, odd.token(["service"]), X_Subject_Token=odd.own)

            def do_GET(self):
                token = self.headers["X-Subject-Token"]
                if self.headers["X-Auth-Token"] != odd.own:
                    self.answer(401, {})
                elif token.startswith("good"):
                    self.answer(200, odd.token(["reader"]))
                elif token == "many-roles":
                    self.answer(200, odd.token([f"role{number}" for number in range(300)]))
                elif token == "no-token":
                    self.answer(200, {"something": "else"})
                else:
                    self.answer(int(token), {})

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 200

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def token(self, roles):
        end = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))
        return {"token": {"user": {"id": "u", "domain": {"id": "default"}},
                          "project": {"id": self.project, "domain": {"id": "default"}},
                          "roles": [{"id": role, "name": role} for role in roles], "expires_at": end}}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
