#!/usr/bin/env python3
"""A client in another language, with nothing but Python's standard library (and OpenSSL's libcrypto, for sealed messages).

  client.py http://127.0.0.1:7080 call square 7
  client.py http://127.0.0.1:7080 stream square 1 2 3     results as they end, each with its place
  client.py http://127.0.0.1:7080 last                    the message "last", by way of a sealed one; XME_KEY_FILE names the file with the key

docs/rpc.md describes the calls, docs/messages.md the sealed form.
"""
import base64, ctypes, ctypes.util, hashlib, hmac, http.client, json, os, struct, sys, time, urllib.error, urllib.request, zlib


class Client:
    def __init__(self, base, token=None):
        self.base, self.headers, self.number = base + "/xme.v1.Monitor/", {"Content-Type": "application/json"}, 0
        if token:
            self.headers["Authorization"] = "Bearer " + token
        self.session = self.post("Hello", {})

    def post(self, method, body):
        request = urllib.request.Request(self.base + method, json.dumps(body).encode(), self.headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:  # the server's answer: {"code": …, "message": …}
            told = json.load(error)
            raise RuntimeError(f"{told.get('code')}: {told.get('message', '')}") from None

    def call(self, function, args, tries=5):
        """Calls a function. The mark makes it run once, however often it is sent."""
        self.number += 1
        mark = {"life": self.session["life"], "session": self.session["session"], "number": self.number, "done": self.number - 1}
        for left in reversed(range(tries)):
            try:
                return json.loads(self.post("Call", {"function": function, "args": json.dumps(args), "mark": mark})["result"])
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError):
                if not left:
                    raise
                time.sleep(0.1)

    def stream(self, function, inputs):
        """Yields (index, result) as the calls end. A frame is a byte of flags, its length, and JSON; flag 2 marks the last."""
        body = json.dumps({"function": function, "args": [json.dumps(i) for i in inputs]}).encode()
        headers = dict(self.headers, **{"Content-Type": "application/connect+json"})
        with urllib.request.urlopen(urllib.request.Request(self.base + "Stream", struct.pack(">BI", 0, len(body)) + body, headers)) as answer:
            while head := answer.read(5):
                flags, length = struct.unpack(">BI", head)
                frame = json.loads(answer.read(length))
                if "error" in frame or "failure" in frame:
                    raise RuntimeError(frame.get("error") or frame["failure"])
                if flags & 2:
                    return
                yield int(frame.get("index", 0)), json.loads(frame["result"])


def hkdf(key, salt, label, size):
    prk, out, block = hmac.new(salt or bytes(32), key, hashlib.sha256).digest(), b"", b""
    while len(out) < size:
        block = hmac.new(prk, block + label + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:size]


def open_sealed(key_text, context, sealed, limit=64 << 20):
    """Opens a sealed message: AES-256-GCM under a key made for it, by libcrypto."""
    key, header, body, tag = base64.urlsafe_b64decode(key_text.strip()[5:] + "="), sealed[:62], sealed[62:-16], sealed[-16:]
    length = int.from_bytes(header[14:22], "big")
    if len(sealed) < 78 or header[:5] != b"XMEM\1" or header[5] > 1 or max(length, len(body)) > limit or header[6:14] != hkdf(key, b"", b"xme key id 1", 8):
        raise ValueError("no sealed message, above the limit, or sealed with another key")
    made, also = hkdf(key, header[30:], b"xme message 1", 44), header + context.encode()
    lib = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
    lib.EVP_CIPHER_CTX_new.restype = lib.EVP_aes_256_gcm.restype = ctypes.c_void_p
    ctx, n, text = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new()), ctypes.c_int(), ctypes.create_string_buffer(len(body) + 16)
    try:
        lib.EVP_DecryptInit_ex(ctx, ctypes.c_void_p(lib.EVP_aes_256_gcm()), None, made[:32], made[32:])
        lib.EVP_DecryptUpdate(ctx, None, ctypes.byref(n), also, len(also))
        lib.EVP_DecryptUpdate(ctx, text, ctypes.byref(n), body, len(body))
        lib.EVP_CIPHER_CTX_ctrl(ctx, 0x11, 16, tag)  # EVP_CTRL_AEAD_SET_TAG
        if lib.EVP_DecryptFinal_ex(ctx, ctypes.create_string_buffer(16), ctypes.byref(n)) != 1:
            raise ValueError("not as it was sealed, or for another context")
    finally:
        lib.EVP_CIPHER_CTX_free(ctx)
    plain = zlib.decompressobj().decompress(text.raw[:len(body)], length + 1) if header[5] & 1 else text.raw[:len(body)]
    if len(plain) != length:
        raise ValueError("another length than it claims")
    return json.loads(plain)


if __name__ == "__main__":
    client, what, *rest = Client(sys.argv[1]), *sys.argv[2:]
    if what == "call":
        print(client.call(rest[0], json.loads(rest[1])))
    elif what == "stream":
        print(sorted(client.stream(rest[0], map(json.loads, rest[1:]))))
    else:
        sealed = client.post("Messages", {"keys": [what], "seal": True})["sealed"]
        with open(os.environ["XME_KEY_FILE"]) as key:
            print(open_sealed(key.read(), "rpc example", base64.b64decode(sealed))[what])
