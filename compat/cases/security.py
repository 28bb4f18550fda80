"""Cryptography and passwords."""

from compat.registry import case, raises


@case("cryptography", "cryptography", exercised="Fernet, AES-GCM, RSA, Ed25519, X.509 made and read, PBKDF2, errors")
def cryptography() -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, InvalidTag
    from cryptography.fernet import Fernet, InvalidToken
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
    from cryptography.x509.oid import NameOID

    fernet = Fernet(Fernet.generate_key())
    assert fernet.decrypt(fernet.encrypt(b"secret" * 100)) == b"secret" * 100
    raises(InvalidToken, fernet.decrypt, b"gAAAAA")
    cipher = AESGCM(AESGCM.generate_key(256))
    sealed = cipher.encrypt(b"n" * 12, b"text", b"more")
    assert cipher.decrypt(b"n" * 12, sealed, b"more") == b"text"
    raises(InvalidTag, cipher.decrypt, b"n" * 12, sealed, b"other")
    key = ed25519.Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b"m"), b"m")
    raises(InvalidSignature, key.public_key().verify, key.sign(b"m"), b"n")
    rsa_key = rsa.generate_private_key(65537, 1024)
    signature = rsa_key.sign(b"m", padding.PKCS1v15(), hashes.SHA256())
    rsa_key.public_key().verify(signature, b"m", padding.PKCS1v15(), hashes.SHA256())
    ec_key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(ec_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(ec_key, hashes.SHA256())
    )
    again = x509.load_pem_x509_certificate(certificate.public_bytes(serialization.Encoding.PEM))
    assert again.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    pem = ec_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"pw")
    )
    assert serialization.load_pem_private_key(pem, b"pw")
    raises(ValueError, serialization.load_pem_private_key, pem, b"wrong")
    derive = PBKDF2HMAC(hashes.SHA256(), 32, b"salt", 1000)
    derive.verify(b"pw", PBKDF2HMAC(hashes.SHA256(), 32, b"salt", 1000).derive(b"pw"))


@case("PyJWT", exercised="HS256, RS256 and EdDSA by cryptography, wrong and expired tokens", with_=("cryptography",))
def pyjwt() -> None:
    import time

    import jwt
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    claims = {"sub": "ada", "exp": int(time.time()) + 60}
    secret = "s" * 32
    assert jwt.decode(jwt.encode(claims, secret, "HS256"), secret, ["HS256"]) == claims
    rsa_key = rsa.generate_private_key(65537, 2048)
    for key, algorithm in ((rsa_key, "RS256"), (ed25519.Ed25519PrivateKey.generate(), "EdDSA")):
        token = jwt.encode(claims, key, algorithm)
        assert jwt.decode(token, key.public_key(), [algorithm]) == claims
        raises(jwt.InvalidSignatureError, jwt.decode, token[:-8] + "AAAAAAAA", key.public_key(), [algorithm])
    raises(jwt.ExpiredSignatureError, jwt.decode, jwt.encode({"exp": 1}, secret), secret, ["HS256"])
    raises(jwt.DecodeError, jwt.decode, "no token", secret, ["HS256"])


@case("bcrypt", "bcrypt", exercised="hash, check, key derivation, errors")
def bcrypt() -> None:
    import bcrypt

    hashed = bcrypt.hashpw(b"password", bcrypt.gensalt(4))
    assert bcrypt.checkpw(b"password", hashed)
    assert not bcrypt.checkpw(b"other", hashed)
    raises(ValueError, bcrypt.hashpw, b"password", b"no salt")
    raises(TypeError, bcrypt.hashpw, "text", hashed)
    assert len(bcrypt.kdf(b"password", b"salt", 32, 50, ignore_few_rounds=True)) == 32


@case(
    "argon2-cffi",
    "_argon2_cffi_bindings",
    of="argon2-cffi-bindings",
    exercised="hash, verify, rehash, errors",
    with_=("cffi",),
)
def argon2_cffi() -> None:
    import argon2

    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    hashed = hasher.hash("password")
    assert hasher.verify(hashed, "password")
    raises(argon2.exceptions.VerifyMismatchError, hasher.verify, hashed, "other")
    raises(argon2.exceptions.InvalidHashError, hasher.verify, "no hash", "password")
    assert argon2.PasswordHasher().check_needs_rehash(hashed)
    raises(argon2.exceptions.HashingError, argon2.low_level.hash_secret, b"x", b"short", 1, 8, 1, 32, argon2.Type.ID)


@case("PyNaCl", "nacl", exercised="boxes, signatures, password hashes, forged messages", with_=("cffi",))
def pynacl() -> None:
    from nacl import exceptions, public, pwhash, secret, signing, utils

    box = secret.SecretBox(utils.random(secret.SecretBox.KEY_SIZE))
    assert box.decrypt(box.encrypt(b"text" * 100)) == b"text" * 100
    raises(exceptions.CryptoError, box.decrypt, b"x" * 60)
    ours, theirs = public.PrivateKey.generate(), public.PrivateKey.generate()
    sealed = public.Box(ours, theirs.public_key).encrypt(b"m")
    assert public.Box(theirs, ours.public_key).decrypt(sealed) == b"m"
    signer = signing.SigningKey.generate()
    assert signer.verify_key.verify(signer.sign(b"m")) == b"m"
    raises(exceptions.BadSignatureError, signer.verify_key.verify, b"m", b"s" * 64)
    hashed = pwhash.argon2id.str(b"password", opslimit=1, memlimit=8192)
    assert pwhash.verify(hashed, b"password")
    raises(exceptions.InvalidkeyError, pwhash.verify, hashed, b"other")


@case(
    "cffi",
    "_cffi_backend",
    exercised="C functions called, callbacks into Python that return and raise, memory, handles, errors",
)
def cffi() -> None:
    import gc

    from cffi import FFI, CDefError

    ffi = FFI()
    ffi.cdef(
        """
        size_t strlen(const char *text);
        void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));
        typedef struct { int x; double y[3]; } point;
        """
    )
    library = ffi.dlopen(None)
    assert library.strlen(b"hello") == 5
    numbers = ffi.new("int[]", list(range(200, 0, -1)))

    @ffi.callback("int(const void *, const void *)")
    def compare(one: object, other: object) -> int:
        return ffi.cast("int *", one)[0] - ffi.cast("int *", other)[0]

    library.qsort(numbers, len(numbers), ffi.sizeof("int"), compare)
    assert list(numbers) == list(range(1, 201))
    caught = []

    @ffi.callback("int(int)", error=-7, onerror=lambda kind, error, trace: caught.append(error))
    def fail(_: int) -> int:
        raise LookupError("from a callback")

    assert fail(1) == -7
    assert isinstance(caught[0], LookupError)
    point = ffi.new("point *", {"x": 1, "y": [1.5, 2.5]})
    assert point.y[1] == 2.5
    raises(IndexError, lambda: numbers[1000])
    raises(TypeError, library.strlen, 5)
    raises(OverflowError, setattr, point, "x", 2**40)
    raises(AttributeError, getattr, library, "no_such_function")
    raises(CDefError, ffi.cdef, "int (;")
    handle = ffi.new_handle(["an object"])
    assert ffi.from_handle(handle) == ["an object"]
    freed = []
    collected = ffi.gc(ffi.new("int *"), freed.append)
    del collected
    gc.collect()
    assert len(freed) == 1


@case("pycryptodome", "Crypto", exercised="AES in modes, RSA, hashes, wrong tags")
def pycryptodome() -> None:
    from Crypto.Cipher import AES, ChaCha20_Poly1305
    from Crypto.Hash import SHA256
    from Crypto.Protocol.KDF import scrypt
    from Crypto.PublicKey import ECC
    from Crypto.Random import get_random_bytes
    from Crypto.Signature import DSS

    key = get_random_bytes(32)
    for module, mode in ((AES, (AES.MODE_GCM,)), (AES, (AES.MODE_EAX,)), (ChaCha20_Poly1305, ())):
        cipher = module.new(key=key) if not mode else module.new(key, *mode)
        sealed, tag = cipher.encrypt_and_digest(b"text" * 50)
        opening = {"key": key, "nonce": cipher.nonce}
        again = module.new(**opening) if not mode else module.new(key, *mode, nonce=cipher.nonce)
        assert again.decrypt_and_verify(sealed, tag) == b"text" * 50
        again = module.new(**opening) if not mode else module.new(key, *mode, nonce=cipher.nonce)
        raises(ValueError, again.decrypt_and_verify, sealed, b"x" * 16)
    signer = ECC.generate(curve="P-256")
    digest = SHA256.new(b"m")
    DSS.new(signer.public_key(), "fips-186-3").verify(digest, DSS.new(signer, "fips-186-3").sign(digest))
    assert len(scrypt("password", "salt", 16, 16, 8, 1)) == 16
    raises(ValueError, AES.new, b"short", AES.MODE_ECB)
