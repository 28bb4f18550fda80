"""Compression and hashes."""

from compat.registry import case, raises

TEXT = b"the quick brown fox jumps over the lazy dog " * 500


@case("zstandard", "zstandard", exercised="one shot, streams, dictionaries, wrong input")
def zstandard() -> None:
    import io

    import zstandard

    assert zstandard.backend == "cext"
    packed = zstandard.ZstdCompressor(level=5, threads=2).compress(TEXT)
    assert zstandard.ZstdDecompressor().decompress(packed, max_output_size=len(TEXT)) == TEXT
    raises(zstandard.ZstdError, zstandard.ZstdDecompressor().decompress, b"nonsense")
    samples = [b"sample %d of many, much like the others, " % index * 10 for index in range(200)]
    dictionary = zstandard.train_dictionary(2000, samples)
    small = zstandard.ZstdCompressor(dict_data=dictionary).compress(samples[3])
    assert zstandard.ZstdDecompressor(dict_data=dictionary).decompress(small) == samples[3]
    out = io.BytesIO()
    with zstandard.ZstdCompressor().stream_writer(out, closefd=False) as writer:
        writer.write(TEXT)
    assert b"".join(zstandard.ZstdDecompressor().read_to_iter(io.BytesIO(out.getvalue()))) == TEXT

    class Broken:
        def read(self, size: int) -> bytes:
            raise OSError("broken")

    raises(OSError, list, zstandard.ZstdCompressor().read_to_iter(Broken()))


@case("Brotli", "_brotli", exercised="one shot, streams, wrong input")
def brotli() -> None:
    import brotli

    assert brotli.decompress(brotli.compress(TEXT, quality=5)) == TEXT
    compressor, decompressor = brotli.Compressor(), brotli.Decompressor()
    packed = compressor.process(TEXT) + compressor.flush() + compressor.finish()
    assert decompressor.process(packed) == TEXT
    raises(brotli.error, brotli.decompress, b"nonsense")
    raises(TypeError, brotli.compress, "text")


@case("lz4", "lz4", exercised="frames, blocks, files, wrong input")
def lz4() -> None:
    import io

    import lz4.block
    import lz4.frame

    assert lz4.frame.decompress(lz4.frame.compress(TEXT)) == TEXT
    assert lz4.block.decompress(lz4.block.compress(TEXT)) == TEXT
    out = io.BytesIO()
    with lz4.frame.open(out, "wb") as file:
        file.write(TEXT)
    assert lz4.frame.open(io.BytesIO(out.getvalue())).read() == TEXT
    raises(RuntimeError, lz4.frame.decompress, b"nonsense")
    raises(lz4.block.LZ4BlockError, lz4.block.decompress, b"\x10\x00\x00\x00nonsense")


@case("cramjam", "cramjam", exercised="snappy, gzip, zstd, brotli, bz2, lz4; wrong input")
def cramjam() -> None:
    import cramjam

    for module in (cramjam.snappy, cramjam.gzip, cramjam.zstd, cramjam.brotli, cramjam.bzip2, cramjam.lz4):
        assert bytes(module.decompress(module.compress(TEXT))) == TEXT
        raises(cramjam.DecompressionError, module.decompress, b"nonsense")
    compressor = cramjam.zstd.Compressor()
    compressor.compress(TEXT)
    assert bytes(cramjam.zstd.decompress(compressor.finish())) == TEXT


@case("xxhash", "xxhash", exercised="all variants, streaming, errors")
def xxhash() -> None:
    import xxhash

    assert xxhash.xxh64(b"a").hexdigest() == "d24ec4f1a98c6e5b"
    for kind in (xxhash.xxh32, xxhash.xxh64, xxhash.xxh3_64, xxhash.xxh3_128):
        streamed = kind(seed=1)
        for start in range(0, len(TEXT), 1000):
            streamed.update(TEXT[start : start + 1000])
        assert streamed.digest() == kind(TEXT, seed=1).digest() == streamed.copy().digest()
        raises(TypeError, kind(b"").update, 5)


@case("blake3", "blake3", exercised="hash, keyed, derived, several threads, errors")
def blake3() -> None:
    import blake3

    assert blake3.blake3(b"").hexdigest().startswith("af1349b9f5f9a1a6")
    assert blake3.blake3(TEXT * 20, max_threads=blake3.blake3.AUTO).digest() == blake3.blake3(TEXT * 20).digest()
    keyed = blake3.blake3(b"x", key=b"k" * 32)
    assert keyed.digest(length=50) == keyed.copy().digest(length=50)
    raises(ValueError, blake3.blake3, b"x", key=b"short")
    raises(TypeError, blake3.blake3, "text")
