"""The shop's service: where an order is. `python examples/orders/shop.py` serves port 8090.

A request without the key is refused. Order 1234 is on its way; 5555 takes three seconds to find,
as old systems do.
"""

import argparse
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ORDERS = {
    "1234": {"number": "1234", "status": "on its way", "arrives": "on Friday"},
    "5555": {"number": "5555", "status": "waiting in our warehouse", "arrives": "next week"},
}
SLOW_ORDER, SLOW_S = "5555", 3.0


class Shop(BaseHTTPRequestHandler):
    """Answers `GET /orders/NUMBER`."""

    def do_GET(self) -> None:
        key = os.environ.get("SHOP_KEY", "")
        given = self.headers.get("Authorization", "")
        if not key or not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            self._answer(401, {"error": "wrong key"})
            return
        number = self.path.rpartition("/")[2]
        if number == SLOW_ORDER:
            time.sleep(SLOW_S)
        order = ORDERS.get(number) if self.path == f"/orders/{number}" else None
        if order is None:
            self._answer(404, {"error": "no such order"})
        else:
            self._answer(200, order)

    def _answer(self, status: int, body: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=8090)
    ThreadingHTTPServer(("127.0.0.1", options.parse_args().port), Shop).serve_forever()
