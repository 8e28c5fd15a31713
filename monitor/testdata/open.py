"""Opens sealed messages with Python's standard library and OpenSSL's libcrypto: see docs/messages.md."""
import base64
import ctypes, ctypes.util
import hashlib
import hmac
import json
import sys
import zlib

lib = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
    getattr(lib, name).restype = ctypes.c_void_p
SET_TAG = 0x11


def hkdf(key, salt, label, size):
    """HKDF-SHA-256, RFC 5869."""
    prk = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    out, block = b"", b""
    while len(out) < size:
        block = hmac.new(prk, block + label + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:size]


def aes_gcm_open(key, nonce, data, authenticated):
    body, tag = data[:-16], data[-16:]
    ctx, n, out = ctypes.c_void_p(lib.EVP_CIPHER_CTX_new()), ctypes.c_int(), ctypes.create_string_buffer(len(body) + 16)
    try:
        lib.EVP_DecryptInit_ex(ctx, ctypes.c_void_p(lib.EVP_aes_256_gcm()), None, key, nonce)
        lib.EVP_DecryptUpdate(ctx, None, ctypes.byref(n), authenticated, len(authenticated))
        lib.EVP_DecryptUpdate(ctx, out, ctypes.byref(n), body, len(body))
        lib.EVP_CIPHER_CTX_ctrl(ctx, SET_TAG, 16, tag)
        if lib.EVP_DecryptFinal_ex(ctx, ctypes.create_string_buffer(16), ctypes.byref(n)) != 1:
            raise ValueError("not as it was sealed, or for another context")
        return out.raw[:len(body)]
    finally:
        lib.EVP_CIPHER_CTX_free(ctx)


def open_sealed(key_text, context, sealed, limit=64 << 20):
    key = base64.urlsafe_b64decode(key_text.removeprefix("xme1.") + "=")
    header, body = sealed[:62], sealed[62:]
    length = int.from_bytes(header[14:22], "big")
    if len(sealed) < 78 or header[:5] != b"XMEM\1" or header[5] > 1 or length > limit or len(body) - 16 > limit:
        raise ValueError("no sealed message, or one above the limit")
    if header[6:14] != hkdf(key, b"", b"xme key id 1", 8):
        raise ValueError("sealed with another key")
    okm = hkdf(key, header[30:], b"xme message 1", 44)
    text = aes_gcm_open(okm[:32], okm[32:], body, header + context.encode())
    if header[5] & 1:
        text = zlib.decompressobj().decompress(text, length + 1)
    if len(text) != length:
        raise ValueError("another length than it claims")
    return text

if __name__ == "__main__":
    for v in json.load(sys.stdin):
        print(open_sealed(v["key"], v["context"], bytes.fromhex(v["sealed"])).hex())
